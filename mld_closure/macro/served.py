"""A served closure as the hydrocodes here call it: points that give the entropy of their solid.

A point next to a wall takes the entropy of another, its leader: there a captured shock leaves too much heat.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mld_closure.macro.protocol import OWN, Advance


class ServedPoints:
    """Points of a closure that `mld_closure.open` made, behind `protocol.CellClosure`.

    Parameters
    ----------
    closure
        The closure; its cells are registered under the ids below.
    ids : (n,) int
        Ids of all points that `advance` is called with, in its order.
    leader : (n,) int
        Id of the point whose entropy each takes; OWN for its own.
    """

    inputs: tuple[str, ...] = ("entropy",)

    def __init__(self, closure: Any, ids: np.ndarray, leader: np.ndarray | int = OWN) -> None:
        ids = np.asarray(ids, np.int64)
        leader = np.broadcast_to(leader, ids.shape)
        order = np.argsort(ids)
        self.closure: Any = closure
        place = np.minimum(np.searchsorted(ids[order], leader), len(ids) - 1)
        wrong = (leader != OWN) & (ids[order][place] != leader)
        if wrong.any():
            raise ValueError(
                f"point {ids[wrong][0]} is to take the load of {leader[wrong][0]}, which is unknown"
            )
        self._ids = ids
        self._taken = np.where(leader == OWN, np.arange(len(ids)), order[place])

    def begin_step(self, t: float, dt: float) -> None:
        """Open the step from time t (s) to t + dt."""
        self.closure.begin_step(t, dt)

    def advance(
        self, ids: np.ndarray, *, pressure: np.ndarray, velocity: np.ndarray, entropy: np.ndarray
    ) -> Advance:
        """Carry all points through the open step; ValueError for others than those of `ids`."""
        if not np.array_equal(ids, self._ids):
            raise ValueError("all points must be advanced at once, in the order in which they were named")
        return self.closure.advance(ids, pressure=pressure, velocity=velocity, entropy=entropy[self._taken])

    def commit(self) -> None:
        """Make the step's end the committed state."""
        self.closure.commit()

    def rollback(self) -> None:
        """Forget the open step."""
        self.closure.rollback()
