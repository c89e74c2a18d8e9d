"""What a host hands in, made into numpy arrays and checked: ids, pressures, velocities, calls to batch."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..device import borrow, to_host
from ..errors import ClosureError
from .response import Response


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


class Ticket:
    """A call handed in to be made with others: `response` holds its result after `wait`, None before."""

    def __init__(
        self,
        ids: np.ndarray,
        pressure: np.ndarray,
        velocity: np.ndarray | None,
        mass: np.ndarray | None = None,
    ) -> None:
        self.ids: np.ndarray = ids
        self.pressure: np.ndarray = pressure
        self.velocity: np.ndarray | None = velocity
        self.mass: np.ndarray | None = mass
        self.response: Response | None = None


def merge(
    tickets: list[Ticket],
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, np.ndarray | None]:
    """Ids, pressures, velocities and masses (None where there are none) of calls as those of one call."""
    ids = np.concatenate([np.empty(0, np.int64), *(t.ids for t in tickets)])
    p = np.concatenate([np.empty(0), *(t.pressure for t in tickets)])
    return ids, p, _all_or_none("velocities", tickets), _all_or_none("masses", tickets)


def _all_or_none(what: str, tickets: list[Ticket]) -> np.ndarray | None:
    """Velocities or masses of all calls, None where no call has them."""
    given = [t.velocity if what == "velocities" else t.mass for t in tickets]
    if any(g is None for g in given) and not all(g is None for g in given):
        raise ClosureError(f"some of the calls handed in have {what} and some have not; give all or none")
    if not given or given[0] is None:
        return None
    return np.concatenate(given)


def share(whole: Response, tickets: list[Ticket]) -> None:
    """Give each call its part of the response to all of them."""
    first = 0
    for ticket in tickets:
        last = first + len(ticket.ids)
        ticket.response = whole.part(slice(first, last))
        first = last
