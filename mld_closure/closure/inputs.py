"""What a host hands in, made into numpy arrays and checked: ids, pressures, velocities, calls to batch."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..device import borrow, to_host
from ..errors import ClosureError


def host_array(name: str, values: Any, count: int) -> np.ndarray:
    """A float64 copy (count,) of an array, a list, or anything that speaks DLPack, on any device.

    Nothing is read before the length is known to be right: a host that passes a wrong one has no more.
    """
    lent = borrow(values) if hasattr(values, "__dlpack__") and not isinstance(values, np.ndarray) else values
    shape = tuple(getattr(lent, "shape", ())) if hasattr(lent, "shape") else np.shape(lent)
    if shape != (count,):
        raise ClosureError(f"{name} has shape {shape}, the call has {count} cells; give one value per cell")
    return np.array(lent if lent is values else to_host(lent), np.float64)


def id_array(ids: Any) -> np.ndarray:
    """Ids as int64 (n,); ClosureError for anything but whole numbers in one row."""
    array = np.asarray(ids)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise ClosureError(f"ids must be whole numbers in one row, got {array.dtype} of shape {array.shape}")
    if array.dtype == np.uint64 and array.size and array.max() > np.iinfo(np.int64).max:
        raise ClosureError("ids must fit in 63 bits")
    return array.astype(np.int64, copy=False)
