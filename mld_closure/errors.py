"""The errors that the package raises on purpose, and how they name cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


class ClosureError(ValueError):
    """A call of a closure that cannot be served: one line that names the cells and the cure.

    The state of the closure is as it was before the call.

    Parameters
    ----------
    message
        The line.
    ids
        Ids (n,) of the cells concerned, none by default.

    Attributes
    ----------
    ids : numpy.ndarray
        The same, int64.
    """

    def __init__(self, message: str, ids: Sequence[int] | np.ndarray = ()) -> None:
        import numpy as np

        super().__init__(message)
        self.ids = np.asarray(ids, np.int64)


def name_cells(ids: Sequence[int] | np.ndarray) -> str:
    """A few ids for a message: "cell 7", "cells 7, 8, 9, 10, 11 and 20 more"."""
    shown = ", ".join(str(i) for i in ids[:5])
    more = f" and {len(ids) - 5} more" if len(ids) > 5 else ""
    return f"cell{'s' if len(ids) > 1 else ''} {shown}{more}"
