"""Ranks that succeed or fail together: an error on one of them becomes the same error on all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

_SHOWN = 3  # ranks whose errors are quoted


class Attempt:
    """One collective call on one rank: work that may fail, up to the points where all ranks compare notes.

    Why: after an error a rank must still take part in every exchange that the others are in, so it goes on
    with nothing to say until the next `settle`.
    """

    def __init__(self, comm: Any) -> None:
        self.comm, self.error = comm, None

    def __call__(self, work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """What `work` returns; None where it fails, or where this rank has failed before."""
        if self.error is None:
            try:
                return work(*args, **kwargs)
            except Exception as err:
                self.error = err
        return None

    def settle(self, *numbers: float) -> np.ndarray:
        """The numbers of every rank, (size, len(numbers)). Collective.

        Where a rank has failed, every rank raises the same error instead: ClosureError, or FileNotFoundError
        where the first one to fail has that, naming the ranks and what they say; its attribute `everywhere`
        is set, and `kinds` to the names of that rank's error and its base classes. A single rank raises its
        own.
        """
        if self.comm.size == 1 and self.error is not None:
            raise self.error
        mine = np.array([self.error is not None, *numbers], np.float64)
        every = np.empty((self.comm.size, len(mine)))
        self.comm.Allgather(mine, every)
        if every[:, 0].any():
            raise self._together() from self.error
        return every[:, 1:]

    def _together(self) -> Exception:
        err, mine = self.error, None
        if err is not None:
            text = str(err) if isinstance(err, (ValueError, OSError)) else f"{type(err).__name__}: {err}"
            kinds = [kind.__name__ for kind in type(err).__mro__]
            mine = kinds, text, np.asarray(getattr(err, "ids", ()), np.int64)
        failed = {rank: said for rank, said in enumerate(self.comm.allgather(mine)) if said is not None}
        return _shared(failed, self.comm.size)


def _shared(failed: dict[int, tuple[list[str], str, np.ndarray]], size: int) -> Exception:
    """The one error that stands for those of the ranks."""
    from ..closure.policies import ClosureError

    ranks = list(failed)
    texts = {said[1] for said in failed.values()}
    if len(ranks) == size and len(texts) == 1:
        message = f"on all {size} ranks: {texts.pop()}"
    else:
        message = "; ".join(f"rank {rank}: {failed[rank][1]}" for rank in ranks[:_SHOWN])
        message += f"; and {len(ranks) - _SHOWN} more ranks" if len(ranks) > _SHOWN else ""
    kinds = failed[ranks[0]][0]
    ids = np.concatenate([said[2] for said in failed.values()])
    error = FileNotFoundError(message) if "FileNotFoundError" in kinds else ClosureError(message, ids)
    error.everywhere, error.kinds = True, kinds
    return error


def same_everywhere(comm: Any, facts: Sequence[tuple[str, Any]]) -> None:
    """ClosureError on every rank, naming two of them, where a fact (name, value) differs. Collective."""
    from ..closure.policies import ClosureError

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
