"""A step that is open: when it is, what its calls have found, and which call counts for a cell."""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ..errors import ClosureError
from .cells import NO_CELLS, NO_SERVER, CellState
from .response import Response

_ALL = slice(None)
_NO_ROWS = np.empty(0, np.int64)
LEAST_STEP = 1e-30  # s; rates over a shorter one may be more than a number can be
SLACK_ULP = 8  # spacings of floating point numbers by which a host's sum of steps may fall short


@dataclass(frozen=True)
class Call:
    """What one call to `advance` found.

    rows, pressure (n,) of all its cells. live (k,): rows of the shocked ones, with their new states. block,
    place (k,): where the server keeps the latent states of those that took model frames, else -1.
    """

    rows: np.ndarray
    pressure: np.ndarray
    live: np.ndarray
    state: CellState
    block: np.ndarray
    place: np.ndarray


@dataclass
class OpenStep:
    """A step begun at t (s), of length dt (s), and everything found in it so far.

    count: n, the cells of this rank. shown: the responses that calls have returned.
    """

    t: float
    dt: float
    count: int
    calls: list[Call] = field(default_factory=list)
    shown: list[weakref.ref[Response]] = field(default_factory=list)
    _last: tuple[int, list[Any]] = (0, [])

    @cached_property
    def server(self) -> np.ndarray:
        """Rank (n,) chosen for cells that start in this step, by row; NO_SERVER for the others."""
        return np.full(self.count, NO_SERVER)

    @property
    def quiet(self) -> bool:
        """Whether no cell was shocked."""
        return not any(len(call.live) for call in self.calls)

    def last_calls(self) -> list[tuple[Call, np.ndarray | slice, np.ndarray | slice]]:
        """(call, its rows, its live positions) that count: for each cell the last call with it."""
        if len(self.calls) == 1:
            return [(self.calls[0], _ALL, _ALL)]
        if self._last[0] != len(self.calls):
            self._last = len(self.calls), self._find_last()
        return self._last[1]

    def _find_last(self) -> list[tuple[Call, np.ndarray, np.ndarray]]:
        owner = np.full(self.count, -1)
        for k, call in enumerate(self.calls):
            owner[call.rows] = k
        return [(call, owner[call.rows] == k, owner[call.live] == k) for k, call in enumerate(self.calls)]


def checked_step(t: float, dt: float, last: float | None) -> tuple[float, float]:
    """t and dt (s) of a step as numbers; ClosureError where they are none, or time goes back.

    last: end of the last committed step (s), None before the first.
    """
    t, dt = float(t), float(dt)
    if not (np.isfinite(t + dt) and np.isfinite(dt) and dt >= LEAST_STEP):
        raise ClosureError(
            f"a step needs finite t and positive dt, got t = {t} s, dt = {dt} s; choose a dt of at least "
            f"{LEAST_STEP:g} s"
        )
    if last is not None and t < last - SLACK_ULP * np.spacing(max(abs(t), abs(last))) - 1e-9 * dt:
        raise ClosureError(f"time goes back: step begins at {t} s, the last one ended at {last} s")
    return t, dt


def agreed_step(steps: np.ndarray) -> tuple[float, float]:
    """t and dt of rank 0, from those of all ranks (size, 2); ClosureError unless all agree within 1e-9."""
    t, dt = (float(v) for v in steps[0])
    if len(steps) == 1:
        return t, dt
    scale = np.array([max(abs(t), dt), dt])
    other = np.flatnonzero((np.abs(steps - steps[0]) > 1e-9 * scale).any(axis=1))
    if len(other):
        t2, dt2 = steps[other[0]]
        error = ClosureError(
            f"ranks open different steps: t = {t} s, dt = {dt} s on rank 0, t = {t2} s, dt = {dt2} s on rank "
            f"{other[0]}; give all ranks the same"
        )
        error.everywhere = True
        raise error
    return t, dt


def no_calls(rows: np.ndarray, pressure: np.ndarray) -> Call:
    """A call in which no cell is shocked."""
    return Call(rows, pressure, _NO_ROWS, NO_CELLS, _NO_ROWS, _NO_ROWS)
