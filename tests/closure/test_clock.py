"""The life of a cell against curves that are known: arrival, clock, history, horizon, burn-out, splitting."""

import numpy as np
import pytest

from mld_closure.closure.policies import Status

BURNED = 2  # position among the quantities, checked below
PEAK = 7e9
FULL = np.float32([0.0, 0.01, 0.05, 0.12, 0.2, 0.3, 0.42, 0.55, 0.66, 0.75, 0.82, 0.88, 0.92]).astype(float)


def speed_of(kit, p):
    """Piston speed of a pressure: RHO0 (2650 + 2.38 up) up = p."""
    c = 2650.0
    return (-c + np.sqrt(c * c + 4 * 2.38 * p / kit.RHO0)) / (2 * 2.38)


def expected(kit, t, start=1e-9, peak=PEAK, frames=FULL, p_arrival=None, on_weak_load="reset", rise=0.2e-9):
    """Burned fraction at time t by the text of the design: piecewise linear in the cell's clock."""
    up = speed_of(kit, peak)
    p_arrival = kit.shock_pressure(500.0) if p_arrival is None else p_arrival
    arrival = start + rise * p_arrival / peak
    delay = (16 - kit.FRONT) * kit.PIXEL / kit.us(up)
    tau = delay + t - arrival
    return np.interp(tau, np.arange(len(frames)) * kit.STEP, frames)


def fine(end, dt=0.05e-9):
    """Times 0, dt, ... that fall on the kinks of the pressure ramp (1 and 1.2 ns)."""
    return np.linspace(0.0, end, round(end / dt) + 1)


def test_positions(kit):
    assert kit.BURNED == BURNED


def test_the_curve_is_read_at_the_cells_own_clock(kit):
    closure = kit.scripted(kit.curve(FULL))
    times = fine(4e-9)
    out = kit.run(closure, times, lambda t: kit.ramp(t, PEAK))
    for t, r in zip(times[1:], out, strict=True):
        if r.status[0] == Status.ACTIVE:
            assert r.burned_fraction[0] == pytest.approx(expected(kit, t), rel=1e-6)
    stages = [int(r.status[0]) for r in out]
    assert stages == sorted(stages)
    assert set(stages) == {Status.IDLE, Status.LOADING, Status.ACTIVE}
    first = stages.index(Status.ACTIVE)
    assert times[first + 1] == pytest.approx(1.25e-9)  # the first step without a rise after the ramp


def test_linear_interpolation_of_the_arrival_in_one_long_step(kit):
    """A step that ends at the end of the ramp sees p rise from 0: t_s = t + dt p_arrival / p."""
    closure = kit.scripted(kit.curve(FULL), window=0.1e-9)
    out = kit.run(closure, [0.0, 1e-9, 1.4e-9, 2e-9], lambda t: kit.ramp(t, PEAK, rise=0.4e-9))
    assert out[1].status[0] == Status.ACTIVE  # the window is over
    wanted = expected(kit, 2e-9, rise=0.4e-9)
    assert out[2].burned_fraction[0] == pytest.approx(wanted, rel=1e-9)


def test_the_captured_pressure_is_the_running_maximum(kit):
    closure = kit.scripted(kit.curve(FULL))
    p = {0.1e-9: 4e9, 0.2e-9: 6e9, 0.3e-9: 8e9, 0.4e-9: 7.5e9, 0.5e-9: 7.5e9}
    times = [0.0, *p]
    kit.run(closure, times, lambda t: p[t])
    record = closure.state.pack()[0]
    assert record["peak"] == 8e9
    assert record["up"] == pytest.approx(speed_of(kit, 8e9), rel=1e-6)
    # clock: plain time until the load was known (0.4 ns), then p / P_s
    arrival = 0.1e-9 * kit.shock_pressure(500.0) / 4e9
    delay = 8 * kit.PIXEL / kit.us(record["up"])
    assert record["tau"] == pytest.approx(delay + 0.4e-9 - arrival + 0.1e-9 * 7.5 / 8, rel=1e-9)


def test_slow_growth_in_short_steps_still_counts_as_rising(kit):
    """Growth is judged by the model step: 0.6 % in a tenth of it is a rise, 0.09 % is none."""
    closure = kit.scripted(kit.curve(FULL), window=1.0)
    closure.begin_step(0.0, 0.04e-9)
    closure.advance(pressure=[4e9])
    closure.commit()
    p, t = 4e9, 0.04e-9
    for _ in range(5):
        p, t = p * 1.006, t + 0.04e-9
        closure.begin_step(t, 0.04e-9)
        assert closure.advance(pressure=[p]).status[0] == Status.LOADING
        closure.commit()
    closure.begin_step(t + 0.04e-9, 0.04e-9)
    assert closure.advance(pressure=[p * 1.0009]).status[0] == Status.ACTIVE


@pytest.mark.parametrize("cuts", [1, 3, 7, 64])
def test_splitting_macro_steps_changes_nothing(kit, cuts):
    """From a common state on, one step of 3 ns or many give the same readings, and rates add up to them."""
    end = 4.3e-9
    whole, parts = (kit.scripted(kit.curve(FULL)) for _ in range(2))
    for closure in (whole, parts):
        kit.run(closure, fine(1.3e-9), lambda t: kit.ramp(t, PEAK))
    start = float(whole.state.value[0, BURNED])
    (one,) = kit.run(whole, [1.3e-9, end], lambda t: PEAK)
    times = np.linspace(1.3e-9, end, cuts + 1)
    many = kit.run(parts, times, lambda t: PEAK)
    for name in ("burned_fraction", "hotspot_temperature", "mean_temperature", "hotspot_area_fraction"):
        np.testing.assert_allclose(getattr(one, name), getattr(many[-1], name), rtol=1e-11)
    added = sum(r.burn_rate[0] * dt for r, dt in zip(many, np.diff(times), strict=True))
    assert start + added == pytest.approx(expected(kit, end), rel=1e-9)
    assert one.burn_rate[0] * 3e-9 == pytest.approx(added, rel=1e-11)
    np.testing.assert_allclose(whole.state.tau, parts.state.tau, rtol=1e-12)


def test_frames_between_those_that_are_read_are_stepped_over(kit):
    """With every third frame read, what is returned is linear between them; the frames are all stepped."""
    end = 5.3e-9
    closure = kit.scripted(kit.curve(FULL), horizon=11, read_every=3)
    calls, step = [], kit.engine(closure).step
    kit.engine(closure).step = lambda z, load: calls.append(len(load)) or step(z, load)
    kit.run(closure, fine(1.3e-9), lambda t: kit.ramp(t, PEAK))
    times = np.linspace(1.3e-9, end, 8)
    out = kit.run(closure, times, lambda t: PEAK)
    for t, r in zip(times[1:], out, strict=True):
        tau = closure.state.tau[0] - (end - t)
        wanted = np.interp(tau, 3 * kit.STEP * np.arange(4), FULL[:12:3])
        if tau < 9 * kit.STEP:
            assert r.burned_fraction[0] == pytest.approx(wanted, rel=1e-6)
    assert out[-1].status[0] == Status.BEYOND_HORIZON  # after three whole stretches of 11 frames
    assert len(calls) == 9
    with pytest.raises(ValueError, match="read_every = 12 leaves no frame of 11 to be read"):
        kit.make(horizon=11, read_every=12)


def test_rates_add_up_over_uneven_steps(kit):
    closure = kit.scripted(kit.curve(FULL))
    rng = np.random.default_rng(1)
    times = np.concatenate([[0.0], np.sort(rng.uniform(0.2e-9, 5e-9, 40))])
    out = kit.run(closure, times, lambda t: kit.ramp(t, PEAK))
    for rate, value in (
        ("burn_rate", "burned_fraction"),
        ("hotspot_area_rate", "hotspot_area_fraction"),
        ("hotspot_temperature_rate", "hotspot_temperature"),
    ):
        total = sum(getattr(r, rate)[0] * dt for r, dt in zip(out, np.diff(times), strict=True))
        assert total == pytest.approx(getattr(out[-1], value)[0], rel=1e-12)
    assert out[-1].burned_fraction[0] > 0.5


@pytest.mark.parametrize(
    ("exponent", "ratio", "speed"),
    [(1.0, 0.5, 0.5), (2.0, 0.5, 0.25), (0.0, 0.5, 1.0), (1.0, 3.0, 2.0), (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)],
)
def test_load_history_sets_the_speed_of_the_clock(kit, exponent, ratio, speed):
    closure = kit.scripted(kit.curve(FULL), history_exponent=exponent)
    kit.run(closure, fine(1.4e-9), lambda t: kit.ramp(t, PEAK))
    before = closure.state.tau[0]
    kit.run(closure, [1.4e-9, 2.0e-9], lambda t: ratio * PEAK)
    assert closure.state.tau[0] - before == pytest.approx(speed * 0.6e-9, abs=1e-21)


def test_hot_spot_temperature_is_weighted_by_area(kit):
    """Between a frame without and a frame with hot spots, their temperature is that of the second."""
    closure = kit.scripted(kit.curve(FULL, area=[0, 0, 0, *[0.1] * 10], hot=1200.0))
    out = kit.run(closure, fine(3e-9), lambda t: kit.ramp(t, PEAK))
    seen = {(r.hotspot_area_fraction[0] > 0, r.hotspot_temperature[0]) for r in out}
    assert {s[0] for s in seen} == {True, False}
    for hot, value in seen:
        assert value == pytest.approx(1200.0 if hot else 0.0, rel=1e-12)


def test_past_the_horizon_the_rest_burns_at_the_mean_specific_rate(kit):
    closure = kit.scripted(kit.curve(FULL), horizon=6)
    kit.run(closure, fine(1.3e-9), lambda t: kit.ramp(t, PEAK))
    out = kit.run(closure, [1.3e-9, 3.6e-9, 5e-9], lambda t: PEAK)
    assert out[-1].status[0] == Status.BEYOND_HORIZON
    assert kit.pool(closure).used == 0
    tau = closure.state.tau[0]
    rate = np.log((1 - FULL[0]) / (1 - FULL[6])) / (6 * kit.STEP)
    wanted = 1 - (1 - FULL[6]) * np.exp(-rate * (tau - 6 * kit.STEP))
    assert out[-1].burned_fraction[0] == pytest.approx(wanted, rel=1e-12)
    again = kit.scripted(kit.curve(FULL), horizon=6)
    kit.run(again, fine(1.3e-9), lambda t: kit.ramp(t, PEAK))
    (one,) = kit.run(again, [1.3e-9, 5e-9], lambda t: PEAK)
    np.testing.assert_allclose(one.burned_fraction, out[-1].burned_fraction, rtol=1e-12)


def test_old_frames_fade_from_the_rate_past_the_horizon(kit):
    """Nothing, then 0.05 a frame: after n of those the mean over 8 has taken up 1 - (7/8)^n of it."""
    quiet, busy = 8, 6
    rest = np.concatenate([np.ones(quiet + 1), np.exp(-0.05 * np.arange(1, busy + 1))])
    closure = kit.scripted(kit.curve(list(1 - rest)), horizon=quiet + busy)
    kit.run(closure, fine(1.3e-9), lambda t: kit.ramp(t, PEAK))
    out = kit.run(closure, [1.3e-9, 9e-9, 10e-9], lambda t: PEAK)
    rate = 0.05 / kit.STEP * (1 - (7 / 8) ** busy)
    past = closure.state.tau[0] - (quiet + busy) * kit.STEP
    assert past > 1e-9
    assert out[-1].burned_fraction[0] == pytest.approx(1 - rest[-1] * np.exp(-rate * past), rel=1e-6)
    # and the step limit foresees that rate
    left = 1 - out[-1].burned_fraction[0]
    assert out[-1].dt_max == pytest.approx(0.05 / max(rate * left, out[-1].burn_rate[0]), rel=1e-6)


def test_burned_cells_are_done_wherever_the_steps_end(kit):
    frames = [0, 0.2, 0.5, 0.8, 0.9, 1.0, 1.0, 1.0]
    ends = []
    for times in ([1.3e-9, 6e-9], np.linspace(1.3e-9, 6e-9, 29)):
        closure = kit.scripted(kit.curve(frames))
        kit.run(closure, fine(1.3e-9), lambda t: kit.ramp(t, PEAK))
        out = kit.run(closure, times, lambda t: PEAK)
        ends.append(out[-1])
        assert out[-1].status[0] == Status.BURNED
        assert out[-1].burned_fraction[0] == 1.0
        assert kit.pool(closure).used == 0
    # all else is that of the moment in which 0.999 was reached, a little before frame 5 (900 K)
    assert ends[0].mean_temperature[0] == pytest.approx(800 + 100 * 0.99, rel=1e-9)
    np.testing.assert_allclose(ends[0].mean_temperature, ends[1].mean_temperature, rtol=1e-12)
    (after,) = kit.run(closure, [6e-9, 7e-9], lambda t: PEAK)
    assert after.burn_rate[0] == 0
    assert after.dt_max == np.inf


def test_dt_max_keeps_the_burned_fraction_from_jumping(kit):
    closure = kit.scripted(kit.curve(np.linspace(0, 0.6, 13)), max_burn_step=0.02)
    out = kit.run(closure, fine(2e-9), lambda t: kit.ramp(t, PEAK))
    longest = 0.02 / (0.6 / 12 / kit.STEP)
    assert out[-1].dt_max == pytest.approx(longest, rel=1e-9)
    assert out[0].dt_max == np.inf
    jump = max(r.burn_rate[0] for r in out)
    assert 0.02 / jump < 0.5 * longest  # what the cell catches up with when it starts, which no step avoids
    assert min(r.dt_max for r in out) == pytest.approx(longest, rel=1e-9)


def test_a_burned_fraction_that_falls_is_held(kit):
    closure = kit.scripted(kit.curve([0, 0.1, 0.3, 0.29, 0.2, 0.35, 0.4, 0.5]))
    out = kit.run(closure, fine(3.5e-9), lambda t: kit.ramp(t, PEAK))
    burned = np.array([r.burned_fraction[0] for r in out])
    assert (np.diff(burned) >= 0).all()
    assert (burned == np.float32(0.3)).sum() > 5
    assert out[-1].status[0] == Status.ACTIVE | Status.NOT_MONOTONE


def test_idle_and_loading_cells_show_material_at_rest(kit):
    closure = kit.scripted(kit.curve(FULL), n=2)
    out = kit.run(closure, [0.0, 1e-10], lambda t: np.array([1e9, 4e9]))[0]
    np.testing.assert_array_equal(out.status, [Status.IDLE, Status.LOADING])
    np.testing.assert_array_equal(out.mean_pressure, [1e9, 4e9])
    np.testing.assert_allclose(out.porosity, 1 - kit.patches(2).mean(axis=(1, 2)), rtol=1e-6)
    for name in ("burned_fraction", "burn_rate", "hotspot_area_fraction", "hotspot_temperature"):
        np.testing.assert_array_equal(getattr(out, name), 0.0)
    np.testing.assert_array_equal(out.mean_temperature, 300.0)
    assert kit.pool(closure).used == 0
