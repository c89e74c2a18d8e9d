"""Problems of material points in the Eulerian flow, with known answers; see `verification`."""

from __future__ import annotations

import numpy as np

from mld_closure.dns.checks import Check
from mld_closure.dns.eos import Material
from mld_closure.dns.kinetics import Kinetics
from mld_closure.dns.solver import Boundaries
from mld_closure.grids import Grid
from mld_closure.macro.curves import BurnCurves
from mld_closure.macro.domain import Domain
from mld_closure.macro.points import Carrier, MaterialPoints, points_in_cells
from mld_closure.macro.protocol import OWN
from mld_closure.macro.slab import thrown_slab, wall_points
from mld_closure.macro.solver import MacroSolver
from mld_closure.macro.tabulated import TabulatedClosure

HMX = Material(kappa=0.0)
HEAT = Kinetics.Q
WALL = Boundaries("mirror", "copy", "copy", "copy")
PATCH = 24e-6  # m
SPEED, POROSITY = 850.0, 0.1


def example_curves(half: float = 25e-9) -> BurnCurves:
    """Burn curves of one made-up patch: half burned after `half` (s) at 700 m/s, sooner as up^-2."""
    up, tau = np.array([500.0, 700, 850, 1050, 1300, 1600]), np.linspace(0, 60e-9, 129)
    halves = half * (700 / up) ** 2
    burned = 1 - np.exp2(-((tau / halves[:, None]) ** 2))
    return BurnCurves(up, tau, burned[None], np.array([POROSITY]), material=HMX)


def turning(n: int) -> float:
    """Greatest error, in sides of the box, of points carried once round by a rigid rotation."""
    grid = Grid(n, n, 1.0 / n)
    y, x = (np.indices(grid.shape) + 0.5) / n - 0.5
    velocity = 2 * np.pi * np.array([-y, x])
    angle = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    start = 0.5 + 0.3 * np.cos(angle), 0.5 + 0.3 * np.sin(angle)
    points = MaterialPoints(*start)
    open_sides = Boundaries("copy", "copy", "copy", "copy")
    carrier = Carrier(points, Domain(grid, open_sides))
    steps = 4 * n
    for _ in range(steps):
        carrier.move(velocity, velocity, 1 / steps)
    return float(np.hypot(points.x - start[0], points.y - start[1]).max())


def transport(full: bool = False) -> list[Check]:
    """Points in a rigid rotation come back to where they began; order of the error."""
    n = 64 if full else 32
    coarse, fine = turning(n), turning(2 * n)
    return [
        Check("points in a rotation: distance after one turn", fine, 0, 2e-3, "below"),
        Check("points in a rotation: order", float(np.log2(coarse / fine)), None, 1.8, "above"),
    ]


def eulerian_slab(
    patches: int, cells: int, per_cell: int = 1, curves: BurnCurves | None = None
) -> MacroSolver:
    """A slab thrown at a wall, `cells` flow cells a patch, its points burning along curves."""
    grid = Grid(1, patches * cells, PATCH / cells)
    state = np.zeros((5, *grid.shape))
    state[0], state[1] = HMX.rho0 * (1 - POROSITY), -SPEED
    points = points_in_cells(grid, per_cell)
    closure = TabulatedClosure(curves or example_curves())
    led = np.full(points.size, OWN)
    led[: wall_points(cells) * per_cell] = wall_points(cells) * per_cell
    closure.register(points.ids, leader=led)
    return MacroSolver(
        grid, state, closure, heat=HEAT, material=HMX, boundaries=WALL, velocity_ahead=(-SPEED, 0.0),
        two_phases=True, points=points,
    )  # fmt: skip


def slabs(full: bool = False) -> list[Check]:
    """The same slab and burn curves in both hydrocodes: carried points against Lagrangian cells."""
    patches, cells, end = 10, (16 if full else 8), 30e-9
    points = 8
    line = thrown_slab(example_curves(), np.zeros(patches, int), SPEED, points=points, heat=HEAT)
    euler = eulerian_slab(patches, cells)
    line.run(end)
    euler.run(end)
    p = euler.points
    ours, theirs = (b.reshape(patches, -1).mean(axis=1) for b in (p.burned, line.burned))
    mass = HMX.rho0 * (1 - POROSITY) * PATCH * patches * euler.domain.grid.pixel
    total = euler.totals()
    where = p.x.reshape(patches, -1).mean(axis=1)
    there = line.fields()["position"].reshape(patches, -1).mean(axis=1)
    share, place = float(np.abs(ours - theirs).max()), float(np.abs(where - there).max()) * 1e6
    by_points, heat = abs(p.ledger.sum() / total[4] - 1), abs(euler.released / (HEAT * total[4]) - 1)
    return [
        Check("slab: burned share of a patch, Eulerian - Lagrangian", share, 0, 0.1, "below"),
        Check("slab: place of a patch, Eulerian - Lagrangian", place, 0, 1.0, "below", "um"),
        Check("slab: burned mass of points / of cells - 1", by_points, 0, 1e-12, "below"),
        Check("slab: heat released / Q burned mass - 1", heat, 0, 1e-12, "below"),
        Check(
            "slab: burned mass of the flow / by the fractions", total[4] / (mass * p.burned.mean()), 1, 0.02
        ),
    ]


def closed_box(full: bool = False) -> list[Check]:
    """Mass, energy and burned mass in a periodic box where two halves meet and burn."""
    n = 24
    grid, ring = Grid(n, n, PATCH / 4), Boundaries("periodic", "periodic", "periodic", "periodic")
    state = np.zeros((5, n, n))
    state[0] = HMX.rho0 * (1 - POROSITY)
    state[1] = np.where(np.arange(n) < n // 2, 900.0, -900.0)
    state[2] = 150 * np.sin(2 * np.pi * np.arange(n) / n)[:, None]
    points = points_in_cells(grid)
    closure = TabulatedClosure(example_curves(8e-9))
    closure.register(points.ids)
    run = MacroSolver(
        grid, state, closure, heat=HEAT, material=HMX, boundaries=ring, two_phases=True, points=points
    )
    before = run.totals()
    run.run(30e-9 if full else 12e-9)
    after = run.totals()
    burned = after[4]
    mass, energy = abs(after[0] / before[0] - 1), abs(after[3] - before[3] - HEAT * burned) / after[3]
    by_points = abs(points.ledger.sum() / burned - 1)
    return [
        Check("box: burned share", burned / after[0], None, 0.1, "within", high=1.0),
        Check("box: change of mass", mass, 0, 1e-12, "below"),
        Check("box: energy gained - Q burned mass", energy, 0, 1e-12, "below"),
        Check("box: burned mass of points / of cells - 1", by_points, 0, 1e-12, "below"),
    ]
