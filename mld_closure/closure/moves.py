"""What a step leaves behind, and what the servers of latent states are to do about it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .cells import NO_SERVER, CellState
from .open_step import OpenStep

_NO_ROWS = np.empty(0, np.int64)


@dataclass(frozen=True)
class Outcome:
    """What one call leaves for the cells (k,) whose last call it was; keep: which hold a latent state."""

    rows: np.ndarray
    state: CellState
    keep: np.ndarray
    block: np.ndarray
    place: np.ndarray


@dataclass
class Moves:
    """What servers are to do at the end of a step: cells (k,) whose latent states they keep or free."""

    rows: np.ndarray
    slot: np.ndarray
    server: np.ndarray
    block: np.ndarray
    place: np.ndarray
    keep: np.ndarray
    _parts: list[tuple[Outcome, np.ndarray]]

    @classmethod
    def of(cls, outcomes: list[Outcome], step: OpenStep | None) -> Moves:
        """The moves that outcomes ask for; cells that start in the step go to the servers chosen for them."""
        if not outcomes:
            return cls(_NO_ROWS, _NO_ROWS, _NO_ROWS, _NO_ROWS, _NO_ROWS, _NO_ROWS.astype(bool), [])
        parts = [
            (o, np.flatnonzero((o.keep & (o.block >= 0)) | (~o.keep & (o.state.slot >= 0)))) for o in outcomes
        ]
        rows, slot, held, block, place, keep = (
            np.concatenate([np.empty(0, kind), *(column(o)[m] for o, m in parts)])
            for kind, column in (
                (np.int64, lambda o: o.rows),
                (np.int32, lambda o: o.state.slot),
                (np.int32, lambda o: o.state.server),
                (np.int64, lambda o: o.block),
                (np.int64, lambda o: o.place),
                (bool, lambda o: o.keep),
            )
        )
        chosen = held if step is None else step.server[rows]
        return cls(rows, slot, np.where(slot >= 0, held, chosen), block, place, keep, parts)

    def settle(self, slots: np.ndarray) -> None:
        """Write the slots (k,) that servers gave into the outcomes."""
        first = 0
        for outcome, m in self._parts:
            own = slice(first, first + len(m))
            outcome.state.slot[m] = slots[own]
            outcome.state.server[m] = np.where(self.keep[own], self.server[own], NO_SERVER)
            first += len(m)
