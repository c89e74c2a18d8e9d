"""A closure behind a stop watch."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np


class TimedClosure:
    """Passes all calls of a step on to a closure and adds up their time.

    Attributes
    ----------
    seconds : float
        Time spent in the closure so far.
    response
        What the last committed step gave; None before the first.
    """

    def __init__(self, closure: Any) -> None:
        self.closure, self.seconds, self.response = closure, 0.0, None
        self._open: Any = None

    def begin_step(self, t: float, dt: float) -> None:
        """See `macro.protocol.CellClosure`, as for all below."""
        self._timed(self.closure.begin_step, t, dt)

    def advance(self, ids: np.ndarray, **inputs: np.ndarray) -> Any:
        self._open = self._timed(self.closure.advance, ids, **inputs)
        return self._open

    def commit(self) -> None:
        self._timed(self.closure.commit)
        self.response = self._open

    def rollback(self) -> None:
        self._timed(self.closure.rollback)

    def _timed(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        begun = perf_counter()
        try:
            return call(*args, **kwargs)
        finally:
            self.seconds += perf_counter() - begun
