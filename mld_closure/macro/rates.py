"""A burn law as a closure: one burned fraction per registered cell, behind the step protocol."""

from __future__ import annotations

import numpy as np

from mld_closure.macro.laws import BurnLaw
from mld_closure.macro.step_closure import Burned, StepClosure

__all__ = ["Burned", "RateClosure"]


class RateClosure(StepClosure):
    """Burned fractions of cells under a law of pressure; follows `protocol.CellClosure`."""

    def __init__(self, law: BurnLaw, *, max_change: float = 0.05) -> None:
        """`max_change`: amount that no burned fraction should exceed in one step; sets dt_max."""
        super().__init__(max_change=max_change)
        self.law = law

    def advance(self, ids: np.ndarray, *, pressure: np.ndarray, velocity: np.ndarray) -> Burned:
        """Burn the cells through the open step at the given pressures (Pa); the velocity is not used."""
        at, given = self._opened(ids, pressure=pressure)
        F, rate = self.law.advance(self._now["burned"][at], given["pressure"], self._step[1])
        self._next["burned"][at] = F
        return self._result(at, rate)
