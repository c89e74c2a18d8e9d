"""Calls that a host hands in one by one, to be made as one."""

from __future__ import annotations

import numpy as np

from ..errors import ClosureError, name_cells
from .response import Response

_PLURAL = {"velocity": "velocities", "mass": "masses", "entropy": "entropies"}


class Ticket:
    """A call handed in to be made with others: `response` holds its result after `wait`, None before."""

    def __init__(
        self,
        ids: np.ndarray,
        pressure: np.ndarray,
        velocity: np.ndarray | None,
        mass: np.ndarray | None = None,
        entropy: np.ndarray | None = None,
    ) -> None:
        self.ids: np.ndarray = ids
        self.pressure: np.ndarray = pressure
        self.velocity: np.ndarray | None = velocity
        self.mass: np.ndarray | None = mass
        self.entropy: np.ndarray | None = entropy
        self.response: Response | None = None


def merge(
    tickets: list[Ticket],
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """Ids, pressures, velocities, masses and entropies of calls as of one; None where there are none."""
    ids = np.concatenate([np.empty(0, np.int64), *(t.ids for t in tickets)])
    p = np.concatenate([np.empty(0), *(t.pressure for t in tickets)])
    u, m, entropy = (_all_or_none(name, tickets) for name in ("velocity", "mass", "entropy"))
    return ids, p, u, m, entropy


def _all_or_none(name: str, tickets: list[Ticket]) -> np.ndarray | None:
    """What all calls have of this name, None where no call has it."""
    given = [getattr(t, name) for t in tickets]
    if any(g is None for g in given) and not all(g is None for g in given):
        raise ClosureError(
            f"some of the calls handed in have {_PLURAL[name]} and some have not; give all or none"
        )
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


class Waiting:
    """The calls that have been handed in and not been made; no cell is in two of them."""

    def __init__(self) -> None:
        self._tickets: list[Ticket] = []
        self._named = np.empty(0, bool)

    def __len__(self) -> int:
        return len(self._tickets)

    def add(self, ticket: Ticket, rows: np.ndarray, count: int) -> None:
        """Take a call for cells in rows (k,) of `count`; ClosureError for cells of one that waits."""
        if not self._tickets:
            self._named = np.zeros(count, bool)
        again = ticket.ids[self._named[rows]]
        if len(again):
            raise ClosureError(f"{name_cells(again)} already in a call that waits; call wait first", again)
        self._named[rows] = True
        self._tickets.append(ticket)

    def take(self) -> list[Ticket]:
        """All of them, which wait no longer."""
        tickets, self._tickets = self._tickets, []
        return tickets
