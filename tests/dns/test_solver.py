"""The solver as an object: boundaries, times, precision, and the entering shock."""

import numpy as np
import pytest

from mld_closure.dns.eos import Material
from mld_closure.dns.exact import shock_from_piston
from mld_closure.dns.kinetics import Kinetics
from mld_closure.dns.loading import FRONT_COLUMN, at_rest, shock_front, shock_profile, shocked, shocked_solver
from mld_closure.dns.microstructure import Ellipse, solid_fraction
from mld_closure.dns.solver import Boundaries, Solver
from mld_closure.grids import Grid

M = Material()
PIXEL = 50e-9
INERT = Kinetics(Z=0.0)


def swirl(n=24):
    y, x = (np.mgrid[:n, :n] + 0.5) / n
    W = np.zeros((5, n, n))
    W[0], W[3] = 2300 + 50 * np.sin(2 * np.pi * x) * np.cos(2 * np.pi * y), 1e6
    W[1], W[2] = 200 * np.sin(2 * np.pi * y), 300 * np.cos(2 * np.pi * x)
    return W


def test_x_and_y_are_treated_alike():
    W = swirl()
    turned = W.transpose(0, 2, 1)[[0, 2, 1, 3, 4]]
    sides = Boundaries("mirror", "copy", "mirror", "copy")
    runs = [Solver(Grid(24, 24, PIXEL), w, boundaries=sides) for w in (W, turned)]
    for run in runs:
        run.run(0.1e-9)
    back = runs[1].primitive().transpose(0, 2, 1)[[0, 2, 1, 3, 4]]
    assert np.allclose(runs[0].primitive(), back, rtol=1e-10, atol=1e-6)


def test_periodic_domain_does_not_know_where_it_begins():
    W = swirl()
    sides = Boundaries("periodic", "periodic", "periodic", "periodic")
    rolled = np.roll(W, (5, 7), axis=(1, 2))
    runs = [Solver(Grid(24, 24, PIXEL), w, boundaries=sides) for w in (W, rolled)]
    for run in runs:
        run.run(0.1e-9)
    moved = np.roll(runs[0].primitive(), (5, 7), axis=(1, 2))
    assert np.allclose(moved, runs[1].primitive(), rtol=1e-12, atol=1e-9)


def test_closed_box_keeps_mass_and_energy():
    walls = Boundaries("mirror", "mirror", "mirror", "mirror")
    run = Solver(Grid(24, 24, PIXEL), swirl(), boundaries=walls, kinetics=INERT)
    before = run.totals()
    run.run(0.1e-9)
    assert np.allclose(run.totals()[[0, 3]], before[[0, 3]], rtol=1e-13)


def test_run_ends_at_the_time_asked_for():
    run = Solver(Grid(24, 24, PIXEL), swirl(), boundaries=Boundaries("copy", "copy", "copy", "copy"))
    run.run(0.03e-9)
    assert run.time == 0.03e-9
    steps = run.steps
    run.run(0.03e-9)
    assert run.steps == steps
    with pytest.raises(RuntimeError, match="2 steps taken"):
        run.run(1e-9, max_steps=2)


def test_the_captured_shock_is_steady():
    up = 900.0
    shock = shock_from_piston(up, M)
    profile = shock_profile(up, PIXEL, M)
    p = shocked_solver(np.ones((2, 160)), up, PIXEL, M, INERT).fields()["pressure"][0]
    assert shock_front(p, 0.5 * shock.p) == pytest.approx(FRONT_COLUMN, abs=0.6)
    assert np.allclose(profile[0, :24], shock.rho, rtol=3e-3)
    run = shocked_solver(np.ones((2, 160)), up, PIXEL, M, INERT)
    start = shock_front(run.fields()["pressure"][0], 0.5 * shock.p)
    run.run(80 * PIXEL / shock.us)
    fields = run.fields()
    assert shock_front(fields["pressure"][0], 0.5 * shock.p) - start == pytest.approx(80, abs=0.3)
    assert np.abs(fields["temperature"][0, 8:100] - shock.T).max() < 5  # no hot stripe where the run began


def test_voids_in_the_way_of_the_entering_shock_are_refused():
    mu = solid_fraction((64, 128), [Ellipse(30, 32, 20)])
    with pytest.raises(ValueError, match="must be solid"):
        shocked(mu, 900.0, PIXEL, M)


def test_single_precision_is_close_but_not_equal():
    mu = solid_fraction((48, 96), [Ellipse(64, 24, 20)])
    runs = [shocked_solver(mu, 1000.0, PIXEL, M, Kinetics(), dtype=t) for t in (np.float64, np.float32)]
    for run in runs:
        run.run(0.4e-9)
    T = [run.fields()["temperature"] for run in runs]
    assert 0 < np.abs(T[0] - T[1]).mean() < 1.0


@pytest.mark.parametrize(
    ("sides", "words"),
    [
        ({"left": "periodic"}, "periodic together"),
        ({"right": "fixed"}, "right = 'fixed'"),
        ({"left": "held"}, "left = 'held'"),
        ({"top": "wall"}, "top = 'wall'"),
    ],
)
def test_wrong_boundaries_are_named(sides, words):
    with pytest.raises(ValueError, match=words):
        Boundaries(**{"left": "copy", "right": "copy", **sides})


def test_wrong_shape_and_missing_inflow_are_named():
    with pytest.raises(ValueError, match="the grid needs"):
        Solver(Grid(4, 4, PIXEL), np.ones((5, 4, 5)))
    with pytest.raises(ValueError, match="inflow"):
        Solver(Grid(4, 4, PIXEL), at_rest(np.ones((4, 4)), M))
    with pytest.raises(ValueError, match="held right boundary needs"):
        Solver(Grid(4, 4, PIXEL), at_rest(np.ones((4, 4)), M), boundaries=Boundaries("mirror", "held"))
    with pytest.raises(ValueError, match="needs 2 cells"):
        Solver(Grid(1, 4, PIXEL), at_rest(np.ones((1, 4)), M), inflow=np.ones(5))
