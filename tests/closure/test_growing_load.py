"""Loads that rise over several steps: early starts, new starts, cells too weak to react, what `auto` is."""

import numpy as np
import pytest
import torch

from mld_closure.closure.policies import Status
from mld_closure.errors import ClosureError

BURNED = np.float32(np.linspace(0, 0.6, 13)).astype(float)
TIMES = np.linspace(0, 5e-9, 51)


def watched(kit, **settings):
    """A scripted closure, and a list of what its encoder was called for."""
    closure = kit.scripted(
        kit.curve(BURNED),
        **{"p_arrival": None, "on_weak_load": "reset", "updates": 6, "window": 3e-9} | settings,
    )
    model, starts = kit.engine(closure).model, []
    encode = model.encode

    def counted(x):
        starts.append(len(x))
        return encode(x)

    model.encode = counted
    return closure, starts


def slow_rise(kit, up):
    return lambda t: kit.ramp(t, kit.shock_pressure(up), start=0.5e-9, rise=2e-9)


def test_a_cell_burns_while_its_load_rises(kit, monkeypatch):
    monkeypatch.setattr("mld_closure.closure.arrival.SAME_LOAD", 1e-9)  # any difference is worth a new start
    early, starts = watched(kit)
    late, _ = watched(kit, updates=1)
    out = kit.run(early, TIMES, slow_rise(kit, 1000.0))
    waits = kit.run(late, TIMES, slow_rise(kit, 1000.0))
    first = [int(np.argmax([r.status[0] & Status.ACTIVE for r in run])) for run in (out, waits)]
    assert TIMES[first[0] + 1] == pytest.approx(1.7e-9)  # at the end of the second part
    assert TIMES[first[1] + 1] == pytest.approx(2.6e-9)  # the ramp ends at 2.5 ns
    assert len(starts) == 3  # at 730 m/s, foreseen as 930, at 950, foreseen as 1004, and at 1000
    # once the load is known both have the same: frame 0 of the same load, at the same time
    for name in ("tau", "up", "frame", "right"):
        np.testing.assert_array_equal(early.state.pack()[name], late.state.pack()[name])
    assert late.state.up[0] == pytest.approx(1000.0, rel=1e-6)
    assert out[-1].burned_fraction[0] == waits[-1].burned_fraction[0]
    burned = np.array([r.burned_fraction[0] for r in out])
    assert (np.diff(burned) >= 0).all()
    assert sum(r.burn_rate[0] * 0.1e-9 for r in out) == pytest.approx(burned[-1], rel=1e-12)


def test_a_new_start_never_takes_back_what_has_burned(kit):
    """The stronger load burns less here, on purpose: the cell holds until it has caught up."""
    closure, _ = watched(kit)
    reader = kit.engine(closure).reader
    strong = float(kit.engine(closure).model.config.scale_load(np.array([950.0]))[0])

    def read(latent, load):
        found = reader(latent, load)
        found.values[:, kit.BURNED] *= torch.where(load > strong, 0.7, 1.0)
        return found

    read.decodes, read.known = False, reader.known
    kit.engine(closure).reader = read
    out = kit.run(closure, TIMES, slow_rise(kit, 1000.0))
    burned = np.array([r.burned_fraction[0] for r in out])
    assert (np.diff(burned) >= 0).all()
    assert (np.diff(burned)[20:] == 0).any()
    assert burned[-1] > burned[30]


def test_a_rejected_new_start_leaves_no_trace(kit):
    closure, _ = watched(kit)
    times = TIMES[:19]
    kit.run(closure, times, slow_rise(kit, 1000.0))
    before, up = kit.state(closure), closure.state.up[0]
    for _ in range(2):
        closure.begin_step(times[-1], 0.5e-9)
        again = closure.advance(pressure=[kit.shock_pressure(1000.0)])
        closure.rollback()
    assert kit.state(closure) == before
    closure.begin_step(times[-1], 0.5e-9)
    out = closure.advance(pressure=[kit.shock_pressure(1000.0)])
    closure.commit()
    assert out.burned_fraction[0] == again.burned_fraction[0]
    assert closure.state.up[0] > 1.02 * up  # it did start anew
    closure.begin_step(times[-1] + 0.5e-9, 0.5e-9)
    closure.advance(pressure=[kit.shock_pressure(1000.0)])
    closure.commit()
    assert closure.state.up[0] == pytest.approx(1000.0, rel=1e-6)  # now that it is known


def test_small_growth_is_not_worth_a_new_start(kit):
    closure, starts = watched(kit)
    up = 700.0 * (1 + 0.06 * np.clip((TIMES - 0.1e-9) / 0.8e-9, 0, 1))
    pressure = dict(zip(TIMES, kit.shock_pressure(up), strict=True))
    kit.run(closure, TIMES, pressure.__getitem__)
    assert len(starts) == 2  # after half a nanosecond, and when its load was known, 2.4 % higher
    closure, starts = watched(kit)
    pressure = dict(zip(TIMES, kit.shock_pressure(700.0 + 0.25 * (up - 700.0)), strict=True))
    kit.run(closure, TIMES, pressure.__getitem__)
    assert len(starts) == 1


def test_a_weak_shock_leaves_a_cell_at_rest_and_a_stronger_one_wakes_it(kit):
    closure, starts = watched(kit, window=1e-9)
    weak, strong = kit.shock_pressure(300.0), kit.shock_pressure(900.0)
    out = kit.run(closure, TIMES[:21], lambda t: kit.ramp(t, weak))
    assert {int(r.status[0]) for r in out} == {Status.IDLE, Status.LOADING}
    assert out[-1].status[0] == Status.IDLE
    assert not starts
    out = kit.run(closure, TIMES[20:41], lambda t: weak + kit.ramp(t, strong - weak, start=2.5e-9))
    assert out[-1].status[0] == Status.ACTIVE
    assert closure.state.up[0] == pytest.approx(900.0, rel=1e-6)
    assert 2.5e-9 <= closure.state.arrival[0] <= 2.51e-9  # of the second shock


def test_loads_beyond_the_range_wait_until_they_are_known(kit):
    closure, _ = watched(kit, on_extrapolation="error")
    with pytest.raises(ClosureError, match="1600"):
        kit.run(closure, TIMES, slow_rise(kit, 1600.0))
    assert 1000.0 < max(closure.state.up) <= 1400.0  # it burned before


def test_auto_takes_the_incoming_wave_where_velocities_are_given(kit):
    found = {}
    for load, given in (("auto", True), ("incoming wave", True), ("auto", False), ("pressure", False)):
        closure, _ = watched(kit, load=load)
        inputs = {"velocity": [800.0]} if given else {}
        kit.run(closure, TIMES, lambda t: kit.ramp(t, 9e9), **inputs)
        found[load, given] = closure.state.up[0]
    assert found["auto", True] == found["incoming wave", True]
    assert found["auto", False] == found["pressure", False]
    assert found["auto", True] != pytest.approx(found["auto", False], rel=0.02)


def test_own_burning_does_not_raise_an_incoming_wave(kit):
    """Heat released in a cell at rest against its neighbours: p rises by rho0 us du as u falls by du."""
    table = kit.table()
    p, u, du = 9e9, 900.0, 50.0
    us = table.shock_speed(np.array([950.0]))[0]
    before, after = (
        table.piston_speed("incoming wave", np.array([q]), np.array([v]))[0]
        for q, v in ((p, u), (p + kit.RHO0 * us * du, u - du))
    )
    assert after == pytest.approx(before, rel=0.005)
    by_pressure = table.piston_speed("pressure", np.array([p, p + kit.RHO0 * us * du]))
    assert by_pressure[1] / by_pressure[0] > 1.03
