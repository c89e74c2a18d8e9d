"""One closure over the ranks of a communicator: each rank owns cells, and serving ranks hold their latents.

The rank that registers a cell owns it: it keeps the cell's clock, load and status. Its latent state is placed
on the serving rank with the least to do when the cell reacts, and stays there. All calls are collective; an
error on one rank is raised on every rank, in the same words, and changes nothing. `ids` and `status` tell of
a rank's own cells. The fallback serves cells on the rank that owns them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from ..closure.cells import NO_SLOT
from ..closure.closure import Closure
from ..closure.inputs import merge, share
from ..closure.policies import ClosureError
from ..closure.readout import Response
from ..closure.step import Call, Motion, OpenStep, Outcome
from . import failures, registry, restart
from .agree import Attempt
from .exchange import Exchange
from .placement import place
from .serving import DIRECT, MOVE, REQUEST, Server, request, take_answer

Inputs = Callable[[], tuple[Any, Any, Any]]


@dataclass
class Asked:
    """A call to `advance` on its way: what came in, the cells at work, and what their servers are asked."""

    step: OpenStep
    rows: np.ndarray
    pressure: np.ndarray
    response: Response
    work: np.ndarray
    motion: Motion | None
    requests: np.ndarray
    server: np.ndarray  # rank (k,) of each request, NO_SLOT for cells that have none yet

    @property
    def asking(self) -> np.ndarray:
        """Rows (k,) of the cells that need model steps."""
        return self.rows[:0] if self.motion is None else self.motion.rows[self.motion.go]


class DistributedClosure(Closure):
    """A `Closure` on several ranks; `open` makes one. `exchange` counts what it sends to other ranks.

    comm: a communicator of its own, freed by `close`. servers: the serving ranks, rising.
    """

    def __init__(self, comm: Any, servers: np.ndarray, *parts: Any, **options: Any) -> None:
        self.comm, self.servers, self.exchange = comm, servers, Exchange(comm)
        self.serves = bool(np.isin(comm.rank, servers))
        self.specimens: list[Any] = []  # by number of the call to `register`, the same on all ranks
        self.server: Server | None = None
        self._placed = np.empty(0, np.int64)  # serving rank by row, of cells that the open step starts
        self._seconds = {"exchange": 0.0, "wait": 0.0}
        capture = options.get("capture")
        if capture is not None:
            path = Path(capture)
            options["capture"] = path.with_name(f"{path.stem}-rank{comm.rank}{path.suffix}")
        super().__init__(*parts, **options)

    @property
    def cost(self) -> dict[str, float]:
        """Seconds spent by this rank, by part; `exchange` of rows, and `wait` for other ranks."""
        return {**super().cost, **self._seconds}

    def register(
        self,
        ids: Any = (),
        *,
        patches: Any = None,
        specimen: Any = None,
        offsets: Any = None,
        pixel: float | None = None,
    ) -> None:
        """Add cells at rest that this rank is to own; see `Closure.register`. Collective.

        A specimen is opened, and given, on every rank, also on those that own none of the cells. A rank
        without cells needs no other argument.
        """
        registry.register(self, ids, patches, specimen, offsets, pixel)
        self._placed = np.full(len(self.cells), NO_SLOT)

    def add(self, ids: np.ndarray, patches: Any, specimen: Any, offsets: Any, pixel: float | None) -> None:
        """Add cells on this rank alone; `register` makes sure that all ranks do."""
        super().register(ids, patches=patches, specimen=specimen, offsets=offsets, pixel=pixel)

    def unregister(self, ids: Any = ()) -> None:
        """Forget cells that this rank owns; see `Closure.unregister`. Collective."""
        registry.unregister(self, ids)
        self._placed = np.full(len(self.cells), NO_SLOT)

    def migrate(self, ids: Any = (), new_owner: Any = ()) -> None:
        """Hand cells (n,) of this rank to new owners (n,), or to one rank; their latents stay where they are.

        Cells come behind those that a rank owns already, in the order of `ids`. Collective.
        """
        registry.migrate(self, ids, new_owner)
        self._placed = np.full(len(self.cells), NO_SLOT)

    def begin_step(self, t: float, dt: float) -> None:
        """Open the same step on every rank; see `Closure.begin_step`. Collective."""
        attempt, before = Attempt(self.comm), self._step
        attempt(super().begin_step, t, dt)
        step = self._step if attempt.error is None else OpenStep(0.0, 0.0)
        try:
            _check_same(attempt.settle(step.t, step.dt))
        except ClosureError:
            self._step = before
            raise

    def advance(self, ids: Any = None, *, pressure: Any = (), velocity: Any = None) -> Response:
        """Take cells of this rank to the end of the open step; see `Closure.advance`. Collective.

        `dt_max` is the same on every rank: the least of all.
        """
        return self._together(lambda: (ids, pressure, velocity))

    def wait(self) -> None:
        """Make all calls handed in on all ranks as one; see `Closure.wait`. Collective."""
        tickets, self._tickets = self._tickets, []
        share(self._together(lambda: merge(tickets)), tickets)

    def commit(self) -> None:
        """Make what the step's calls found the committed state on every rank. Collective."""
        attempt = Attempt(self.comm)
        outcomes, moves, to = attempt(self._leave) or ([], np.empty(0, MOVE), np.empty(0, np.int64))
        step = self._step
        if self._settle(attempt, len(moves)).any():
            with self._timed("exchange"):
                got = self.exchange.plan(to).forward(moves)
            attempt(self.server.reserve, got)
            self._settle(attempt)
            self.server.apply(got, step.t + 0.5 * step.dt)
        elif self.server is not None:
            self.server.forget()
        for outcome in outcomes:
            slot = outcome.record["slot"]
            slot[...] = np.where(outcome.keep, np.maximum(slot, self._placed[outcome.rows]), NO_SLOT)
        flagged = self._stepper.write(step, outcomes) if self._stepper is not None else []
        self._end_step()
        self.time = step.t + step.dt
        self._recorder.policies(self, step, flagged)
        if self.shadow is not None:
            self.shadow.commit()

    def rollback(self) -> None:
        """Drop everything found since `begin_step`, on every rank. Collective."""
        attempt = Attempt(self.comm)
        attempt(self._need_step, "roll back")
        self._settle(attempt)
        if self.server is not None:
            self.server.forget()
        self._end_step()
        if self.shadow is not None:
            self.shadow.rollback()

    def save(self, path: str | Path) -> None:
        """Write a restart folder, one file a rank and one manifest, whole at every instant. Collective."""
        restart.save(self, path)

    def restore(self, path: str | Path) -> None:
        """Take the state of a restart folder of any number of ranks; see `Closure.restore`. Collective.

        The same cells must be registered, on whatever ranks. In reproducible mode the run goes on with the
        bits of the one that saved.
        """
        restart.restore(self, path)

    def close(self) -> None:
        """Give back memory and the communicator. Collective; closing twice is harmless."""
        super().close()
        self.server, self.specimens, self._placed = None, [], np.empty(0, np.int64)
        if self.comm is not None:
            self.comm.Free()
            self.comm = None

    def _prepare(self, shape: tuple[int, int]) -> None:
        super()._prepare(shape)
        self.server = Server(self._stepper.evolution, self._stepper.pool, self.specimens)

    def _end_step(self) -> None:
        self._step, self._tickets = None, []
        self._placed[:] = NO_SLOT

    @contextmanager
    def _timed(self, part: str) -> Iterator[None]:
        begun = perf_counter()
        try:
            yield
        finally:
            self._seconds[part] += perf_counter() - begun

    def _settle(self, attempt: Attempt, *numbers: float) -> np.ndarray:
        with self._timed("wait"):
            return attempt.settle(*numbers)

    def _together(self, inputs: Inputs) -> Response:
        """An advance of all ranks; one that fails is written down where that was asked for."""
        attempt = Attempt(self.comm)
        call = attempt(self._call, inputs)
        try:
            return self._make(attempt, call)
        except (ClosureError, FileNotFoundError) as err:
            if self._recorder.failures is not None and getattr(err, "everywhere", False):
                failures.record(self, self._recorder.failures, call, err)
            raise

    def _call(self, inputs: Inputs) -> failures.Call:
        """What this rank is asked to do."""
        step = self._need_step("advance")
        rows, p, u = self._inputs(*inputs())
        return failures.Call(step, rows, self.cells.ids if rows is None else self.cells.ids[rows], p, u)

    def _make(self, attempt: Attempt, call: failures.Call) -> Response:
        """Look, place, ask the servers, let them work, read, and agree."""
        asked = attempt(self._ask, call)
        numbers = (0, 0, 0) if asked is None else _counts(asked)
        loads = attempt(self._loads) or (0, 0)
        every = self._settle(attempt, *numbers, *loads).astype(np.int64)
        if every[:, 0].any():
            self._place(asked, every)
            answers = self._serve(attempt, asked, bool(every[:, 2].any()))
            if asked.motion is not None:
                self._take(asked.motion, answers)
        found = attempt(self._read, asked)
        asked.response.dt_max = float(self._settle(attempt, asked.response.dt_max).min())
        asked.step.calls.append(found)
        return asked.response

    def _ask(self, call: failures.Call) -> Asked:
        """What this rank's cells need, nothing changed."""
        step, p, u = call.step, call.pressure, call.velocity
        rows, response, work = self._look(call.rows, call.ids, p, u)
        if not len(work):
            nothing = np.empty(0, REQUEST), np.empty(0, np.int64)
            return Asked(step, rows, p, response, work, None, *nothing)
        motion = self._stepper.prepare(step, rows[work], p[work], None if u is None else u[work])
        go = motion.go
        record, at = motion.record[go], motion.rows[go]
        asked = request(motion.ids[go], motion.wanted[go], record)
        starts = record["frame"] < 0
        asked["specimen"][starts], offsets = registry.origins(self, at[starts])
        asked["x"][starts], asked["y"][starts] = offsets.T
        server = np.where(record["slot"] != NO_SLOT, record["slot"], self._placed[at])
        return Asked(step, rows, p, response, work, motion, asked, server)

    def _loads(self) -> tuple[int, int]:
        """Cells served here that are likely to take a model step in the open step, and all of them."""
        if self.server is None:
            return 0, 0
        step = self._need_step("advance")
        return self.server.due(step.t + step.dt), self.server.load

    def _place(self, asked: Asked, every: np.ndarray) -> None:
        """Give cells that start a server; every (size, 5): the numbers of all ranks."""
        due, held = every[self.servers, 3:].T
        chosen = self.servers[place(due, held, int(every[:, 1].sum()))]
        first = int(every[: self.comm.rank, 1].sum())
        new = asked.server == NO_SLOT
        asked.server[new] = chosen[first : first + int(new.sum())]
        self._placed[asked.asking] = asked.server

    def _serve(self, attempt: Attempt, asked: Asked, with_patches: bool) -> np.ndarray:
        """Ask, work, answer."""
        with self._timed("exchange"):
            plan = self.exchange.plan(asked.server)
            requests = plan.forward(asked.requests)
            patches = np.empty((0, *self.settings.patch_shape), np.float32)
            if with_patches:
                direct = _direct(asked.requests)
                given = self.sources.gather(asked.asking[direct]) if direct.any() else patches
                patches = self.exchange.plan(asked.server[direct]).forward(given)
        answers = attempt(self.server.run, requests, patches)
        self._settle(attempt)
        with self._timed("exchange"):
            return plan.back(answers)

    def _take(self, motion: Motion, answers: np.ndarray) -> None:
        part = motion.record[motion.go]
        take_answer(part, answers)
        motion.record[motion.go] = part
        motion.block[motion.go], motion.place[motion.go] = answers["block"], answers["place"]

    def _read(self, asked: Asked) -> Call:
        if asked.motion is None:
            return self._idle(asked.rows, asked.pressure)
        live = self._stepper.finish(asked.step, asked.motion, asked.response, asked.work)
        return Call(asked.rows, asked.pressure, live.live, live.record, live.block, live.place)

    def _leave(self) -> tuple[list[Outcome], np.ndarray, np.ndarray]:
        """What the open step leaves, what servers must keep or free for it, and which they are."""
        step = self._need_step("commit")
        if self._tickets:
            raise ClosureError(f"{len(self._tickets)} calls handed in and not made; call wait before commit")
        if self._stepper is None or not step.calls:
            return [], np.empty(0, MOVE), np.empty(0, np.int64)
        outcomes = self._stepper.outcomes(step)
        moves, to = [np.empty(0, MOVE)], [np.empty(0, np.int64)]
        for outcome in outcomes:
            slot, keep = outcome.record["slot"], outcome.keep
            said = np.flatnonzero((keep & (outcome.block >= 0)) | (~keep & (slot != NO_SLOT)))
            part = np.empty(len(said), MOVE)
            part["id"], part["keep"] = self.cells.ids[outcome.rows[said]], keep[said]
            part["block"], part["place"] = outcome.block[said], outcome.place[said]
            moves.append(part)
            to.append(np.where(slot[said] != NO_SLOT, slot[said], self._placed[outcome.rows[said]]))
        return outcomes, np.concatenate(moves), np.concatenate(to)


def _direct(requests: np.ndarray) -> np.ndarray:
    """Which requests (k,) need a patch that must travel."""
    return (requests["frame"] < 0) & (requests["specimen"] == DIRECT)


def _counts(asked: Asked) -> tuple[int, int, int]:
    """Requests, cells that have no server yet, and patches that must travel."""
    return len(asked.requests), int((asked.server == NO_SLOT).sum()), int(_direct(asked.requests).sum())


def _check_same(steps: np.ndarray) -> None:
    """ClosureError, on all ranks alike, unless all opened the same step; steps: (size, 2), t and dt."""
    other = np.flatnonzero((steps != steps[0]).any(axis=1))
    if len(other):
        (t, dt), (t2, dt2) = steps[0], steps[other[0]]
        raise ClosureError(
            f"ranks open different steps: t = {t} s, dt = {dt} s on rank 0, t = {t2} s, dt = {dt2} s on rank "
            f"{other[0]}; give all ranks the same"
        )
