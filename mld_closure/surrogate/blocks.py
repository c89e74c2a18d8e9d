"""What the open step has computed, kept in blocks until it ends.

A corrector that asks the same cells for the same frames gets them again for nothing, with the same bits.
Nothing here changes what is kept from step to step.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from ..fields import QUANTITIES
from ..models.dynamics import Latent
from .messages import DRAWS, Answers, Requests
from .pool import Pool


@dataclass(frozen=True)
class Block:
    """Cells (k,) that one call computed: ids (rising), what was asked, the answers, and what is to be kept.

    latents: new states, one for each cell; or for some of them, and row (k,) of each cell's, -1 for none.
    """

    id: np.ndarray
    wanted: np.ndarray
    up: np.ndarray
    first: np.ndarray  # row (k,) of each cell's first reading
    answers: Answers
    latents: Latent
    row: np.ndarray | None = None

    def find(self, asked: Requests) -> np.ndarray:
        """Position (n,) in this block of cells asked for the same frames under the same load; else -1."""
        place = np.minimum(np.searchsorted(self.id, asked.id), len(self.id) - 1)
        same = self.id[place] == asked.id
        same &= (self.wanted[place] == asked.wanted) & (self.up[place] == asked.up)
        return np.where(same, place, -1)


class StepBlocks(ABC):
    """Answers requests, and remembers what it has computed for them until the step ends.

    What comes of a request is computed by `_compute` of a class that knows how; `pool` keeps the latent
    states, or the curves, of cells from step to step.
    """

    def __init__(self, pool: Pool) -> None:
        self.pool: Pool = pool
        self.blocks: list[Block] = []

    def run(self, asked: Requests) -> Answers:
        """Answers (k,) to requests (k,); what earlier calls of the step have computed is not computed again.

        Raises ClosureError where a batch does not fit in memory.
        """
        count = len(asked.id)
        block, place = np.full(count, -1), np.full(count, -1)
        for number, earlier in enumerate(self.blocks):
            found = earlier.find(asked)
            hit = (found >= 0) & (block < 0)
            block[hit], place[hit] = number, found[hit]
        missing = np.flatnonzero(block < 0)
        if len(missing):
            missing = missing[np.argsort(asked.id[missing], kind="stable")]
            block[missing], place[missing] = len(self.blocks), np.arange(len(missing))
            self.blocks.append(self._compute(asked, missing))
        return self._collect(asked, block, place)

    def store(self, slots: np.ndarray, block: np.ndarray, place: np.ndarray) -> None:
        """Write latent states (k,), found by the answers' block and place, to slots (k,) of the pool."""
        for number, source in enumerate(self.blocks):
            mine = block == number
            if mine.any():
                self.pool.write(slots[mine], source.latents, place[mine].astype(np.int64))

    def forget(self) -> None:
        """Drop what the open step has computed."""
        self.blocks = []

    @abstractmethod
    def _compute(self, asked: Requests, which: np.ndarray) -> Block:
        """Frames of the requests `which` (k,), sorted by id."""

    def _collect(self, asked: Requests, block: np.ndarray, place: np.ndarray) -> Answers:
        """The readings of all requests, from the blocks that hold them."""
        counts = asked.counts
        first = np.cumsum(counts) - counts
        reached, solid = np.empty(len(block), np.int64), np.empty(len(block))
        values = np.empty((int(counts.sum()), len(QUANTITIES)))
        draws = np.empty((len(values), DRAWS))
        for number in np.unique(block):
            source, mine = self.blocks[number], np.flatnonzero(block == number)
            at = place[mine]
            reached[mine], solid[mine] = source.answers.reached[at], source.answers.solid[at]
            each = np.repeat(np.arange(len(mine)), counts[mine])
            step = np.arange(len(each)) - np.repeat(np.cumsum(counts[mine]) - counts[mine], counts[mine])
            to, origin = first[mine][each] + step, source.first[at][each] + step
            values[to], draws[to] = source.answers.values[origin], source.answers.draws[origin]
        return Answers(block, place, reached, solid, values, draws)
