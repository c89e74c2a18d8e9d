"""The step protocol for closures whose cells are rows of arrays: ids, committed state, open step.

A subclass names its per-cell columns and writes `advance`, which reads `_now` and writes `_next`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

CLOCK_TOLERANCE = 1e-6  # of dt: how far a step may begin before the last one ended

UNITS = {"pressure": "Pa", "viscous_pressure": "Pa", "entropy": "J/kg"}


@dataclass(frozen=True)
class Burned:
    """What an advance returns (see `protocol.Advance`)."""

    burned_fraction: np.ndarray
    burn_rate: np.ndarray
    dt_max: float


class StepClosure:
    """Registered cells, kept in order of their ids, behind begin_step, commit and rollback."""

    columns: ClassVar[dict[str, Any]] = {"burned": 0.0}  # of a cell, and what each begins with

    def __init__(self, *, max_change: float = 0.05) -> None:
        """`max_change`: amount that no burned fraction should exceed in one step; sets dt_max."""
        if not max_change > 0:
            raise ValueError(f"max_change must be positive, got {max_change}")
        self.max_change = max_change
        self._ids = np.empty(0, np.int64)  # sorted
        self._now = {name: np.full(0, start) for name, start in self.columns.items()}
        self._next = {name: column.copy() for name, column in self._now.items()}
        self._time = -np.inf
        self._step: tuple[float, float] | None = None

    def register(self, ids: np.ndarray, **columns: np.ndarray) -> None:
        """Take in unburned cells by their ids (n,); ValueError if an id is known or given twice.

        columns: (n,) starting values of columns that do not begin alike in every cell.
        """
        if self._step is not None:
            raise RuntimeError("register between steps: commit or roll back the open step first")
        ids = np.asarray(ids, np.int64).ravel()
        every = np.concatenate([self._ids, ids])
        order = np.argsort(every, kind="stable")
        twice = every[order][1:][np.diff(every[order]) == 0]
        if twice.size:
            raise ValueError(f"{twice.size} cell ids are given twice, the first is {twice[0]}")
        for name, start in self.columns.items():
            new = np.full(ids.size, start)
            new[:] = columns.get(name, start)
            self._now[name] = np.concatenate([self._now[name], new])[order]
            self._next[name] = self._now[name].copy()
        self._ids = every[order]

    def begin_step(self, t: float, dt: float) -> None:
        """Open the step from time t (s) to t + dt."""
        if self._step is not None:
            raise RuntimeError(f"a step at t = {self._step[0]:.6e} s is open; commit or roll it back first")
        if not dt > 0:
            raise ValueError(f"the step must be positive, got dt = {dt} s")
        if t < self._time - CLOCK_TOLERANCE * dt:
            raise ValueError(f"time goes backwards: step at {t:.6e} s, committed until {self._time:.6e} s")
        self._step = (t, dt)

    def commit(self) -> None:
        """Keep what the step burned."""
        if self._step is None:
            raise RuntimeError("commit outside a step; call begin_step first")
        self._time = self._step[0] + self._step[1]
        self._copy(self._next, self._now)
        self._step = None

    def rollback(self) -> None:
        """Forget what the step burned."""
        if self._step is None:
            raise RuntimeError("rollback outside a step; call begin_step first")
        self._copy(self._now, self._next)
        self._step = None

    def state(self) -> dict[str, np.ndarray]:
        """Committed state as plain arrays: ids and columns (n,), time (); RuntimeError inside a step."""
        if self._step is not None:
            raise RuntimeError("the state is defined between steps; commit or roll back first")
        columns = {name: column.copy() for name, column in self._now.items()}
        return {"ids": self._ids.copy(), **columns, "time": np.array(self._time)}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Take over a `state`; an open step is forgotten."""
        self._ids = np.array(state["ids"], np.int64)
        for name, start in self.columns.items():
            self._now[name] = np.array(state[name], np.array(start).dtype)
            self._next[name] = self._now[name].copy()
        self._time = float(state["time"])
        self._step = None

    def _opened(self, ids: np.ndarray, **inputs: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Rows (n,) of the ids and the inputs as float arrays, checked; the step must be open."""
        if self._step is None:
            raise RuntimeError("advance outside a step; call begin_step first")
        ids = np.asarray(ids)
        arrays = {name: np.ascontiguousarray(value, float) for name, value in inputs.items()}
        for name, value in arrays.items():
            if ids.ndim != 1 or value.shape != ids.shape:
                raise ValueError(f"{ids.shape} ids but {name} of shape {value.shape}; both must be (n,)")
            bad = ~(value >= 0) | np.isinf(value)
            if bad.any():
                unit = UNITS.get(name, "")
                raise ValueError(f"{name} {value[bad][0]} {unit} in cell {ids[bad][0]} ({bad.sum()} cells)")
        return self._find(ids), arrays

    def _result(self, at: np.ndarray, rate: np.ndarray) -> Burned:
        """The advance of rows `at` (n,) from `_now` to `_next`, with its rate (1/s) at the end."""
        F = self._next["burned"][at]
        fastest = max(
            float((F - self._now["burned"][at]).max(initial=0.0)) / self._step[1],
            float(rate.max(initial=0.0)),
        )
        return Burned(F, rate, self.max_change / fastest if fastest > 0 else np.inf)

    @staticmethod
    def _copy(source: dict[str, np.ndarray], target: dict[str, np.ndarray]) -> None:
        for name, column in source.items():
            target[name][:] = column

    def _find(self, ids: np.ndarray) -> np.ndarray:
        at = np.minimum(np.searchsorted(self._ids, ids), max(self._ids.size - 1, 0))
        unknown = self._ids[at] != ids if self._ids.size else np.ones(ids.shape, bool)
        if unknown.any():
            raise ValueError(f"{unknown.sum()} cell ids are not registered, the first is {ids[unknown][0]}")
        return at
