"""The errors that this package raises on purpose, in one place that imports nothing heavy.

Each is a `ValueError`: something the caller gave cannot be used. The message is one line that names the value
and the cure. Faults of the machine stay what Python calls them (`FileNotFoundError`, `OSError`, ...).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "BundleError",
    "ClosureError",
    "CollectiveError",
    "ConfigError",
    "LostRankError",
    "MicrostructureError",
]


class BundleError(ValueError):
    """A bundle that cannot be used: missing, damaged, altered, of another version, or unfit for its use."""


class ClosureError(ValueError):
    """A call to a closure that cannot be served; the state of the closure is as it was before the call.

    Parameters
    ----------
    message
        One line that names the cells and the cure.
    ids
        Ids of the cells concerned, (n,); none by default.

    Examples
    --------
    >>> from mld_closure.errors import ClosureError
    >>> ClosureError("pressure of cell 7 is negative", [7]).ids
    array([7])
    """

    ids: NDArray[np.int64]

    def __init__(self, message: str, ids: Sequence[int] | NDArray[Any] = ()) -> None:
        import numpy as np

        super().__init__(message)
        self.ids = np.asarray(ids, np.int64)


class CollectiveError(ClosureError):
    """Ranks that make different calls of a closure at once; nothing was changed on any of them."""


class LostRankError(CollectiveError):
    """A rank that did not come to a call in time, or has closed the closure: only closing is left."""


class ConfigError(ValueError):
    """A configuration that cannot be used; the message names the key, the value and the cure."""


class MicrostructureError(ValueError):
    """A microstructure that cannot be drawn as asked, such as voids that do not fit the frame."""


def name_ranks(ranks: Sequence[int] | np.ndarray) -> str:
    """A few ranks for a message: "rank 2", "ranks 0 and 3", "ranks 0, 1, 2 and 4 more"."""
    words = [str(rank) for rank in ranks]
    if len(words) > 4:
        words = [*words[:3], f"{len(words) - 3} more"]
    return f"rank{'s' if len(words) > 1 else ''} " + " and ".join(
        filter(None, [", ".join(words[:-1]), words[-1]])
    )


def name_cells(ids: Sequence[int] | np.ndarray) -> str:
    """A few ids for a message: "cell 7", "cells 7, 8, 9, 10, 11 and 20 more"."""
    shown = ", ".join(str(i) for i in ids[:5])
    more = f" and {len(ids) - 5} more" if len(ids) > 5 else ""
    return f"cell{'s' if len(ids) > 1 else ''} {shown}{more}"
