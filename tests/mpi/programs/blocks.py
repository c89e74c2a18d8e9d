"""Flow and burning on 1-D and 2-D blocks: every field of the whole grid, and what goes wrong on one rank."""

from pathlib import Path

import numpy as np
from shared import argument, on_each_size, write, write_json

from mld_closure.closure.fallback.ignition_growth import PressureIgnitionGrowth
from mld_closure.dns.solver import Boundaries
from mld_closure.grids import Grid
from mld_closure.macro.domain import Domain
from mld_closure.macro.problems import Block, MacroCase, sides, start
from mld_closure.macro.rates import RateClosure
from mld_closure.macro.solver import MacroSolver


def main(comm):
    folder = Path(argument(1))
    found = {}

    def note(name, solver, steps):
        for _ in range(steps):
            solver.step()
        for field, values in solver.fields().items():
            whole = solver.domain.gather(values)
            if comm.rank == 0:
                found[f"{name}/{field}"] = whole
        found[f"{name}/time"] = np.array([solver.time, solver.steps, solver.rejected, solver.forced])
        found[f"{name}/totals"] = solver.totals()

    def case(rows, cells, **options):
        block = Block(x=5e-5, y=0.0, width=1e-4, height=5e-5, porosity=0.2)
        return MacroCase(
            rows=rows, cells=cells, blocks=(block,) if rows > 1 else (), **options
        )  # fmt: skip

    def burning(case, layout=None, kind=RateClosure):
        domain = Domain(case.grid, sides(case), comm, layout)
        closure = kind(PressureIgnitionGrowth().law())
        closure.register(domain.cut(case.ids).ravel())
        return start(case, closure, domain)

    line, plane, ring = case(1, 37), case(11, 29), case(7, 29, sides="periodic", drive="inflow")
    note("line", burning(line), 60)
    note("plane", burning(plane), 50)
    across = (comm.size, 1) if comm.size <= 3 else (2, 2)
    note("ring", burning(ring, across), 40)
    small = case(1, 5)
    note("few cells", burning(small), 20)

    rng = np.random.default_rng(3)
    grid, free = Grid(12, 14, 1e-5), Boundaries("copy", "copy", "mirror", "mirror")
    state = np.zeros((5, 12, 14))
    state[0], state[1:3] = 1900 * (1 + 0.1 * rng.random((12, 14))), 200 * rng.standard_normal((2, 12, 14))
    state[3] = 1e5 * rng.random((12, 14))
    solver = MacroSolver(grid, state, boundaries=free, domain=Domain(grid, free, comm))
    note("noise", solver, 25)
    resumed = MacroSolver(grid, state, boundaries=free, domain=Domain(grid, free, comm, (1, comm.size)))
    saved = comm.bcast(solver.state())
    resumed.restore(saved)
    note("noise", solver, 5)
    there = {k: v for k, v in found.items() if k.startswith("noise/")}
    note("noise", resumed, 5)
    if comm.rank == 0:
        assert all(np.array_equal(found[k], there[k]) for k in there if "totals" not in k)

    said = {}

    class Broken(RateClosure):
        def advance(self, ids, **inputs):
            if comm.rank == comm.size - 1 and len(ids):
                raise ValueError(f"nothing known of cell {ids[0]}")
            return super().advance(ids, **inputs)

    def tell(name, solver):
        before = solver.flow.interior.copy()
        try:
            solver.step()
        except Exception as err:
            said[name] = [type(err).__name__, str(err)]
        assert np.array_equal(solver.flow.interior, before, equal_nan=True)

    tell("closure", burning(line, kind=Broken))
    solver = burning(line)
    if comm.rank == comm.size - 1:
        solver.flow.interior[1] = np.inf
        solver.flow.refresh()
    tell("flow", solver)
    write_json(comm, folder, "said", said)
    write(comm, folder, "blocks", **found)


on_each_size(main)
