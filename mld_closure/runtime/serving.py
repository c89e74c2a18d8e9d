"""The latent states that a rank holds for cells of any owner, and the messages in which they are asked for.

The owner's record of a cell is the truth; a server knows latents by id and nothing else, so a request says
all that a model step needs, and neither its size nor that of an answer depends on the size of a latent.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..closure.cells import CELL, NEW, NO_SLOT, Pool
from ..closure.policies import ClosureError, cells
from ..closure.sources import SpecimenPatches
from ..surrogate.rollout import Block, Evolution

DIRECT = -1  # number of the specimen of a cell whose patch was given directly
_BACK = ("solid", "spread", "left", "right", "draws", "flags", "frame", "life", "relax", "relaxing")
_SENT = ("up", "value", *_BACK)


def _columns(names: tuple[str, ...]) -> list[Any]:
    return [(name, CELL.fields[name][0]) for name in names]


# specimen, x, y (m): of the patch, for cells that have no frame yet
REQUEST = np.dtype(
    [("id", "i8"), ("wanted", "i4"), ("specimen", "i4"), ("x", "f8"), ("y", "f8"), *_columns(_SENT)]
)
ANSWER = np.dtype([("block", "i4"), ("place", "i4"), *_columns(_BACK)])
MOVE = np.dtype([("id", "i8"), ("block", "i4"), ("place", "i4"), ("keep", "?")])


def request(ids: np.ndarray, wanted: np.ndarray, record: np.ndarray) -> np.ndarray:
    """Requests (k,) for cells to be brought to the frames wanted; their patches are still to be filled in."""
    out = np.zeros(len(ids), REQUEST)
    out["id"], out["wanted"] = ids, wanted
    for name in _SENT:
        out[name] = record[name]
    return out


def take_answer(record: np.ndarray, answers: np.ndarray) -> None:
    """Write answers (k,) into records (k,)."""
    for name in _BACK:
        record[name] = answers[name]


class Parcels:
    """The patches of cells that a server is asked to start, by id; what `Evolution` calls its sources."""

    def __init__(self, shape: tuple[int, int], specimens: list[Any]) -> None:
        self.shape, self.specimens = shape, specimens
        self._ids = np.empty(0, np.int64)

    def expect(self, requests: np.ndarray, patches: np.ndarray) -> None:
        """Take in requests (k,) of cells that start; patches (m, y, x) of those given directly, in order."""
        order = np.argsort(requests["id"])
        self._ids = requests["id"][order]
        self._which = requests["specimen"][order]
        number = np.zeros(len(requests), np.int64)
        self._sources = {DIRECT: patches}
        for which in np.unique(self._which):
            mine = requests["specimen"] == which
            number[mine] = np.arange(mine.sum())
            if which != DIRECT:
                offsets = np.stack([requests["x"][mine], requests["y"][mine]], axis=1)
                self._sources[which] = SpecimenPatches(self.specimens[which], offsets, self.shape)
        self._number = number[order]

    def gather(self, ids: np.ndarray) -> np.ndarray:
        """Patches (k, ny, nx), float32, of these cells."""
        at = np.searchsorted(self._ids, ids)
        out = np.empty((len(ids), *self.shape), np.float32)
        for which in np.unique(self._which[at]):
            mine, source = self._which[at] == which, self._sources[which]
            number = self._number[at[mine]]
            out[mine] = source[number] if which == DIRECT else source.gather(number)
        return out


class Server:
    """Latents by cell id. What a step computes is held beside them until `apply` or `forget`."""

    def __init__(self, evolution: Evolution, pool: Pool, specimens: list[Any]) -> None:
        self.pool = pool
        self.slots: dict[int, int] = {}
        self._parcels = Parcels(evolution.settings.patch_shape, specimens)
        self._evolution = replace(evolution, sources=self._parcels)
        self._blocks: list[Block] = []
        self._guests: set[int] = set()
        self._stepped = np.empty(0)  # s, by slot: middle of the step in which a cell last took model steps

    @property
    def load(self) -> int:
        """Cells served, those of the open step included."""
        return len(self.slots) + len(self._guests)

    def due(self, time: float) -> int:
        """How many of them are likely to take a model step by `time` (s): one frame after their last."""
        slots = np.fromiter(self.slots.values(), np.int64, len(self.slots))
        soon = time * (1 + 1e-9) - self._evolution.clock.step
        return int((self._stepped[slots] <= soon).sum()) + len(self._guests)

    def run(self, requests: np.ndarray, patches: np.ndarray) -> np.ndarray:
        """Answers (k,) to requests (k,); patches (m, y, x) of cells that start with one given directly."""
        ids = requests["id"]
        record = np.full(len(ids), NEW)
        for name in _SENT:
            record[name] = requests[name]
        record["slot"] = [self.slots.get(int(i), NO_SLOT) for i in ids]
        lost = (record["frame"] >= 0) & (record["slot"] == NO_SLOT)
        if lost.any():
            raise ClosureError(f"no latent state is held here for {cells(ids[lost])}", ids[lost])
        self._guests.update(int(i) for i in ids[record["slot"] == NO_SLOT])
        self._parcels.expect(requests[requests["frame"] < 0], patches)
        answers = np.zeros(len(ids), ANSWER)
        if len(ids):
            answers["block"], answers["place"] = self._evolution.run(
                ids, ids, record, requests["wanted"], self.pool, self._blocks
            )
        for name in _BACK:
            answers[name] = record[name]
        return answers

    def reserve(self, moves: np.ndarray) -> None:
        """Make sure that `apply` cannot fail."""
        self.pool.reserve(sum(int(i) not in self.slots for i in moves["id"][moves["keep"]]))

    def apply(self, moves: np.ndarray, time: float) -> None:
        """Keep or free latents as their owners say, and forget all else of a step; `time` (s): its middle."""
        for cell in moves["id"][~moves["keep"]]:
            self.pool.release(np.array([self.slots.pop(int(cell))]))
        kept = moves[moves["keep"]]
        slots = self.hold(kept["id"])
        self._stepped[slots] = time
        for number, block in enumerate(self._blocks):
            mine = kept["block"] == number
            if mine.any():
                self.pool.write(slots[mine], block.latents, kept["place"][mine].astype(np.int64))
        self.forget()

    def forget(self) -> None:
        """Forget what the open step computed."""
        self._blocks, self._guests = [], set()

    def hold(self, ids: np.ndarray) -> np.ndarray:
        """Slots (k,) of cells, new ones for those that have none yet."""
        new = [int(i) for i in ids if int(i) not in self.slots]
        self.slots.update(zip(new, (int(s) for s in self.pool.take(len(new))), strict=True))
        more = len(self.pool.mean) - len(self._stepped)
        self._stepped = np.append(self._stepped, np.full(max(more, 0), -np.inf))
        return np.array([self.slots[int(i)] for i in ids], np.int64)

    def clear(self, count: int) -> None:
        """Forget everything, and make room for `count` cells."""
        self.pool.reset(count)
        self.slots = {}
        self._stepped = np.full(len(self.pool.mean), -np.inf)
        self.forget()
