"""Points that burn in a flow on blocks: fields, points and a restart, on 1, 2, ... of the ranks started."""

import sys
import time
from pathlib import Path

import numpy as np
from mpi4py import MPI

from mld_closure.dns.eos import Material
from mld_closure.dns.solver import Boundaries
from mld_closure.grids import Grid
from mld_closure.macro.curves import BurnCurves
from mld_closure.macro.domain import Domain
from mld_closure.macro.points import Carrier, MaterialPoints, points_in_cells
from mld_closure.macro.solver import MacroSolver
from mld_closure.macro.tabulated import TabulatedClosure

up, tau = np.array([300.0, 900.0, 1500.0]), np.linspace(0, 40e-9, 41)
half = np.array([20e-9, 8e-9, 3e-9])
curves = BurnCurves(up, tau, 1 - np.exp2(-((tau / half[:, None]) ** 2))[None], np.array([0.1]))


def slab(grid, sides, comm, layout=None):
    """A slab with a dent, thrown at a wall: flow and points move across x and y."""
    domain = Domain(grid, sides, comm, layout)
    state = np.zeros((5, *grid.shape))
    state[0], state[1] = 1710.0, -900.0
    state[0, : grid.ny // 3, 6:9] = 900.0
    if sides.left == "periodic":
        state[1, :, : grid.nx // 2] = 900.0  # both halves meet in the middle
    state[2] = 120.0 * np.sin(np.arange(grid.ny) / grid.ny * 2 * np.pi)[:, None]
    points = points_in_cells(grid, 1, 2 if grid.ny > 1 else 1)
    closure = TabulatedClosure(curves)
    closure.register(points.ids[Carrier(points, domain).born_here])
    solver = MacroSolver(
        grid, state, closure, material=Material(kappa=0.0), boundaries=sides, domain=domain,
        velocity_ahead=(-900.0, 0.0), two_phases=True, points=points,
    )  # fmt: skip
    return solver


def main(comm, folder):
    found = {}

    def note(name, solver):
        for field, values in solver.fields().items():
            whole = solver.domain.gather(values)
            if comm.rank == 0:
                found[f"{name}/{field}"] = whole
        p = solver.points
        found.update({f"{name}/{key}": getattr(p, key) for key in ("x", "y", "burned", "ledger")})
        found[f"{name}/totals"] = solver.totals()
        found[f"{name}/counts"] = np.array([solver.time, solver.steps, solver.rejected])

    wall = Boundaries("mirror", "copy", "mirror", "mirror")
    ring = Boundaries("periodic", "periodic", "periodic", "periodic")
    line = slab(Grid(1, 40, 6e-6), Boundaries("mirror", "copy", "copy", "copy"), comm)
    line.run(22e-9)
    note("line", line)
    plane = slab(Grid(9, 24, 6e-6), wall, comm)
    plane.run(16e-9)
    note("plane", plane)
    if comm.size <= 3:
        layout = (comm.size, 1)
    else:
        layout = (2, 2)
    around = slab(Grid(8, 14, 6e-6), ring, comm, layout)
    for _ in range(25):
        around.step()
    saved, closure = comm.bcast(around.state()), around.closure.state()
    for _ in range(10):
        around.step()
    note("ring", around)
    again = slab(Grid(8, 14, 6e-6), ring, comm, layout)
    again.restore(saved)
    again.closure.restore(closure)
    for _ in range(10):
        again.step()
    assert np.array_equal(again.flow.interior, around.flow.interior)
    assert np.array_equal(again.points.x, around.points.x)
    assert isinstance(again.points, MaterialPoints)
    if comm.rank == 0:
        np.savez(folder / f"points-{comm.size}.npz", **found)


world = MPI.COMM_WORLD
for size in range(1, world.size + 1):
    part = world.Split(int(world.rank < size), world.rank)
    if world.rank < size:
        main(part, Path(sys.argv[1]))
    waiting = world.Ibarrier()
    while not waiting.Test():
        time.sleep(0.01)
    part.Free()
