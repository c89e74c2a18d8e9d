"""What carries requests from the owners of cells to the servers of their latent states, and answers back.

The rank that registers a cell owns it. Its latent state is placed on the serving rank with the least to do
when the cell starts, and stays there; only scalars travel. On one rank the same code runs on a
`SerialComm`, which copies nothing, and patches are cut where they are needed. All methods are collective.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

import numpy as np

from ..closure.cells import NO_SERVER, TO_SERVER, CellState
from ..closure.sources import Sources
from ..surrogate.cost import PARTS
from ..surrogate.curves import CurveEngine, CurveRollout
from ..surrogate.engine import Engine
from ..surrogate.messages import NO_SLOT, Answers
from ..surrogate.rollout import Rollout
from .agree import Attempt
from .exchange import Exchange, Plan
from .meeting import Meeting
from .placement import place
from .server import ANSWER, DIRECT, MOVE, READING, REQUEST, Parcels, Server, to_answers


class Transport:
    """Carries messages between the ranks of a communicator.

    Parameters
    ----------
    comm
        The communicator, a closure's own, freed by `close`.
    servers
        The serving ranks, rising.
    engine
        The networks at work, None on ranks that do not serve.
    make_rollout
        make_rollout(shape): the rollout of a serving rank for patches of (ny, nx) pixels.
    latent_shape, with_logvar
        latent_shape(shape): (channel, y, x) of what is kept of a cell with a patch of (ny, nx) pixels; and
        whether log-variances are kept too.
    meeting
        Where ranks compare notes.

    Attributes
    ----------
    server : Server or None
        Of this rank; there once the size of the patches is known, None on ranks that do not serve.
    specimens : dict
        The specimens in use, by a number that is the same on all ranks.
    exchange : Exchange
        Counts what is sent to other ranks.
    """

    def __init__(
        self,
        comm: Any,
        servers: np.ndarray,
        engine: Engine | CurveEngine | None,
        make_rollout: Callable[[tuple[int, int]], Rollout | CurveRollout],
        latent_shape: Callable[[tuple[int, int]], tuple[int, int, int]],
        with_logvar: bool,
        meeting: Meeting,
    ) -> None:
        self.comm: Any = comm
        self.servers: np.ndarray = servers
        self.engine = engine
        self.rank: int = int(comm.rank)
        self.size: int = int(comm.size)
        self.exchange: Exchange = Exchange(comm)
        self.server: Server | None = None
        self.specimens: dict[int, Any] = {}
        self.shape: tuple[int, int] | None = None
        self.with_logvar: bool = with_logvar
        self._meeting = meeting
        self._latent_shape = latent_shape
        self._make_rollout = make_rollout
        self._seconds = {"exchange": 0.0, "wait": 0.0}

    @property
    def cost(self) -> dict[str, float]:
        """Seconds spent by this rank, by part; `exchange` of rows, and `wait` for other ranks."""
        parts = dict.fromkeys(PARTS, 0.0) if self.engine is None else dict(self.engine.cost.seconds)
        return {**parts, **(self._seconds if self.size > 1 else {})}

    @property
    def traffic(self) -> tuple[int, int]:
        """Rows and bytes that this rank has sent to others."""
        return self.exchange.rows_sent, self.exchange.bytes_sent

    @property
    def shadow(self) -> Any:
        """The second reader of this rank's server, or None."""
        return None if self.server is None else self.server.rollout.shadow

    @property
    def fitting(self) -> int | None:
        """Largest micro-batch that has fitted in this rank's memory; None where it does not serve."""
        return None if self.engine is None else self.engine.fitting

    @fitting.setter
    def fitting(self, count: int | None) -> None:
        if self.engine is not None and count is not None:
            self.engine.fitting = count

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """(channel, y, x) of a latent state."""
        return self._latent_shape(self.shape or (0, 0))

    @property
    def lost(self) -> bool:
        """Whether a rank has gone, so that nothing but closing is left."""
        return self._meeting.lost is not None

    def attempt(self, what: str) -> Attempt:
        """A call of all ranks, up to the points where they compare notes."""
        return Attempt(self.comm, what, self._meeting)

    def prepare(self, shape: tuple[int, int]) -> None:
        """Make the server of this rank, for patches of (ny, nx) pixels. Not collective."""
        self.shape = shape
        if self.engine is not None:
            self.server = Server(self._make_rollout(shape))

    def settle(self, call: Attempt, *numbers: float) -> np.ndarray:
        """`Attempt.settle`, its waiting counted."""
        if self.size == 1:
            return call.settle(*numbers)
        before = call.waited
        try:
            return call.settle(*numbers)
        finally:
            self._seconds["wait"] += call.waited - before

    def ask(
        self,
        call: Attempt,
        ids: np.ndarray,
        rows: np.ndarray,
        wanted: np.ndarray,
        state: CellState,
        sources: Sources,
        chosen: np.ndarray,
        until: float,
    ) -> Answers | None:
        """Bring cells (k,) of this rank to the frames `wanted` (k,), wherever they are served.

        ids, rows (k,) and state of the cells, sources of all this rank's patches. chosen: server (n,), by
        row, of cells that the open step starts; filled in for new ones. until: end of the step (s). Returns
        None where no rank asks for anything."""
        requests, server = _NOTHING
        if len(ids):
            requests, server = call(self._requests, ids, rows, wanted, state, sources, chosen) or _NOTHING
        elif self.size == 1:
            self.settle(call)
            return None
        new = server == NO_SERVER
        direct = (requests["frame"] < 0) & (requests["specimen"] == DIRECT)
        loads = (0, 0) if self.server is None else (self.server.due(until), self.server.load)
        every = self.settle(call, len(requests), new.sum(), direct.sum(), *loads).astype(np.int64)
        if not every[:, 0].any():
            return None
        if new.any():
            due, held = every[self.servers, 3:5].T
            places = self.servers[place(due, held, int(every[:, 1].sum()))]
            first = int(every[: self.rank, 1].sum())
            server[new] = places[first : first + int(new.sum())]
        chosen[rows] = server
        return self._serve(call, requests, server, rows, direct, bool(every[:, 2].any()), sources)

    def keep(
        self,
        call: Attempt,
        ids: np.ndarray,
        slot: np.ndarray,
        server: np.ndarray,
        block: np.ndarray,
        place: np.ndarray,
        keep: np.ndarray,
        time: float,
    ) -> np.ndarray:
        """Have latent states of cells (k,) of this rank kept or freed, and all else of the step forgotten.

        slot, server (k,): where they are, or are to be. block, place (k,): where their servers have them,
        -1 for cells that took no frame. time (s): the middle of the step. Returns slots (k,)."""
        if self.size == 1 and not len(ids):
            self.settle(call)
            self.forget()
            return _NOTHING[1]
        moves = np.empty(len(ids), MOVE)
        columns = {"id": ids, "slot": slot, "block": block, "place": place, "keep": keep}
        for name, values in columns.items():
            moves[name] = values
        if not self.settle(call, len(moves)).any():
            self.forget()
            return np.empty(0, np.int32)
        with self._timed("exchange"):
            plan = self.exchange.plan(server)
            come = plan.forward(moves)
        if self.server is not None:
            call(self.server.reserve, come)
        self.settle(call)
        slots = np.empty(0, np.int32) if self.server is None else self.server.keep(come, time)
        with self._timed("exchange"):
            return plan.back(slots)

    def forget(self) -> None:
        """Forget what servers computed in the open step. Not collective."""
        if self.server is not None:
            self.server.forget()

    def origins(self, sources: Sources, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Number of the specimen (k,) of each row's patch, DIRECT without one, and its offset (k, 2) in m."""
        specimens, which, offsets = sources.origins(rows)
        numbers = {id(specimen): number for number, specimen in self.specimens.items()}
        known = np.array([numbers.get(id(specimen), DIRECT) for specimen in specimens] + [DIRECT], np.int32)
        return known[which], offsets

    def close(self) -> None:
        """Give back memory and the communicator."""
        self.server, self.specimens, self.engine = None, {}, None
        if self.comm is not None:
            if not self.lost:
                self.comm.Free()
            self.comm = None

    def _requests(
        self,
        ids: np.ndarray,
        rows: np.ndarray,
        wanted: np.ndarray,
        state: CellState,
        sources: Sources,
        chosen: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Requests (k,), and the rank (k,) that each goes to, NO_SERVER where none is chosen yet."""
        requests = np.zeros(len(ids), REQUEST)
        requests["id"], requests["wanted"], requests["specimen"] = ids, wanted, DIRECT
        for name in TO_SERVER:
            requests[name] = getattr(state, name)
        starts = state.frame < 0
        if self.size > 1:
            requests["specimen"][starts], offsets = self.origins(sources, rows[starts])
            requests["x"][starts], requests["y"][starts] = offsets.T
        return requests, np.where(state.slot != NO_SLOT, state.server, chosen[rows]).astype(np.int64)

    def _serve(
        self,
        call: Attempt,
        requests: np.ndarray,
        server: np.ndarray,
        rows: np.ndarray,
        direct: np.ndarray,
        with_patches: bool,
        sources: Sources,
    ) -> Answers:
        """Send requests, let servers work, and bring the answers back."""
        if self.size == 1:
            found = call(self.server.run, requests, lambda positions: sources.gather(rows[positions]))
            self.settle(call)
            return to_answers(*found)
        empty = np.empty((0, *self.shape), np.float32)
        given = call(sources.gather, rows[direct]) if direct.any() else empty
        if with_patches:
            self.settle(call)
        with self._timed("exchange"):
            plan = self.exchange.plan(server)
            come = plan.forward(requests)
            patches = self.exchange.plan(server[direct]).forward(given) if with_patches else empty
        answers, readings = call(self._work, come, patches) or (np.empty(0, ANSWER), np.empty(0, READING))
        self.settle(call)
        return self._bring_back(plan, requests, come, answers, readings)

    def _work(self, requests: np.ndarray, patches: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """What this rank's server answers."""
        if self.server is None:
            return None
        return self.server.run(requests, Parcels(requests, patches, self.specimens, self.shape))

    def _bring_back(
        self, plan: Plan, sent: np.ndarray, come: np.ndarray, answers: np.ndarray, readings: np.ndarray
    ) -> Answers:
        with self._timed("exchange"):
            frames = [(r["wanted"] - r["frame"]).astype(np.int64) for r in (come, sent)]
            return to_answers(plan.back(answers), plan.back_many(readings, *frames))

    @contextmanager
    def _timed(self, part: str) -> Iterator[None]:
        begun = perf_counter()
        try:
            yield
        finally:
            self._seconds[part] += perf_counter() - begun


_NOTHING = np.empty(0, REQUEST), np.empty(0, np.int64)
