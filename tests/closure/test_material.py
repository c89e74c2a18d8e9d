"""Burned fractions of a cell's own material: the share of it in a frame, exactly and in a simulated one."""

import contextlib

import numpy as np
import pytest

from mld_closure.closure.policies import Status
from mld_closure.dns.eos import Material
from mld_closure.dns.kinetics import Kinetics
from mld_closure.dns.load_table import load_table
from mld_closure.dns.loading import shocked_solver
from mld_closure.surrogate.frame0 import LoadTable
from mld_closure.surrogate.own_material import LEAST_SHARE, of_own, own_burned, own_share

UP = np.array([600.0, 900.0, 1300.0])


def test_solid_material_is_counted_exactly(kit):
    """rho0 L + rho1 up t until the shock leaves, then rho1 L; what has entered since is rho1 up t."""
    table, length = kit.table(), 24e-6
    us, rho = table.shock_speed(UP), np.interp(UP, table.up, table.rho)
    entered = kit.FRONT * kit.PIXEL / us
    for time in (0.0, 1e-9, 3e-9, 5e-9, 8e-9):
        feed = rho * UP * (time + entered)
        inside = us * (time + entered) < length
        mass = np.where(inside, kit.RHO0 * length + feed, rho * length)
        share = own_share(table, UP, np.ones(3), np.full(3, time), length)
        np.testing.assert_allclose(share, 1 - feed / mass, rtol=1e-12)
    late = own_share(table, UP, np.ones(3), np.full(3, 1e-6), length)
    np.testing.assert_array_equal(late, LEAST_SHARE)


def test_porous_material_as_a_simulation_has_it():
    """Mass in a simulated frame with voids: all that it gained before the shock left has flowed in."""
    pixel, material, up = 50e-9, Material(), 900.0
    mu = np.ones((32, 160))
    mu[8:24, 70:80] = mu[4:20, 110:120] = 0.0
    solver = shocked_solver(mu, up, pixel, material, Kinetics(Z=0.0))
    table = LoadTable.from_arrays(load_table((700.0, 900.0, 1100.0)))
    at_rest = material.rho0 * mu.mean()
    for time in (0.3e-9, 0.8e-9, 1.2e-9):
        solver.run(time)
        mass = solver.fields()["density"].mean()
        share = own_share(table, np.array([up]), np.array([mu.mean()]), np.array([time]), mu.shape[1] * pixel)
        assert share[0] == pytest.approx(at_rest / mass, rel=5e-3)


def test_burned_fractions_only_are_counted_anew():
    values = np.array(
        [[0.1, 900.0, 0.3, 400.0, 5e9, 0.1], [0.2, 0, 0.6, 0, 0, 0], [0, 0, -0.1, 0, 0, np.nan]]
    )
    out = own_burned(values, np.array([0.5, 0.5, 0.5]))
    np.testing.assert_allclose(out[:, 2], [0.6, 1.0, -0.1])
    np.testing.assert_array_equal(np.delete(out, 2, axis=1), np.delete(values, 2, axis=1))
    np.testing.assert_allclose(of_own(np.array([[0.1, 0.2], [0.3, np.nan]]), np.array([0.5, 0.25])),
                               [[0.2, 0.4], [1.0, np.nan]])  # fmt: skip
    assert of_own(np.array([1.7]), np.array([0.5])) == 1.7  # no fraction: left for the guards to find


@pytest.mark.own_material
def test_a_closure_serves_its_cells_so(kit):
    frames = np.float32(np.linspace(0, 0.24, 13)).astype(float)
    times = np.linspace(0, 2e-9, 21)
    found = {}
    for burned in ("frame", "own material"):
        with kit.whole_frames() if burned == "frame" else contextlib.nullcontext():
            closure = kit.scripted(kit.curve(frames))
            out = kit.run(closure, times, lambda t: kit.ramp(t, kit.shock_pressure(900.0)))
        assert out[-1].status[0] == Status.ACTIVE
        found[burned] = closure.state.pack()[0].copy()
    record = found["own material"]
    share = [
        own_share(kit.table(), record["up"], np.array([record["solid"]]), time, 32 * kit.PIXEL)[0]
        for time in (np.array([record["frame"] - 1, record["frame"]]) * kit.STEP)[:, None]
    ]
    for side, part in zip(("left", "right"), share, strict=True):
        assert record[side][kit.BURNED] == pytest.approx(found["frame"][side][kit.BURNED] / part, rel=1e-6)
        np.testing.assert_array_equal(
            np.delete(record[side], kit.BURNED), np.delete(found["frame"][side], kit.BURNED)
        )
    assert share[1] < 0.75
    assert record["solid"] == pytest.approx(kit.patches(1)[0].mean(), rel=1e-6)
