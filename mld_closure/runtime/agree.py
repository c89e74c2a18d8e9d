"""Ranks that succeed or fail together: an error on one of them becomes the same error on all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

import numpy as np

from ..errors import ClosureError, CollectiveError, LostRankError
from .meeting import Meeting

_SHOWN = 3  # ranks whose errors are quoted
_MOST = 6  # numbers that ranks compare at once
_CALLS = (
    "open", "register cells", "unregister cells", "migrate cells", "begin a step", "advance", "commit",
    "roll back", "save", "restore", "record a failure", "sum over ranks", "close",
)  # fmt: skip


class Attempt:
    """One collective call on one rank: work that may fail, up to the points where all ranks compare notes.

    Parameters
    ----------
    comm
        The communicator.
    what
        The call, one of a fixed list; ranks that make different calls find out at the first `settle`.
    meeting
        Where the ranks of a closure compare notes, which names ranks that do not come; without it ranks wait
        for each other however long it takes.

    Attributes
    ----------
    waited : float
        Seconds spent waiting for other ranks.

    Why: after an error a rank must still take part in every exchange that the others are in, so it goes on
    with nothing to say until the next `settle`."""

    def __init__(self, comm: Any, what: str = "open", meeting: Meeting | None = None) -> None:
        self.comm: Any = comm
        self.error = None
        self.waited: float = 0.0
        self._what, self._meeting = what, meeting

    def __call__(self, work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """What `work` returns; None where it fails, or where this rank has failed before."""
        if self.error is None:
            try:
                return work(*args, **kwargs)
            except Exception as err:
                self.error: Exception = err
        return None

    def settle(self, *numbers: float) -> np.ndarray:
        """The numbers of every rank, (size, len(numbers)), `_MOST` of them at most. Collective.

        Where a rank has failed, every rank raises the same error instead: ClosureError, or FileNotFoundError
        where the first one to fail has that, naming the ranks and what they say; its attribute `everywhere`
        is set, and `kinds` to the names of that rank's error and its base classes. A single rank raises its
        own. Ranks that are in different calls all raise a CollectiveError that names two of them, and where
        one does not come the others raise a LostRankError.
        """
        if self.comm.size == 1:
            if self.error is not None:
                raise self.error
            return np.array([numbers], np.float64)
        mine = np.zeros(2 + _MOST)
        mine[:2] = _CALLS.index(self._what), self.error is not None
        mine[2 : 2 + len(numbers)] = numbers
        begun = perf_counter()
        every = self._gather(mine)
        self.waited += perf_counter() - begun
        self._check_same_call(every[:, 0].astype(int))
        if every[:, 1].any():
            raise self._together() from self.error
        return every[:, 2 : 2 + len(numbers)]

    def _gather(self, mine: np.ndarray) -> np.ndarray:
        if self._meeting is not None:
            return self._meeting.gather(mine, self._what)
        every = np.empty((self.comm.size, len(mine)))
        self.comm.Allgather(mine, every)
        return every

    def _check_same_call(self, codes: np.ndarray) -> None:
        """CollectiveError, on all ranks alike, where ranks (size,) are in different calls."""
        other = np.flatnonzero(codes != codes[0])
        if not len(other):
            return
        message = (
            f"ranks make different calls: rank 0 wants to {_CALLS[codes[0]]}, rank {other[0]} to "
            f"{_CALLS[codes[other[0]]]}; all calls of a closure are collective"
        )
        closing = np.flatnonzero(codes == _CALLS.index("close"))
        if self._meeting is None or not len(closing):
            raise CollectiveError(message)
        self._meeting.lost = f"rank {closing[0]} has closed the closure"
        raise LostRankError(f"{message}; rank {closing[0]} has closed it, only closing is left")

    def _together(self) -> Exception:
        err, mine = self.error, None
        if err is not None:
            text = str(err) if isinstance(err, (ValueError, OSError)) else f"{type(err).__name__}: {err}"
            kinds = [kind.__name__ for kind in type(err).__mro__]
            mine = kinds, text, np.asarray(getattr(err, "ids", ()), np.int64)
        reports = enumerate(self.comm.allgather(mine))
        return _shared({rank: report for rank, report in reports if report is not None}, self.comm.size)


def _shared(failed: dict[int, tuple[list[str], str, np.ndarray]], size: int) -> Exception:
    """The one error that stands for those of the ranks."""
    ranks = list(failed)
    texts = {report[1] for report in failed.values()}
    if len(ranks) == size and len(texts) == 1:
        message = f"on all {size} ranks: {texts.pop()}"
    else:
        message = "; ".join(f"rank {rank}: {failed[rank][1]}" for rank in ranks[:_SHOWN])
        message += f"; and {len(ranks) - _SHOWN} more ranks" if len(ranks) > _SHOWN else ""
    kinds = failed[ranks[0]][0]
    ids = np.concatenate([report[2] for report in failed.values()])
    error = FileNotFoundError(message) if "FileNotFoundError" in kinds else ClosureError(message, ids)
    error.everywhere, error.kinds = True, kinds
    return error


def same_everywhere(comm: Any, facts: Sequence[tuple[str, Any]]) -> None:
    """ClosureError on every rank, naming two of them, where a fact (name, value) differs. Collective."""
    every = comm.allgather(list(facts))
    for number, (name, first) in enumerate(every[0]):
        for rank, theirs in enumerate(every):
            if theirs[number][1] != first:
                error = ClosureError(
                    f"{name} differs between ranks: {first} on rank 0, {theirs[number][1]} on rank {rank}; "
                    "give all ranks the same"
                )
                error.everywhere = True
                raise error
