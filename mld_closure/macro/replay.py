"""Prescribed burning as a closure: flow and equation of state checked with the burning taken as known."""

from __future__ import annotations

import numpy as np

from mld_closure.macro.step_closure import Burned, StepClosure


class ReplayClosure(StepClosure):
    """Burned fractions that follow given histories, linear in time between their samples."""

    def __init__(
        self, ids: np.ndarray, times: np.ndarray, burned: np.ndarray, *, max_change: float = 0.05
    ) -> None:
        """Histories burned (T, n) of cells ids (n,) at increasing times (T,) in s; they must not fall."""
        super().__init__(max_change=max_change)
        times, burned = np.asarray(times, float), np.asarray(burned, float)
        if burned.shape != (times.size, np.size(ids)) or times.size < 2:
            raise ValueError(
                f"{times.size} times and {np.size(ids)} ids, but histories of shape {burned.shape}"
            )
        if not np.all(np.diff(times) > 0) or np.diff(burned, axis=0).min() < 0:
            raise ValueError("times must increase and burned fractions must not fall")
        if burned.min() < 0 or burned.max() > 1:
            raise ValueError("burned fractions must be from 0 to 1")
        self.register(ids)
        self._times = times
        self._histories = burned[:, np.argsort(np.asarray(ids, np.int64).ravel(), kind="stable")]

    def advance(self, ids: np.ndarray, *, pressure: np.ndarray, velocity: np.ndarray) -> Burned:
        """The histories at the end of the open step, whatever the pressure."""
        at, _ = self._opened(ids, pressure=pressure)
        end = min(self._step[0] + self._step[1], self._times[-1])
        k = int(np.clip(np.searchsorted(self._times, end) - 1, 0, self._times.size - 2))
        before, after = self._histories[k, at], self._histories[k + 1, at]
        span = self._times[k + 1] - self._times[k]
        share = np.clip((end - self._times[k]) / span, 0.0, 1.0)
        F = np.maximum(before + share * (after - before), self._now["burned"][at])
        self._next["burned"][at] = F
        return self._result(at, (after - before) / span)
