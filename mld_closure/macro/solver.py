"""The hydrocode's step: inert flow, then the closure, then the heat of what burned.

Operator split, in this order:
1. flow over dt by `dns.solver.Solver`, chemistry off; the reaction progress lam rides on the mass flux;
2. the closure over the same dt, at the pressure the flow has reached;
3. at constant density the share of the unburned material that the closure names burns (`coupling`):
   d(rho lam) = rho d lam and d(rho E) = heat d(rho lam), so the energy gained is heat times the burned mass
   to round-off.
A step longer than the closure's dt_max is rolled back on both sides and repeated with a smaller dt; so is one
in which an impact makes waves much faster than those its length was taken from.

The closure's cells are those of the grid, which stay in place, or `points` that move with the material. The
flow is of one material, or of solid and products (`mixture_flow`) where the closure reads the entropy.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mld_closure.dns import eos, solver
from mld_closure.dns.eos import Material
from mld_closure.dns.kinetics import Kinetics
from mld_closure.dns.solver import Boundaries
from mld_closure.grids import Grid
from mld_closure.macro.coupling import ROUND_OFF, burned_share, checked_fraction, commit
from mld_closure.macro.domain import Domain, NoFlow
from mld_closure.macro.mixture_flow import MixtureFlow
from mld_closure.macro.points import Carrier, MaterialPoints
from mld_closure.macro.protocol import CellClosure, wanted_inputs
from mld_closure.macro.running import advance_until

INERT = Kinetics(Z=0.0)
INSULATING = Material(kappa=0.0)
FASTER_WAVES = 2.0  # a step is repeated if it is longer than this many steps of the state it ends in


class MacroSolver:
    """Flow on a grid of macro cells whose burning a closure gives; cell arrays are (ny, nx).

    `flow` is the inert solver, `burned` the closure's committed burned fraction, `burn_rate` its rate (1/s):
    of the grid's cells or, (n,), of the points whose closure is on this rank. `released` is the heat since
    the start (J per metre of depth); `rejected` and `forced` count steps.

    On several ranks each one holds the cell arrays of its block (`domain`), `step` and `run` are collective,
    and fields have the bits of a run on one rank; only `released` and `totals`, summed rank by rank, may
    differ by round-off. An error on one rank is raised on all.
    """

    def __init__(
        self,
        grid: Grid,
        primitive: np.ndarray,
        closure: CellClosure | None = None,
        *,
        ids: np.ndarray | None = None,
        heat: float = INERT.Q,
        material: Material = INSULATING,
        boundaries: Boundaries | None = None,
        inflow: np.ndarray | None = None,
        velocity_ahead: tuple[float, float] = (0.0, 0.0),
        cfl: float = 0.4,
        safety: float = 0.8,
        smallest: float = 0.02,
        domain: Domain | None = None,
        two_phases: bool = False,
        points: MaterialPoints | None = None,
    ) -> None:
        """Start from primitive (5, ny, nx) of the whole grid: rho (kg/m3), u, v (m/s), e (J/kg), lam.

        ids: (ny, nx) int64 under which the caller has registered the cells; by default 0, 1, ... row by row.
        heat: J/kg of burned material. velocity_ahead: (u, v) of the material ahead of the shock (m/s), which
        the velocity given to the closure is counted from. safety: share of dt_max the next step may take.
        smallest: a step of this share of the first one tried is taken even beyond dt_max, and counted in
        `forced`, because what a cell catches up with when it ignites does not shrink with the step.
        domain: the block of this rank, cut for the same grid and boundaries; one block by default.
        two_phases: whether burned and unburned material share a cell as two phases at one pressure; primitive
        may then have the entropy of the solid as sixth variable. points: material points of the whole grid,
        registered with the closure under their ids on the rank in whose block they begin; then `ids` is not
        used.
        """
        if not 0 < safety <= 1 or not 0 < smallest <= 1:
            raise ValueError(
                f"safety and smallest must be above 0 and at most 1, got {safety} and {smallest}"
            )
        if heat < 0:
            raise ValueError(f"heat must not be negative, got {heat} J/kg")
        self.domain: Domain = domain or Domain(grid, boundaries or Boundaries())
        if primitive.shape[1:] != grid.shape or len(primitive) not in ((5, 6) if two_phases else (5,)):
            raise ValueError(f"initial state has shape {primitive.shape}, the grid needs {(5, *grid.shape)}")
        self.heat: float = heat
        self.two_phases: bool = two_phases
        self.flow: solver.Solver | MixtureFlow | NoFlow = self._make_flow(primitive, material, inflow, cfl)
        self.closure: CellClosure | None = closure
        self.velocity_ahead: tuple[float, float] = velocity_ahead
        self._extra = () if closure is None else wanted_inputs(closure)
        if self._extra and not two_phases:
            raise ValueError(f"a closure that reads {', '.join(self._extra)} needs the flow of two phases")
        self.safety: float = safety
        self.smallest: float = smallest
        ids = np.arange(grid.ny * grid.nx).reshape(grid.shape) if ids is None else np.array(ids, np.int64)
        if ids.shape != grid.shape:
            raise ValueError(f"cell ids have shape {ids.shape}, the grid needs {grid.shape}")
        self.ids = self.domain.cut(ids)
        self.carrier = None
        if points is not None:
            self.carrier: Carrier = Carrier(points, self.domain)
            self.ids: np.ndarray = points.ids[self.carrier.born_here]
        self.burned = np.zeros(self.ids.shape)
        self.burn_rate = np.zeros(self.ids.shape)
        self.released = 0.0
        self.rejected = self.forced = 0
        self._dt_limit = np.inf

    @property
    def time(self) -> float:
        """Time (s)."""
        return self.flow.time

    @property
    def steps(self) -> int:
        """Accepted steps."""
        return self.flow.steps

    def step(self, limit: float = np.inf) -> float:
        """Advance one accepted step of at most `limit` seconds; returns the step taken (s).

        What the flow or the closure raises is passed on; the state is then that of before the call.
        """
        before, start, steps = self.flow.interior.copy(), self.time, self.steps
        at = None if self.carrier is None else (self.points.x, self.points.y)
        limit, least = min(limit, self._dt_limit), None
        try:
            while True:
                dt = self.flow.step(min(limit, self._next_step()))
                shorter = self._outrun(dt)
                if shorter is None and at is not None:
                    W = self.flow.primitive()
                    self.carrier.move(before[1:3] / before[0], W[1:3], dt)
                if shorter is None and self.closure is not None:
                    least = self.smallest * dt if least is None else least
                    shorter = self._burn(start, dt, least)
                if shorter is None:
                    return dt
                self.rejected += 1
                self._put_back(before, start, steps, at)
                limit = shorter
        except BaseException:
            self._put_back(before, start, steps, at)
            raise

    def run(
        self,
        until: float,
        *,
        each: Callable[[MacroSolver], object] | None = None,
        max_steps: int | None = None,
    ) -> None:
        """Advance to time `until` (s), calling `each(self)` after every step until it returns True.

        Raises RuntimeError after max_steps steps of this call.
        """
        if advance_until(self, until, each, max_steps):
            self.flow.time = until

    def fields(self) -> dict[str, np.ndarray]:
        """Physical fields of the flow by name, (ny, nx) in SI units, and the closure's burned_fraction; where
        points carry the closure's state that is the burned fraction of the flow."""
        fields = self.flow.fields()
        burned = self.burned if self.carrier is None else fields["reaction_progress"]
        return {**fields, "burned_fraction": burned.copy()}

    def totals(self) -> np.ndarray:
        """Sums per metre of depth: mass, momentum x and y, energy, burned mass (SI). Collective."""
        return self.domain.sum(self.flow.totals())

    def state(self) -> dict[str, np.ndarray]:
        """Everything a restart needs besides the case and the closure's own state, as plain arrays of the
        whole grid; on rank 0, None for arrays elsewhere. Collective."""
        released = self.domain.sum(np.array([self.released]))[0]
        own = {"burned": self.burned, "burn_rate": self.burn_rate}
        if self.carrier is None:
            cells = {name: self.domain.gather(array.copy()) for name, array in own.items()}
        else:
            cells = {name: self.carrier.everywhere(array) for name, array in own.items()}
            cells["points"] = np.array([self.points.x, self.points.y, self.points.ledger])
        return {
            "conserved": self.domain.gather(self.flow.interior.copy()),
            **cells,
            "clock": np.array([self.time, self._dt_limit, released]),
            "counts": np.array([self.steps, self.rejected, self.forced]),
        }

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Continue from a `state` of the same case: the same bits as without interruption.

        The state is that of the whole grid, whatever number of ranks wrote it, and given on every rank. The
        closure must be restored by the caller. Raises ValueError if the shapes do not fit this grid.
        """
        whole = self.domain.grid.shape
        cells = whole if self.carrier is None else (self.points.size,)
        wanted = {
            "conserved": (len(self.flow.interior), *whole),
            "burned": cells,
            "burn_rate": cells,
            "clock": (3,),
            "counts": (3,),
        }
        if self.carrier is not None:
            wanted["points"] = (3, self.points.size)
        for name, shape in wanted.items():
            if name not in state or np.shape(state[name]) != shape:
                got = np.shape(state[name]) if name in state else "nothing"
                raise ValueError(f"restart: '{name}' must have shape {shape}, got {got}")
        burned, rate = (np.asarray(state[name], float) for name in ("burned", "burn_rate"))
        at = None
        if self.carrier is None:
            self.burned, self.burn_rate = self.domain.cut(burned), self.domain.cut(rate)
        else:
            x, y, self.points.ledger = np.array(state["points"], float)
            at, self.points.burned = (x, y), burned.copy()
            self.burned, self.burn_rate = (a[self.carrier.born_here] for a in (burned, rate))
        time, self._dt_limit, released = (float(x) for x in state["clock"])
        self.released = released if self.domain.rank == 0 else 0.0
        steps, self.rejected, self.forced = (int(x) for x in state["counts"])
        self._put_back(self.domain.cut(np.asarray(state["conserved"])), time, steps, at)

    @property
    def points(self) -> MaterialPoints | None:
        """The material points, where they carry the closure's state."""
        return None if self.carrier is None else self.carrier.points

    def _make_flow(
        self, primitive: np.ndarray, material: Material, inflow: np.ndarray | None, cfl: float
    ) -> solver.Solver | MixtureFlow | NoFlow:
        domain = self.domain
        if not all(domain.shape):
            return NoFlow(domain.grid, material, 6 if self.two_phases else 5)
        grid, state = Grid(*domain.shape, domain.grid.pixel), domain.cut(primitive)
        options = {
            "material": material,
            "boundaries": domain.boundaries,
            "inflow": inflow,
            "cfl": cfl,
            "neighbours": domain.fill if domain.neighbours else None,
        }
        if self.two_phases:
            plane = domain.grid.ny > 1
            return MixtureFlow(grid, state, heat=self.heat, plane=plane, **options)
        return solver.Solver(grid, state, kinetics=INERT, **options)

    def _next_step(self) -> float:
        """The step (s) that the state allows on every rank."""
        return self.domain.least(lambda: self.flow.next_step)

    def _put_back(
        self,
        conserved: np.ndarray,
        time: float,
        steps: int,
        at: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> None:
        self.flow.interior[...] = conserved
        self.flow.time, self.flow.steps = time, steps
        self.flow.refresh()
        if at is not None:
            self.points.x, self.points.y = at

    def _outrun(self, dt: float) -> float | None:
        """A shorter dt to try if waves born in the step were too fast for it."""
        return 0.5 * dt if dt > FASTER_WAVES * self._next_step() else None

    def _inputs(self, W: np.ndarray) -> dict[str, np.ndarray]:
        """What the closure is given of its cells, in the order of `ids`, from primitive states W."""
        flow, ahead = self.flow, self.velocity_ahead
        pressure = flow.pressure if self.two_phases else eos.pressure(W[0], W[3], flow.material)
        extra = {"entropy": W[-1], "viscous_pressure": flow.q} if self.two_phases else {}
        extra = {name: extra[name] for name in self._extra}
        if self.carrier is None:
            speed = np.hypot(W[1] - ahead[0], W[2] - ahead[1])
            every = {"pressure": pressure, "velocity": speed, **extra}
            return {name: field.ravel() for name, field in every.items()}
        u, v = self.carrier.velocities(W[1:3])
        every = {name: self.carrier.gather(field) for name, field in {"pressure": pressure, **extra}.items()}
        every["velocity"] = np.hypot(u - ahead[0], v - ahead[1])
        return {name: values[self.carrier.born_here] for name, values in every.items()}

    def _burn(self, start: float, dt: float, least: float) -> float | None:
        """Closure and heat of one step; a shorter dt to try, the closure rolled back, if it went too far."""
        W = self.flow.primitive()
        given = self._inputs(W)
        closure = self.closure
        found = {}

        def advance() -> float:
            out = closure.advance(self.ids.ravel(), **given)
            found["F"] = checked_fraction(out, self.burned, self.ids)
            found["rate"] = np.array(out.burn_rate, float).reshape(self.burned.shape)
            return float(out.dt_max)

        closure.begin_step(start, dt)
        try:
            allowed = self.domain.least(advance)
        except BaseException:
            closure.rollback()
            raise
        F, rate = found["F"], found["rate"]
        too_far = dt > allowed * (1 + ROUND_OFF)
        if too_far and dt > least * (1 + ROUND_OFF):
            closure.rollback()
            return max(min(self.safety * allowed, 0.5 * dt), least)
        commit(closure)
        unburned = W[0] * np.maximum(1 - W[4], 0.0)
        share = burned_share(self.burned, F)
        self.burned, self.burn_rate = np.maximum(F, self.burned), rate
        if self.carrier is None:
            gain = unburned * share
        else:
            cell = self.domain.grid.pixel**2
            gain = self.carrier.scatter(self.carrier.everywhere(share), unburned * cell) / cell
            self.points.burned = self.carrier.everywhere(self.burned)
        self.flow.interior[3] += self.heat * gain
        self.flow.interior[4] += gain
        self.flow.refresh()
        self.released += self.heat * float(gain.sum()) * self.flow.grid.pixel**2
        self.forced += too_far
        self._dt_limit = np.inf if too_far else self.safety * allowed
        return None
