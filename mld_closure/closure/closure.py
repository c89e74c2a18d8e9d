"""The closure a hydrocode holds: the protocol of its calls, around the cells of one rank.

begin_step(t, dt) -> advance(...) any number of times -> commit() | rollback()

All calls are collective over the ranks that opened the closure; on one rank they are plain calls. A call that
fails on one rank fails on all, in the same words, and changes nothing.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..config import to_dict
from ..errors import ClosureError, name_cells
from ..fields import QUANTITIES
from ..grids import check_frame
from ..surrogate.facts import ModelFacts
from . import restart
from .arrival import AWAKE, LoadCapture
from .cells import NO_SERVER, Cells, CellState, Stage
from .clock import Clock
from .fallback import Fallback
from .frames import Frames
from .inputs import Ticket, host_array, id_array, merge, share
from .observe.records import PolicyRecords, check_parent
from .observe.shadow import FallbackShadow
from .options import Options
from .policies import check_pressure
from .ranks import Ranks
from .response import Response, at_rest
from .sources import Sources, make_source, measure
from .step import Motion, OpenStep, Stepper, no_calls

log = logging.getLogger("mld_closure")


@dataclass(frozen=True)
class Inputs:
    """What a call to `advance` brings: rows (None: all cells, in order), pressures (Pa), velocities (m/s)."""

    rows: np.ndarray | None
    ids: np.ndarray
    pressure: np.ndarray
    velocity: np.ndarray | None


class Closure:
    """Serves homogenised quantities of reacting cells, step by step; `mld_closure.open` makes one.

    Attributes
    ----------
    time : float or None, s
        End of the last committed step, None before the first.
    options : Options
        What was chosen at open.
    bundle : Bundle
        The trained networks that serve.
    """

    def __init__(
        self,
        bundle: Any,
        facts: ModelFacts,
        options: Options,
        ranks: Ranks,
        *,
        fallback: Fallback | None = None,
        capture: str | Path | None = None,
        failures: str | Path | None = None,
    ) -> None:
        policy = options.policy
        if fallback is None and "fallback" in (
            policy.on_extrapolation,
            policy.on_bad_result,
            policy.on_uncertain,
        ):
            raise ValueError("a policy is 'fallback' but no fallback was given; pass fallback=")
        if fallback is None and options.shadow.fallback:
            raise ValueError("shadow.fallback is set but no fallback was given; pass fallback=")
        if failures is not None:
            check_parent(failures)
        self.bundle, self.options, self.time = bundle, options, None
        self._facts, self._ranks, self._fallback = facts, ranks, fallback
        self._cells, self._sources = Cells(), Sources()
        self._failures = None if failures is None else Path(failures)
        self._records = None if capture is None else PolicyRecords(
            capture, self._describe_run, facts.pixel, facts.table
        )  # fmt: skip
        self._shadow = FallbackShadow(fallback, options.shadow.fallback) if options.shadow.fallback else None
        self._step: OpenStep | None = None
        self._tickets: list[Ticket] = []
        self._stepper: Stepper | None = None
        self._p_arrival = np.inf
        self._closed = False
        if options.engine.patch_shape is not None:
            self._prepare(options.engine.patch_shape)

    def __repr__(self) -> str:
        stages = ", ".join(f"{n} {name.lower()}" for name, n in self.status.items() if n) or "no cells"
        shape = self.options.engine.patch_shape
        patches = "patches of unknown size" if shape is None else f"patches of {shape[0]} x {shape[1]} pixels"
        return (
            f"<mld_closure.Closure: bundle {self._facts.bundle[:12]}, {self.options.engine.scale} scale, "
            f"{self.options.readout.kind} readout, {patches}\n"
            f" rank {self._ranks.rank} of {self._ranks.size}: {stages}; time {self.time} s>"
        )

    @property
    def ids(self) -> np.ndarray:
        """Ids (n,) of the cells of this rank, in the order in which `advance` takes them by default."""
        return self._cells.ids.copy()

    @property
    def status(self) -> dict[str, int]:
        """Number of cells of this rank in each stage."""
        counts = np.bincount(self._cells.state.stage, minlength=len(Stage))
        return {stage.name: int(counts[stage]) for stage in Stage}

    @property
    def cost(self) -> dict[str, float]:
        """Seconds that this rank has spent since the closure was opened, by part."""
        return self._ranks.cost

    @property
    def state(self) -> CellState:
        """A copy of the committed state of this rank's cells (n,), in the order of `ids`."""
        return self._cells.state.take(self._cells.all_rows)

    @property
    def comm(self) -> Any:
        """The closure's own communicator; None on one rank, and after `close`."""
        return self._ranks.comm if self._ranks.size > 1 else None

    def shadow_records(self, kind: str) -> np.ndarray:
        """Pairs of results (n,), one served and one computed beside it, of committed steps; SI units.

        kind: `readout`, the other readout of cells served on this rank (`surrogate.shadow.SHADOW`);
        `fallback`, the fallback on cells of this rank (`observe.shadow.FALLBACK_SHADOW`)."""
        shadow = {"readout": self._ranks.shadow, "fallback": self._shadow}[kind]
        if shadow is None:
            raise ValueError(f"no shadow of that kind; open with shadow={{'{kind}': share}}")
        return shadow.pairs.records()

    def register(
        self,
        ids: Any = (),
        *,
        patches: Any = None,
        specimen: Any = None,
        offsets: Any = None,
        pixel: float | None = None,
    ) -> None:
        """Add cells at rest that this rank is to own. Collective.

        Parameters
        ----------
        ids
            Ids (n,), whole numbers of up to 63 bits, each of which stands for one cell of one rank.
        patches
            Solid fractions (n, ny, nx) of the cells' patches, borrowed: leave them as they are.
        specimen, offsets
            In place of patches: the microstructure of the whole sample (`Specimen`), and (n, 2), x and y in
            m of each patch's corner of least x and y. A specimen is opened, and given, on every rank, also
            on those that own none of the cells.
        pixel
            Size of the patches' pixels (m), where known, is checked against the bundle's; a specimen's own
            always.

        Raises
        ------
        ClosureError
            For ids that repeat, patches of another size or pixel, and values outside [0, 1].
        """
        call = self._call("register cells")
        ids = call(self._new_ids, ids)
        count = 0 if ids is None else len(ids)
        shape = self._ranks.ownership.agree_on_patches(call, count, patches, specimen)
        shape = self.options.engine.patch_shape or shape
        new = call(self._new_cells, ids, patches, specimen, offsets, pixel, shape)
        self._ranks.settle(call)
        self._ranks.ownership.check_new(call, np.concatenate([self._cells.ids, ids]))
        if shape is not None and self._stepper is None:
            call(self._prepare, shape)
        self._ranks.settle(call)
        if new is not None:
            self._cells.add(ids, new[0])
            self._sources.add(new[1])
        self._ranks.ownership.use(specimen)

    def unregister(self, ids: Any = ()) -> None:
        """Forget cells that this rank owns, and free what they hold; ClosureError naming unknown ones.
        Collective."""
        call = self._call("unregister cells")
        rows = call(self._own_rows, ids, "unregister cells")
        state = self._cells.state.take(self._cells.all_rows[:0] if rows is None else rows)
        held = state.slot >= 0
        names = self._cells.ids[rows[held]] if rows is not None else np.empty(0, np.int64)
        nothing = np.full(len(names), -1)
        self._ranks.keep(
            call,
            names,
            state.take(held),
            state.server[held],
            nothing,
            nothing,
            np.zeros(len(names), bool),
            0.0,
        )
        if self._shadow is not None:
            self._shadow.forget(self._cells.ids[rows])
        self._sources.keep(self._cells.remove(rows))
        self._ranks.ownership.drop_unused(call, self._sources)

    def migrate(self, ids: Any = (), new_owner: Any = ()) -> None:
        """Hand cells (n,) of this rank to new owners (n,), or to one rank; their latent states stay where
        they are.

        Cells come behind those that a rank owns already, in the order of `ids`; a cell whose owner stays
        the same stays in its place. Collective."""
        call = self._call("migrate cells")
        ids = call(self._own_ids, ids, "migrate cells")
        rows, arrivals = self._ranks.ownership.migrate(call, self._cells, self._sources, ids, new_owner)
        self._sources.keep(self._cells.remove(rows))
        for names, state, source in arrivals:
            self._cells.add(names, state)
            self._sources.add(source)

    def begin_step(self, t: float, dt: float) -> None:
        """Open the step from t to t + dt (s). Collective.

        Ranks may differ by rounding: t and dt of rank 0 count where all agree within 1e-9. Raises
        ClosureError where a step is open, where time goes back, and where ranks open different steps."""
        call = self._call("begin a step")
        step = call(self._checked_step, t, dt) or (0.0, 0.0)
        t, dt = _agreed(self._ranks.settle(call, *step))
        self._step = OpenStep(t, dt, np.full(len(self._cells), NO_SERVER))

    def advance(self, ids: Any = None, *, pressure: Any = (), velocity: Any = None) -> Response:
        """Take cells of this rank from the committed state to the end of the open step. Collective.

        May be called any number of times, with all cells or some; the last call for a cell is committed,
        and a cell left out of a step stands still.

        Parameters
        ----------
        ids
            Cells (n,), all by default, in the order of registration.
        pressure
            (n,) in Pa, at the end of the step as far as the host knows it.
        velocity
            (n,) in m/s, along the shock, against the material ahead; without it loads go by pressure.

        Returns
        -------
        Response
            Arrays (n,); `dt_max` is the least of all ranks.

        Raises
        ------
        ClosureError
            With nothing changed: a line that names the cells and the cure.
        """
        call = self._call("advance")
        return self._advance(call, call(self._inputs, ids, pressure, velocity))

    def submit(self, ids: Any, *, pressure: Any, velocity: Any = None) -> Ticket:
        """Hand in a call to be made together with others; `wait` makes them, the ticket gives the result."""
        self._need_step("submit")
        given = self._inputs(ids, pressure, velocity)
        self._tickets.append(Ticket(given.ids, given.pressure, given.velocity))
        return self._tickets[-1]

    def wait(self) -> None:
        """Make all calls handed in, on all ranks, as one, which must name every cell once at most.
        Collective."""
        call = self._call("advance")
        call(self._need_step, "wait")
        tickets, self._tickets = self._tickets, []
        share(self._advance(call, call(lambda: self._inputs(*merge(tickets)))), tickets)

    def commit(self) -> None:
        """Make what the step's calls found the committed state, and close the step. Collective."""
        call = self._call("commit")
        outcomes = call(self._outcomes) or []
        step = self._step
        moved = [
            np.flatnonzero((o.keep & (o.block >= 0)) | (~o.keep & (o.state.slot >= 0))) for o in outcomes
        ]
        parts = list(zip(outcomes, moved, strict=True))
        rows = _joined([o.rows[m] for o, m in parts])
        state = CellState.join([CellState.new(0), *(o.state.take(m) for o, m in parts)])
        # a cell keeps the server it has; one that starts in this step goes to the one chosen for it
        chosen = step.server[rows] if step is not None else rows
        server = np.where(state.slot >= 0, state.server, chosen)
        block, place = (_joined([getattr(o, n)[m] for o, m in parts]) for n in ("block", "place"))
        keep = _joined([o.keep[m] for o, m in parts]).astype(bool)
        middle = 0.0 if step is None else step.t + 0.5 * step.dt
        slots = self._ranks.keep(call, self._cells.ids[rows], state, server, block, place, keep, middle)
        first = 0
        for outcome, m in parts:
            own = slice(first, first + len(m))
            outcome.state.slot[m], outcome.state.server[m] = (
                slots[own],
                np.where(keep[own], server[own], NO_SERVER),
            )
            first += len(m)
        flagged = self._stepper.write(step, outcomes) if self._stepper is not None else []
        self._step, self.time = None, step.t + step.dt
        if self._records is not None:
            self._records.write(step, self._cells, self._sources.gather, flagged)
        for shadow in self._shadows:
            shadow.commit()

    def rollback(self) -> None:
        """Drop everything found since `begin_step`; the committed state stands. Collective."""
        call = self._call("roll back")
        call(self._need_step, "roll back")
        self._ranks.settle(call)
        self._drop_step()

    def save(self, path: str | Path) -> None:
        """Write a restart folder, one file a rank and a manifest; what was there stays whole until it is
        replaced.

        Patches are not in it. Collective.
        """
        call = self._call("save")
        call(self._no_step, "save")
        self._ranks.restarts.save(call, path, self._cells, self._describe)

    def restore(self, path: str | Path, *, changed: Sequence[str] = ()) -> None:
        """Take the state of a restart folder written on any number of ranks. Collective.

        The same cells must be registered, in any order and on whatever ranks, with the same options;
        `changed` names options that may differ, such as "policy.on_extrapolation". The run goes on with the
        bits of the one that saved; on another number of ranks, or with cells in another order, in
        reproducible mode only.

        Raises
        ------
        ClosureError
            For another bundle, other cells, patches or options, and damaged files, with nothing changed.
        FileNotFoundError
            Where there is no restart.
        """
        call = self._call("restore")
        call(self._no_step, "restore")

        def check(facts: Any) -> None:
            restart.check(facts, self._facts.bundle, self.options, changed)
            restart.check_patches(facts, self._cells, self._sources)

        facts = self._ranks.restarts.load(call, path, self._cells, check)
        self.time, self._ranks.fitting = facts["time"], facts["fitting"]
        if self._shadow is not None:
            self._shadow.forget()

    def close(self) -> None:
        """Drop the open step, if there is one, and give memory and communicator back. Collective; closing
        twice is harmless."""
        self._step, self._tickets, self._stepper, self._closed = None, [], None, True
        self._sources, self._cells = Sources(), Cells()
        self._ranks.close()

    def __enter__(self) -> Closure:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _call(self, what: str) -> Any:
        if self._closed:
            raise ClosureError(f"the closure is closed: open another before you {what}")
        return self._ranks.attempt(what)

    def _advance(self, call: Any, given: Inputs | None) -> Response:
        """An advance of all ranks; one that fails is written down where that was asked for."""
        try:
            return self._make(call, given)
        except Exception as err:
            if self._failures is not None and (self._ranks.size == 1 or getattr(err, "everywhere", False)):
                self._record_failure(given, err)
            raise

    def _make(self, call: Any, given: Inputs | None) -> Response:
        """Look at the cells, let servers bring them to their frames, read them, and agree on dt_max."""
        rows, response, work, motion = call(self._look, given) or (None, None, None, None)
        step = self._step
        go = self._cells.all_rows[:0] if motion is None else motion.go
        if motion is None:
            answers = self._ranks.ask(call, *self._ask_nothing(), 0.0 if step is None else step.t + step.dt)
        else:
            answers = self._ranks.ask(
                call, motion.ids[go], motion.rows[go], motion.wanted[go], motion.state.take(go),
                self._sources, step.server, step.t + step.dt,
            )  # fmt: skip
        if answers is not None and len(go):
            call(self._stepper.take, motion, answers)
        if motion is None:
            found = None if call.error else no_calls(rows, given.pressure, self._cells)
        else:
            found = call(self._finish, rows, given, motion, response, work)
        dt_max = np.inf if response is None else response.dt_max
        response_dt = float(self._ranks.settle(call, dt_max).min())
        response.dt_max = response_dt
        step.calls.append(found)
        return response

    def _ask_nothing(self) -> tuple[Any, ...]:
        nothing = self._cells.all_rows[:0]
        return nothing, nothing, nothing, CellState.new(0), self._sources, np.empty(0, np.int64)

    def _look(self, given: Inputs) -> tuple[np.ndarray, Response, np.ndarray, Motion | None]:
        """Check what came in: rows (n,), a response of cells at rest, places (k,) of the cells that are
        shocked, and these on their way through the step, None where there are none."""
        step, p, u = self._need_step("advance"), given.pressure, given.velocity
        low, high = (p.min(), p.max()) if len(p) else (0.0, 0.0)
        if not (low >= 0 and high < np.inf):
            check_pressure(p, given.ids)
        state = self._cells.state
        stage = state.stage if given.rows is None else state.stage[given.rows]
        porosity = state.porosity.copy() if given.rows is None else state.porosity[given.rows]
        response = at_rest(given.ids, p.copy(), porosity, self._facts.table.T0)
        rows = self._cells.all_rows if given.rows is None else given.rows
        if not len(p) or (high < self._p_arrival and not stage.any()):
            return rows, response, rows[:0], None
        work = np.flatnonzero((stage != Stage.IDLE) | (p >= self._p_arrival))
        if u is not None and not np.isfinite(u[work]).all():
            bad = given.ids[work][~np.isfinite(u[work])]
            raise ClosureError(
                f"velocity of {name_cells(bad)} is not finite; repair the state of these cells", bad
            )
        if not len(work):
            return rows, response, work, None
        motion = self._stepper.prepare(step, rows[work], p[work], None if u is None else u[work])
        return rows, response, work, motion

    def _finish(
        self, rows: np.ndarray, given: Inputs, motion: Motion, response: Response, work: np.ndarray
    ) -> Any:
        call = self._stepper.finish(self._step, motion, response, work)
        return dataclasses.replace(call, rows=rows, pressure=given.pressure)

    def _outcomes(self) -> list[Any]:
        step = self._need_step("commit")
        if self._tickets:
            raise ClosureError(f"{len(self._tickets)} calls handed in and not made; call wait before commit")
        return self._stepper.outcomes(step) if self._stepper is not None and step.calls else []

    def _drop_step(self) -> None:
        self._ranks.forget()
        self._step, self._tickets = None, []
        for shadow in self._shadows:
            shadow.rollback()

    @property
    def _shadows(self) -> list[Any]:
        readout = self._ranks.shadow
        return [s for s in (self._shadow, None if readout is None else readout.pairs) if s is not None]

    def _new_ids(self, ids: Any) -> np.ndarray:
        self._no_step("register cells")
        ids = id_array(ids) if np.size(ids) else np.empty(0, np.int64)
        self._cells.check_new(ids)
        return ids

    def _new_cells(
        self, ids: np.ndarray, patches: Any, specimen: Any, offsets: Any, pixel: float | None, shape: Any
    ) -> tuple[CellState, Any] | None:
        """States of new cells and the source of their patches; None where this rank registers none."""
        if not len(ids) and patches is None and not np.size(offsets):
            return None
        source = make_source(patches, specimen, offsets, pixel, self._facts.pixel, shape)
        if source.count != len(ids):
            raise ClosureError(f"{len(ids)} ids but {source.count} patches; they must be as many")
        self._check_shape(source.shape)
        state = CellState.new(len(ids))
        state.porosity[:] = measure(source, ids)
        names = list(QUANTITIES)
        state.value[:, names.index("mean_temperature")] = self._facts.table.T0
        state.value[:, names.index("porosity")] = state.porosity
        return state, source

    def _own_ids(self, ids: Any, what: str) -> np.ndarray:
        self._no_step(what)
        return id_array(ids) if np.size(ids) else np.empty(0, np.int64)

    def _own_rows(self, ids: Any, what: str) -> np.ndarray:
        return self._cells.rows(self._own_ids(ids, what))

    def _checked_step(self, t: float, dt: float) -> tuple[float, float]:
        self._no_step("begin another")
        t, dt = float(t), float(dt)
        if not (np.isfinite(t) and np.isfinite(dt) and dt > 0):
            raise ClosureError(f"a step needs finite t and positive dt, got t = {t} s, dt = {dt} s")
        if self.time is not None and t < self.time - 1e-9 * max(dt, abs(self.time)):
            raise ClosureError(f"time goes back: step begins at {t} s, the last one ended at {self.time} s")
        return t, dt

    def _inputs(self, ids: Any, pressure: Any, velocity: Any) -> Inputs:
        self._need_step("advance")
        rows = None if ids is None else self._cells.rows(id_array(ids))
        names = self._cells.ids if rows is None else self._cells.ids[rows]
        p = host_array("pressure", pressure, len(names))
        kind = self.options.load.kind
        if velocity is None and kind == "incoming wave" and len(names):
            raise ClosureError(f"load = '{kind}' needs the velocity of the cells; pass velocity=")
        return Inputs(
            rows, names, p, None if velocity is None else host_array("velocity", velocity, len(names))
        )

    def _need_step(self, what: str) -> OpenStep:
        if self._step is None:
            raise ClosureError(f"no step is open: call begin_step before you {what}")
        return self._step

    def _no_step(self, what: str) -> None:
        if self._step is not None:
            raise ClosureError(
                f"the step from {self._step.t} s is open: commit or roll back before you {what}"
            )

    def _check_shape(self, shape: tuple[int, int]) -> None:
        check_frame(*shape)
        entry = self._facts.table.entry
        if shape[1] < entry:
            raise ClosureError(f"patches are {shape[1]} pixels wide, but the shock of frame 0 takes {entry}")

    def _prepare(self, shape: tuple[int, int]) -> None:
        """Everything that waits for the size of the patches."""
        self._check_shape(shape)
        ny, nx = (int(n) for n in shape)
        facts, table, options = self._facts, self._facts.table, self.options
        load, every = options.load, options.readout.read_every
        frames = options.engine.horizon or facts.horizon
        if every > frames:
            raise ValueError(f"read_every = {every} leaves no frame of {frames} to be read")
        weakest = facts.load_range[0]
        capture = LoadCapture(
            table, load.kind,
            p_arrival=load.p_arrival or AWAKE * float(table.shock_pressure(weakest)),
            window=load.window or nx * facts.pixel / float(table.shock_speed(weakest)),
            updates=load.updates, model_step=facts.model_step, load_range=facts.load_range,
            reset_weak=options.policy.on_weak_load == "reset",
        )  # fmt: skip
        clock = Clock(facts.model_step, facts.model_step * every, frames // every, load.history_exponent)
        self._stepper = Stepper(
            self._cells, self._sources.gather, capture, clock,
            Frames(clock, options.policy, facts.known, facts.default_spread), options.policy,
            (0.5 * nx - table.front_column) * facts.pixel, self._fallback, self._shadow,
        )  # fmt: skip
        self._ranks.prepare((ny, nx))
        self.options = dataclasses.replace(
            options, engine=dataclasses.replace(options.engine, patch_shape=(ny, nx))
        )
        self._p_arrival = capture.p_arrival

    def _describe(self) -> dict[str, Any]:
        return restart.describe(
            self._facts.bundle, self.time, self.options, self._ranks.fitting, self._cells, self._sources
        )

    def _describe_run(self) -> dict[str, Any]:
        return {"closure": to_dict(self.options), "bundle": self._facts.bundle}

    def _record_failure(self, given: Inputs | None, error: Exception) -> None:
        """Write a failing call to a folder of its own; not where a rank could not make sense of what it was
        given."""
        call, step = self._call("record a failure"), self._step
        known = given is not None and step is not None
        every = self._ranks.settle(call, not known, known and given.velocity is not None)
        if every[:, 0].any():
            return
        stage = self._cells.state.stage[self._cells.rows(given.ids)]
        work = np.flatnonzero((stage != Stage.IDLE) | ~(given.pressure < self._p_arrival))
        ids = given.ids[work]

        def arrays() -> dict[str, np.ndarray]:
            found = {"call_pressure": given.pressure[work]}
            if every[:, 1].any():
                found["call_velocity"] = (
                    np.zeros(len(work)) if given.velocity is None else given.velocity[work]
                )
            empty = np.empty((0, *(self.options.engine.patch_shape or (1, 1))), np.float32)
            found["patches"] = self._sources.gather(self._cells.rows(ids)) if len(ids) else empty
            return found

        text = f"{type(error).__name__}: {error}"
        facts = self._describe() | {"patches": {}, "t": step.t, "dt": step.dt, "error": text}
        self._ranks.restarts.record(call, self._failures, self._cells, ids, arrays, facts)


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.empty(0, np.int64), *parts])


def _agreed(steps: np.ndarray) -> tuple[float, float]:
    """t and dt of rank 0, from those of all ranks (size, 2); ClosureError unless all agree within 1e-9."""
    t, dt = (float(v) for v in steps[0])
    scale = np.array([max(abs(t), dt), dt])
    other = np.flatnonzero((np.abs(steps - steps[0]) > 1e-9 * scale).any(axis=1))
    if len(other):
        t2, dt2 = steps[other[0]]
        error = ClosureError(
            f"ranks open different steps: t = {t} s, dt = {dt} s on rank 0, t = {t2} s, dt = {dt2} s on rank "
            f"{other[0]}; give all ranks the same"
        )
        error.everywhere = True
        raise error
    return t, dt
