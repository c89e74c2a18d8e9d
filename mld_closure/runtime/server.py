"""The server on one rank: latent states for cells of any owner, and the messages in which they are asked for.

The owner's state of a cell is the truth. A request says all that model frames need, and neither its size nor
that of an answer depends on the size of a latent state. Message types are made from `cells.CellState`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..closure.cells import COLUMNS, FROM_SERVER, TO_SERVER
from ..closure.sources import SpecimenPatches
from ..errors import ClosureError, name_cells
from ..fields import QUANTITIES
from ..surrogate.curves import CurveRollout
from ..surrogate.messages import DRAWS, NO_SLOT, Answers, Requests
from ..surrogate.pool import Pool
from ..surrogate.rollout import Rollout

DIRECT = -1  # number of the specimen of a cell whose patch was given directly


def _columns(names: tuple[str, ...]) -> list[Any]:
    return [(name, COLUMNS[name]["dtype"]) for name in names]


# specimen, x, y (m): of the patch, for cells that have no frame yet
REQUEST = np.dtype(
    [("id", "i8"), ("wanted", "i4"), ("specimen", "i4"), ("x", "f8"), ("y", "f8"), *_columns(TO_SERVER)]
)
ANSWER = np.dtype([("block", "i4"), ("place", "i4"), ("reached", "i4"), *_columns(FROM_SERVER)])
READING = np.dtype(
    [("values", "f8", (len(QUANTITIES),)), ("draws", "f8", (DRAWS,))]
)  # one per frame asked for
MOVE = np.dtype([("id", "i8"), ("slot", "i4"), ("block", "i4"), ("place", "i4"), ("keep", "?")])


class Server:
    """Latent states by slot. What a step computes is held beside them until `keep` or `forget`.

    `load`: cells served, those of the open step included.
    """

    def __init__(self, rollout: Rollout | CurveRollout) -> None:
        self.rollout: Rollout | CurveRollout = rollout
        self.pool: Pool = rollout.pool
        self._id = np.empty(0, np.int64)  # by slot
        self._used = np.empty(0, bool)  # by slot
        self._stepped = np.empty(0)  # s, by slot: middle of the step in which a cell last took model frames
        self._guests = np.empty(0, np.int64)  # ids of cells that the open step starts

    @property
    def load(self) -> int:
        """Cells served, those of the open step included."""
        return int(self._used.sum()) + len(self._guests)

    def due(self, time: float) -> int:
        """How many of them are likely to need a model frame by `time` (s): one frame after their last."""
        soon = time * (1 + 1e-9) - self.rollout.frame_step
        return int((self._used & (self._stepped <= soon)).sum()) + len(self._guests)

    def run(
        self, requests: np.ndarray, patches: Callable[[np.ndarray], np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Answers (k,) and readings to requests (k,); patches(positions) of those that start."""
        ids, slot = requests["id"], requests["slot"]
        starts = requests["frame"] < 0
        lost = ~starts & (slot < 0)
        held = slot >= 0
        lost[held] |= ~self._used[slot[held]] | (self._id[slot[held]] != ids[held])
        if lost.any():
            raise ClosureError(f"no latent state is held here for {name_cells(ids[lost])}", ids[lost])
        self._guests = np.union1d(self._guests, ids[slot == NO_SLOT])
        if not len(ids):
            return np.empty(0, ANSWER), np.empty(0, READING)
        columns = {name: requests[name] for name in TO_SERVER}
        got = self.rollout.run(
            Requests(id=ids, wanted=requests["wanted"].astype(np.int64), patches=patches, **columns)
        )
        answers, readings = np.empty(len(ids), ANSWER), np.empty(len(got.values), READING)
        for name in ("block", "place", "reached", *FROM_SERVER):
            answers[name] = getattr(got, name)
        readings["values"], readings["draws"] = got.values, got.draws
        return answers, readings

    def reserve(self, moves: np.ndarray) -> None:
        """Make sure that `keep` cannot fail."""
        self.pool.reserve(int((moves["keep"] & (moves["slot"] == NO_SLOT)).sum()))

    def keep(self, moves: np.ndarray, time: float) -> np.ndarray:
        """Keep or free latent states as their owners say, and forget all else of a step.

        time (s): the middle of the step. Returns the slot (k,) of each cell, NO_SLOT for those freed.
        """
        slots = moves["slot"].astype(np.int64)
        gone = slots[~moves["keep"] & (slots != NO_SLOT)]
        self.pool.release(gone)
        self._used[gone] = False
        new = moves["keep"] & (slots == NO_SLOT)
        slots[new] = self.hold(moves["id"][new])
        kept = moves["keep"]
        self.rollout.store(slots[kept], moves["block"][kept], moves["place"][kept])
        self._stepped[slots[kept]] = time
        self.forget()
        slots[~kept] = NO_SLOT
        return slots.astype(np.int32)

    def forget(self) -> None:
        """Forget what the open step computed."""
        self.rollout.forget()
        self._guests = np.empty(0, np.int64)

    def hold(self, ids: np.ndarray) -> np.ndarray:
        """Slots (k,) for cells that have none yet."""
        slots = self.pool.take(len(ids)).astype(np.int64)
        more = len(self.pool.mean) - len(self._used)
        if more > 0:
            self._id = np.append(self._id, np.zeros(more, np.int64))
            self._used = np.append(self._used, np.zeros(more, bool))
            self._stepped = np.append(self._stepped, np.full(more, -np.inf))
        self._id[slots], self._used[slots], self._stepped[slots] = ids, True, -np.inf
        return slots

    def held(self) -> tuple[np.ndarray, np.ndarray]:
        """Ids and slots (k,) of the cells whose latent states are kept here."""
        slots = np.flatnonzero(self._used)
        return self._id[slots], slots

    def clear(self, count: int) -> None:
        """Forget everything, and make room for `count` cells."""
        self.pool.reset(count)
        self._id, self._used, self._stepped = np.empty(0, np.int64), np.empty(0, bool), np.empty(0)
        self.forget()


class Parcels:
    """Patches that have travelled, or are cut here, for requests (k,) of which some start.

    patches (m, y, x): of the requests that start and whose patch was given directly, in their order.
    """

    def __init__(
        self, requests: np.ndarray, patches: np.ndarray, specimens: dict[int, Any], shape: tuple[int, int]
    ) -> None:
        self._which, self._shape = requests["specimen"], shape
        self._number = np.zeros(len(requests), np.int64)
        self._sources: dict[int, Any] = {DIRECT: patches}
        starts = requests["frame"] < 0
        for which in np.unique(self._which[starts]):
            mine = starts & (self._which == which)
            self._number[mine] = np.arange(mine.sum())
            if which != DIRECT:
                offsets = np.stack([requests["x"][mine], requests["y"][mine]], axis=1)
                self._sources[int(which)] = SpecimenPatches(specimens[int(which)], offsets, shape)

    def __call__(self, positions: np.ndarray) -> np.ndarray:
        """Patches (p, ny, nx), float32, of the requests at these positions."""
        out = np.empty((len(positions), *self._shape), np.float32)
        for which in np.unique(self._which[positions]):
            mine, source = self._which[positions] == which, self._sources[int(which)]
            number = self._number[positions[mine]]
            out[mine] = source[number] if which == DIRECT else source.gather(number)
        return out


def to_answers(answers: np.ndarray, readings: np.ndarray) -> Answers:
    """Answers and readings as their owner takes them."""
    columns = {name: answers[name] for name in FROM_SERVER}
    return Answers(
        answers["block"], answers["place"], answers["reached"].astype(np.int64), **columns,
        values=readings["values"], draws=readings["draws"],
    )  # fmt: skip
