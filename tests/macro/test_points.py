"""Material points: what is gathered and scattered, conservation, sides of the grid, restarts, 2-D flow."""

import numpy as np
import pytest

from mld_closure.dns.eos import Material
from mld_closure.dns.solver import Boundaries
from mld_closure.grids import Grid
from mld_closure.macro.domain import Domain
from mld_closure.macro.laws import GivenRate
from mld_closure.macro.points import Carrier, MaterialPoints, points_in_cells
from mld_closure.macro.rates import RateClosure
from mld_closure.macro.slab import wall_points
from mld_closure.macro.solver import MacroSolver
from mld_closure.macro.tabulated import TabulatedClosure
from mld_closure.macro.verification_points import eulerian_slab, example_curves

M = Material(kappa=0.0)
GRID = Grid(5, 7, 2e-6)
OPEN = Boundaries("copy", "copy", "copy", "copy")
RING = Boundaries("periodic", "periodic", "periodic", "periodic")
RNG = np.random.default_rng(8)


def carrier(points=None, grid=GRID, sides=OPEN):
    return Carrier(points or points_in_cells(grid), Domain(grid, sides))


def scattered(n=40, sides=OPEN):
    x, y = RNG.random(n) * GRID.nx * GRID.pixel, RNG.random(n) * GRID.ny * GRID.pixel
    return carrier(MaterialPoints(x, y), sides=sides)


def test_points_lie_in_their_cells_in_order():
    p = points_in_cells(Grid(1, 2, 1.0), 2)
    assert p.x.tolist() == [0.25, 0.75, 1.25, 1.75]
    assert p.y.tolist() == [0.5] * 4
    assert points_in_cells(Grid(2, 2, 1.0)).ids.tolist() == [0, 1, 2, 3]


def test_a_linear_field_is_gathered_exactly_away_from_the_sides():
    c = scattered(300)
    y, x = (np.indices(GRID.shape) + 0.5) * GRID.pixel
    p = c.points
    inner = (p.x > GRID.pixel) & (p.x < 6 * GRID.pixel) & (p.y > GRID.pixel) & (p.y < 4 * GRID.pixel)
    got = c.gather(3 + 2e5 * x - 1e5 * y)
    assert got[inner] == pytest.approx((3 + 2e5 * p.x - 1e5 * p.y)[inner], rel=1e-12)
    assert inner.sum() > 50


def test_what_is_gathered_stays_in_the_range_of_the_cells_around():
    field = RNG.random(GRID.shape)
    got = scattered(500).gather(field)
    assert field.min() <= got.min()
    assert got.max() <= field.max()


@pytest.mark.parametrize("sides", [OPEN, RING])
def test_cells_gain_what_points_lose(sides):
    c = scattered(60, sides)
    c.points.burned = RNG.random(60)
    share, unburned = RNG.random(60), RNG.random(GRID.shape)
    gain = c.scatter(share, unburned)
    assert gain.sum() == pytest.approx(c.points.ledger.sum(), rel=1e-14)
    assert (gain <= unburned).all()
    assert (gain >= 0).all()
    reached = c.scatter(np.ones(60), unburned) > 0
    assert c.scatter(np.full(60, 0.3), unburned)[reached] == pytest.approx(0.3 * unburned[reached], rel=1e-12)


def test_scattering_is_the_adjoint_of_its_own_gathering():
    """<scatter s, y> = sum over points of s times what the same weights gather of unburned * y."""
    c = scattered(25)
    unburned, y = RNG.random(GRID.shape), RNG.random(GRID.shape)
    share = RNG.random(25)
    left = float((c.scatter(share, unburned) * y).sum())
    right = sum(s * float((c.scatter(np.eye(25)[k], unburned) * y).sum()) for k, s in enumerate(share))
    assert left == pytest.approx(right, rel=1e-12)


def test_points_with_more_left_count_for_more_and_burned_out_ones_finish_the_rest():
    c = carrier(MaterialPoints(np.array([7e-6, 7e-6]), np.array([5e-6, 5e-6])))
    c.points.burned = np.array([1.0, 0.0])
    unburned = np.ones(GRID.shape)
    gain = c.scatter(np.array([1.0, 0.2]), unburned)
    assert gain[2, 3] == pytest.approx(0.2, rel=1e-5)
    c.points.burned = np.array([1.0, 1.0])
    assert c.scatter(np.array([1.0, 1.0]), unburned)[2, 3] == 1


def test_uniform_flow_carries_points_exactly_and_around():
    for sides, end in ((OPEN, None), (RING, 1.0)):
        c = carrier(sides=sides)
        x0, y0 = c.points.x.copy(), c.points.y.copy()
        u = np.broadcast_to(np.array([300.0, -200.0])[:, None, None], (2, *GRID.shape))
        for _ in range(4):
            c.move(u, u, 1e-9)
        x, y = x0 + 1.2e-6, y0 - 0.8e-6
        if end is None:
            inside = (x < 14e-6) & (y > 0)  # beyond the grid there is no velocity
            assert c.points.x[inside] == pytest.approx(x[inside], rel=1e-12)
        else:
            assert c.points.x == pytest.approx(np.mod(x, 14e-6), rel=1e-9)
            assert c.points.y == pytest.approx(np.mod(y, 10e-6), rel=1e-9)


def test_a_wall_is_not_crossed():
    c = carrier(sides=Boundaries("mirror", "copy", "copy", "copy"))
    toward = np.zeros((2, *GRID.shape))
    toward[0] = -500.0
    for _ in range(20):
        c.move(toward, toward, 1e-9)
    assert c.points.x.min() >= 0


def test_points_outside_the_grid_neither_feel_nor_burn():
    c = carrier(MaterialPoints(np.array([-1e-6, 7e-6]), np.array([5e-6, 5e-6])))
    assert c.gather(np.ones(GRID.shape)).tolist() == [0, 1]
    c.scatter(np.array([1.0, 0.5]), np.ones(GRID.shape))
    assert c.points.ledger[0] == 0
    assert c.points.ledger[1] > 0


def test_points_out_of_order_are_refused():
    with pytest.raises(ValueError, match="order of their ids"):
        MaterialPoints(np.zeros(2), np.zeros(2), np.array([4, 3]))
    with pytest.raises(ValueError, match="2 x, 3 y"):
        MaterialPoints(np.zeros(2), np.zeros(3))


def test_points_at_rest_burn_as_cells_do():
    grid, sides = Grid(3, 4, 24e-6), Boundaries("mirror", "mirror", "mirror", "mirror")
    W = np.zeros((5, 3, 4))
    W[0], W[3] = 2200.0, 3e5
    runs = []
    for points in (None, points_in_cells(grid)):
        closure = RateClosure(GivenRate(5e7))
        closure.register(np.arange(12))
        run = MacroSolver(grid, W, closure, boundaries=sides, material=M, two_phases=True, points=points)
        run.run(30e-9)
        runs.append(run)
    cells, points = runs
    assert points.fields()["pressure"] == pytest.approx(cells.fields()["pressure"], rel=1e-12)
    assert points.points.burned == pytest.approx(1 - np.exp(-1.5), rel=1e-10)


def test_a_slab_in_two_dimensions_is_that_of_one():
    line, rows = eulerian_slab(4, 4), 3
    grid = Grid(rows, 16, line.domain.grid.pixel)
    points, closure = points_in_cells(grid), TabulatedClosure(example_curves())
    led = np.full((rows, 16), -1)
    ahead = wall_points(4)
    led[:, :ahead] = points.ids.reshape(rows, 16)[:, ahead : ahead + 1]
    closure.register(points.ids, leader=led.ravel())
    W = np.zeros((5, rows, 16))
    W[0], W[1] = 1710.0, -850.0
    sides = Boundaries("mirror", "copy", "mirror", "mirror")
    plane = MacroSolver(
        grid, W, closure, material=M, boundaries=sides, velocity_ahead=(-850.0, 0.0), two_phases=True,
        points=points,
    )  # fmt: skip
    for run in (line, plane):
        run.run(14e-9)
    assert line.points.burned.max() > 0.2
    assert plane.points.burned.reshape(rows, 16) == pytest.approx(
        np.repeat(line.points.burned[None], rows, axis=0), rel=1e-8, abs=1e-12
    )


def test_a_restart_gives_the_same_bits_and_foreign_states_are_refused():
    whole, again = eulerian_slab(4, 4), eulerian_slab(4, 4)
    whole.run(8e-9)
    kept, closure = whole.state(), whole.closure.state()
    whole.run(14e-9)
    again.restore(kept)
    again.closure.restore(closure)
    again.run(14e-9)
    assert all(v.tobytes() == again.state()[k].tobytes() for k, v in whole.state().items())
    del kept["points"]
    with pytest.raises(ValueError, match=r"'points' must have shape \(3, 16\), got nothing"):
        again.restore(kept)


def test_a_rejected_step_puts_the_points_back():
    run = eulerian_slab(3, 4)
    run.run(6e-9)

    class Once:
        """Refuses the first try of a step."""

        inputs, calls = run.closure.inputs, 0

        def __getattr__(self, name):
            return getattr(inner, name)

        def advance(self, ids, **given):
            out = inner.advance(ids, **given)
            self.calls += 1
            return type(out)(out.burned_fraction, out.burn_rate, 1e-15 if self.calls == 1 else np.inf)

    inner, run.closure = run.closure, Once()
    twin = eulerian_slab(3, 4)
    twin.run(6e-9)
    dt = run.step()
    assert run.rejected == twin.rejected + 1
    twin.step(dt)
    assert run.points.x.tolist() == twin.points.x.tolist()
    assert run.flow.interior.tolist() == twin.flow.interior.tolist()


def test_a_closure_that_reads_the_entropy_needs_two_phases():
    closure = TabulatedClosure(example_curves())
    closure.register(np.arange(4))
    with pytest.raises(ValueError, match="needs the flow of two phases"):
        MacroSolver(Grid(1, 4, 1e-6), np.ones((5, 1, 4)), closure, boundaries=OPEN)
