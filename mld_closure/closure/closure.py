"""The closure a hydrocode holds: the protocol of its calls, around the cells of one rank.

begin_step(t, dt) -> advance(...) any number of times -> commit() | rollback()

All calls are collective over the ranks that opened the closure; on one rank they are plain calls. A call that
fails on one rank fails on all, in the same words, and changes nothing.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..config import to_dict
from ..errors import ClosureError, CollectiveError
from ..surrogate.facts import ModelFacts
from . import restart
from .advancing import Advancing, Inputs
from .cells import Cells, CellState, Stage
from .fallback import Fallback
from .inputs import id_array
from .ledger import Books, Ledger, gained
from .moves import Moves
from .observe.failures import Failure
from .observe.records import PolicyRecords, check_parent
from .observe.shadow import FallbackShadow
from .open_step import OpenStep, agreed_step, checked_step
from .options import Options
from .planning import frames_read, make_stepper
from .plausible import Plausibility
from .policies import check_velocity, highest_pressure
from .queries import facts_of
from .ranks import Ranks
from .registration import check_shape, new_cells
from .response import Response, committed
from .sources import Sources
from .step import Stepper
from .waiting import Ticket, Waiting, merge, share

log: logging.Logger = logging.getLogger("mld_closure")


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

    Examples
    --------
    A step that the host rejects leaves no trace:

    >>> import numpy as np, mld_closure as mld
    >>> with mld.open(mld.testing.random_networks(base=2), device="cpu") as closure:
    ...     closure.register([7], patches=np.ones((1, 32, 96), np.float32))
    ...     closure.begin_step(0.0, 2e-9)
    ...     _ = closure.advance(pressure=[9e9])
    ...     closure.rollback()
    ...     closure.begin_step(0.0, 1e-9)
    ...     _ = closure.advance(pressure=[1e5])
    ...     closure.commit()
    ...     closure.status["IDLE"], closure.time
    (1, 1e-09)
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
        if fallback is None:
            options.check_without_fallback()
        frames_read(facts, options)
        if failures is not None:
            check_parent(failures)
        self.bundle: Any = bundle
        self.options = options
        self.time = None
        self._facts, self._ranks, self._fallback = facts, ranks, fallback
        self._cells, self._sources = Cells(), Sources()
        self._failures = None if failures is None else Path(failures)
        self._records = None if capture is None else PolicyRecords(
            capture, self._describe_run, facts.pixel, facts.table
        )  # fmt: skip
        self._shadow = FallbackShadow(fallback, options.shadow.fallback) if options.shadow.fallback else None
        self._watch = Plausibility(facts.model_step * facts.horizon)
        parts = self._cells, self._sources, facts, self._watch, options.load.kind, ranks
        self._advancing = Advancing(*parts)
        self._books, self._waiting = Books(), Waiting()
        self._step: OpenStep | None = None
        self._stepper: Stepper | None = None
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
    def traffic(self) -> tuple[int, int]:
        """Rows and bytes that this rank has sent to other ranks since the closure was opened."""
        return self._ranks.traffic

    @property
    def state(self) -> CellState:
        """A copy of the committed state of this rank's cells (n,), in the order of `ids`."""
        return self._cells.state.take(self._cells.all_rows)

    @property
    def facts(self) -> dict[str, float]:
        """What a host needs to know before it registers cells, by name (`closure.queries.facts_of`)."""
        return facts_of(self._facts, self.options)

    @property
    def warnings(self) -> int:
        """How often numbers of the host were warned of, as they look like another unit."""
        return self._watch.warnings

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
        parts: Any = None,
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
        parts
            Column parts (n,) of the patches, from 0, that the cells are points of, for bundles of burn
            curves; -1 stands for the whole patch, which is the default.

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
        new = call(new_cells, self._facts, self._watch, ids, patches, specimen, offsets, pixel, shape, parts)
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
        there = self._cells.all_rows[:0] if rows is None else rows
        there = there[self._cells.state.slot[there] >= 0]
        slot, server = self._cells.state.slot[there], self._cells.state.server[there]
        nothing, names = np.full(len(there), -1), self._cells.ids[there]
        self._ranks.keep(call, names, slot, server, nothing, nothing, np.zeros(len(there), bool), 0.0)
        if self._shadow is not None:
            self._shadow.forget(self._cells.ids[rows])
        self._books.gone += float(self._cells.state.burned_mass[rows].sum())
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
        call(self._no_step, "begin another")
        step = call(checked_step, t, dt, self.time) or (0.0, 0.0)
        t, dt = agreed_step(self._ranks.settle(call, *step))
        self._watch.step(t, dt, self.time)
        self._step = OpenStep(t, dt, len(self._cells))

    def advance(
        self,
        ids: Any = None,
        *,
        pressure: Any = (),
        velocity: Any = None,
        mass: Any = None,
        entropy: Any = None,
    ) -> Response:
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
        mass
            (n,) in kg, of the cells' material, for the ledger; 1 kg each by default.
        entropy
            (n,) in J/kg, of the cells' solid, as the thermal energy that it would have at its density at
            rest, (e - e_cold) / (rho / rho0)^Gruneisen; for bundles that tell a load by it.

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
        return self._advance(call, call(self._inputs, ids, pressure, velocity, mass, entropy))

    def submit(
        self, ids: Any, *, pressure: Any, velocity: Any = None, mass: Any = None, entropy: Any = None
    ) -> Ticket:
        """Hand in a call to be made together with others; `wait` makes them, the ticket gives the result.

        Not collective. Raises ClosureError, and takes nothing in, as `advance` does for what is wrong with
        the call itself, and for cells of another call that waits."""
        self._need_step("submit")
        given = self._inputs(ids, pressure, velocity, mass, entropy)
        highest_pressure(given.pressure, given.ids)
        rows = self._cells.all_rows if given.rows is None else given.rows
        if given.velocity is not None:
            awake = (given.pressure >= self._p_arrival) | (self._cells.state.stage[rows] != Stage.IDLE)
            check_velocity(given.velocity[awake], given.ids[awake])
        ticket = Ticket(given.ids, given.pressure, given.velocity, given.mass, given.entropy)
        self._waiting.add(ticket, rows, len(self._cells))
        return ticket

    def wait(self) -> None:
        """Make all calls handed in, on all ranks, as one, which must name every cell once at most.
        Collective."""
        call = self._call("advance")
        call(self._need_step, "wait")
        tickets = self._waiting.take()
        share(self._advance(call, call(lambda: self._inputs(*merge(tickets)))), tickets)

    def commit(self) -> None:
        """Make what the step's calls found the committed state, and close the step. Collective."""
        call = self._call("commit")
        outcomes = call(self._outcomes) or []
        step = self._step
        moves = Moves.of(outcomes, step)
        names, middle = self._cells.ids[moves.rows], 0.0 if step is None else step.t + 0.5 * step.dt
        where = moves.slot, moves.server, moves.block, moves.place, moves.keep
        moves.settle(self._ranks.keep(call, names, *where, middle))
        self._books.last = gained(step, self._cells)
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

    def read(self, ids: Any = None) -> Response:
        """The committed state of cells (n,) of this rank, all by default, as after a restart: burned
        fractions, hot spots, temperatures, pressures, porosities, status and burned mass.

        Rates and uncertainty, which belong to a step, are NaN. Not collective. Raises ClosureError naming
        unknown cells."""
        rows = self._cells.all_rows if ids is None else self._cells.rows(id_array(ids))
        return committed(self._cells.ids[rows], self._cells.state.take(rows), self._facts.heat)

    def ledger(self, *, everywhere: bool = False) -> Ledger:
        """What the cells of this rank have burned, and the heat of it; with `everywhere` those of all ranks,
        which is collective."""
        masses = self._books.masses(self._cells, self._step)
        if everywhere:
            masses = self._ranks.settle(self._call("sum over ranks"), *masses).sum(axis=0)
        return Ledger.of(*masses, self._facts.heat)

    def sum_over_ranks(self, work: Callable[[], float]) -> float:
        """The sum over all ranks of what work() returns on each, such as a count. Collective."""
        call = self._call("sum over ranks")
        value = call(work)
        return float(self._ranks.settle(call, 0.0 if value is None else value).sum())

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
        self.time: Any = facts["time"]
        self._ranks.fitting = facts["fitting"]
        if self._shadow is not None:
            self._shadow.forget()

    def close(self) -> None:
        """Drop the open step, if there is one, and give memory and communicator back. Collective; closing
        twice is harmless.

        Raises CollectiveError, the closure being closed, where other ranks are in another call."""
        if self._closed:
            return
        call = self._ranks.attempt("close")
        try:
            if not self._ranks.lost:
                self._ranks.settle(call)
        finally:
            self._give_back()

    def _give_back(self) -> None:
        self._step, self._waiting, self._stepper, self._closed = None, Waiting(), None, True
        self._sources, self._cells = Sources(), Cells()
        if self._records is not None:
            self._records.close()
        self._ranks.close()

    def __enter__(self) -> Closure:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            self.close()
        except CollectiveError:
            if kind is None:  # else what went wrong before says more
                raise

    def _call(self, what: str) -> Any:
        if self._closed:
            raise ClosureError(f"the closure is closed: open another before you {what}")
        return self._ranks.attempt(what)

    def _advance(self, call: Any, given: Inputs | None) -> Response:
        """An advance of all ranks; one that fails is written down where that was asked for."""
        try:
            return self._advancing.together(call, self._step, self._stepper, given)
        except CollectiveError:
            raise  # a failing call is written by all ranks together
        except Exception as err:
            if self._failures is not None and (self._ranks.size == 1 or getattr(err, "everywhere", False)):
                self._record_failure(given, err)
            raise

    def _outcomes(self) -> list[Any]:
        step = self._need_step("commit")
        if len(self._waiting):
            raise ClosureError(f"{len(self._waiting)} calls handed in and not made; call wait before commit")
        return self._stepper.outcomes(step) if self._stepper is not None and step.calls else []

    def _drop_step(self) -> None:
        self._ranks.forget()
        self._step, self._waiting = None, Waiting()
        for shadow in self._shadows:
            shadow.rollback()

    @property
    def _p_arrival(self) -> float:
        """Pressure (Pa) that marks an arrival."""
        return np.inf if self._stepper is None else self._stepper.capture.p_arrival

    @property
    def _shadows(self) -> list[Any]:
        readout = self._ranks.shadow
        return [s for s in (self._shadow, None if readout is None else readout.pairs) if s is not None]

    def _new_ids(self, ids: Any) -> np.ndarray:
        self._no_step("register cells")
        ids = id_array(ids)
        self._cells.check_new(ids)
        return ids

    def _own_ids(self, ids: Any, what: str) -> np.ndarray:
        self._no_step(what)
        return id_array(ids)

    def _own_rows(self, ids: Any, what: str) -> np.ndarray:
        return self._cells.rows(self._own_ids(ids, what))

    def _inputs(self, ids: Any, *given: Any) -> Inputs:
        self._need_step("advance")
        return self._advancing.inputs(ids, *given)

    def _need_step(self, what: str) -> OpenStep:
        if self._step is None:
            raise ClosureError(f"no step is open: call begin_step before you {what}")
        return self._step

    def _no_step(self, what: str) -> None:
        if self._step is not None:
            raise ClosureError(
                f"the step from {self._step.t} s is open: commit or roll back before you {what}"
            )

    def _prepare(self, shape: tuple[int, int]) -> None:
        """Everything that waits for the size of the patches."""
        check_shape(self._facts, shape)
        ny, nx = (int(n) for n in shape)
        self._stepper = make_stepper(
            self._facts,
            self.options,
            self._cells,
            self._sources.gather,
            (ny, nx),
            self._fallback,
            self._shadow,
        )
        self._ranks.prepare((ny, nx))
        engine = dataclasses.replace(self.options.engine, patch_shape=(ny, nx))
        self.options: Options = dataclasses.replace(self.options, engine=engine)

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
        told = (None, None) if given is None else (given.velocity, given.entropy)
        every = self._ranks.settle(call, not known, *(known and g is not None for g in told))
        if every[:, 0].any():
            return
        failure = Failure(step.t, step.dt, given.ids, given.pressure, *told, error)
        shape = self.options.engine.patch_shape or (1, 1)
        failure.write(
            call, self._ranks.restarts, self._failures, self._cells, self._sources, self._p_arrival, shape,
            told=tuple(every[:, 1:].any(axis=0).tolist()), facts=self._describe(),
        )  # fmt: skip
