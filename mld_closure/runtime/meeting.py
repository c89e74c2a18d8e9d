"""Where ranks compare notes: an exchange of a few numbers that knows which rank did not come.

A rank waits in a nonblocking exchange. When its patience ends it calls the roll: each rank that waits too
answers. Those that came name the others, in the same words, and the late ones find that message when they
come.

Why: in a blocking exchange a host that forgets a call on one rank hangs, and nothing says which rank it was.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from ..errors import LostRankError, name_ranks
from .comm import any_source

PATIENCE = 600.0  # s that ranks wait for each other by default
GRACE = 2.0  # s in which a rank that waits answers the roll call
_TAG = (
    7041  # of messages of the roll call; nothing else is sent from rank to rank on a closure's communicator
)
_HERE, _GONE = 0, 1
_LONGEST_NAP = 2e-4  # s between two looks
_abandoned: list[Any] = []  # exchanges that never ended: MPI may still write to their arrays


class Meeting:
    """Exchanges numbers between the ranks of a communicator, a closure's own.

    Parameters
    ----------
    comm
        The communicator; one rank alone needs no meeting.
    patience
        Seconds that a rank waits for the others.

    Attributes
    ----------
    lost : str or None
        Why ranks cannot meet any more; once set, every exchange raises it.
    """

    def __init__(self, comm: Any, patience: float = PATIENCE) -> None:
        self._comm, self._patience = comm, float(patience)
        self._turn = 0
        self.lost: str | None = None

    def gather(self, mine: np.ndarray, what: str) -> np.ndarray:
        """The numbers (size, n) of all ranks from those of this one (n,). Collective.

        what: the call that this rank is in. Raises LostRankError, on every rank that came, where one did not
        come in time, and on that rank when it does.
        """
        if self.lost is not None:
            raise LostRankError(f"{self.lost}; only closing is left")
        self._turn += 1
        every = np.empty((self._comm.size, len(mine)))
        request = self._comm.Iallgather(mine, every)
        begun, here, end = time.perf_counter(), set(), None
        while not request.Test():
            waited = time.perf_counter() - begun
            called = self._hear(here)
            if end is None and (called or waited > self._patience):
                self._tell(_HERE)
                here.add(self._comm.rank)
                end = waited + GRACE
            if self.lost is None and end is not None and waited > end:
                self._give_up(here, what)
            if self.lost is not None:
                _abandoned.append((request, mine, every))
                raise LostRankError(self.lost)
            time.sleep(min(_LONGEST_NAP, 0.1 * waited) if waited > 1e-4 else 0)
        self._hear(here)
        if self.lost is not None:  # the others had gone when this rank came
            raise LostRankError(self.lost)
        return every

    def _give_up(self, here: set[int], what: str) -> None:
        """Name those who did not come, and leave word for them."""
        absent = [rank for rank in range(self._comm.size) if rank not in here]
        self.lost = (
            f"{name_ranks(absent)} did not come within {self._patience:g} s to {what} (option timeout); "
            "all calls of a closure are collective"
        )
        self._tell(_GONE, self.lost)

    def _tell(self, kind: int, text: str = "") -> None:
        """Send a message of the roll call to all other ranks; a small one, which waits for no receiver."""
        message = kind, self._turn, self._comm.rank, text
        for rank in range(self._comm.size):
            if rank != self._comm.rank:
                _abandoned.append(self._comm.isend(message, rank, _TAG))

    def _hear(self, here: set[int]) -> bool:
        """Read messages of the roll call: who else waits in this turn, and whether some have gone. Returns
        whether the roll is being called."""
        while self._comm.Iprobe(any_source(), _TAG):
            kind, turn, rank, text = self._comm.recv(source=any_source(), tag=_TAG)
            if turn != self._turn:
                continue  # of an exchange that came to its end after all
            here.add(rank)
            if kind == _GONE:
                self.lost = text
        return bool(here)
