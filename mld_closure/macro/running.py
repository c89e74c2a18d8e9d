"""Running a solver step by step to a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from mld_closure.macro.coupling import ROUND_OFF


class Steps(Protocol):
    """A solver that takes steps."""

    @property
    def time(self) -> float:
        """Time reached (s)."""
        ...

    def step(self, limit: float) -> float:
        """Take a step of at most `limit` (s); returns its length."""
        ...


def advance_until(
    solver: Steps, until: float, each: Callable[[Any], object] | None, max_steps: int | None
) -> bool:
    """Take steps to time `until` (s), calling each(solver) after every one; whether the time was reached.

    It is not where `each` returned True. Raises RuntimeError after `max_steps` steps of this call.
    """
    taken = 0
    while until - solver.time > ROUND_OFF * max(until, 1e-30):
        if max_steps is not None and taken >= max_steps:
            raise RuntimeError(f"{max_steps} steps taken, only {solver.time:.4e} s of {until:.4e} s reached")
        solver.step(until - solver.time)
        taken += 1
        if each is not None and each(solver):
            return False
    return True
