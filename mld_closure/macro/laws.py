"""What a burn law of one cell is: the burned fraction F after a time at constant pressure.

A law has `advance(burned, pressure, dt) -> (burned, rate)` on arrays (n,). Each cell is integrated by itself,
so a result never depends on the neighbours in the array. Ignition and growth is `closure.fallback`'s; the
hydrocode takes a law as an argument.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np


class BurnLaw(Protocol):
    """dF/dt as a function of F and pressure, integrated over a step."""

    def advance(self, burned: np.ndarray, pressure: np.ndarray, dt: float) -> tuple[np.ndarray, np.ndarray]:
        """(F, dF/dt in 1/s) at the end of dt (s), from F and pressure (Pa), all (n,)."""
        ...


@dataclass(frozen=True)
class GivenRate:
    """dF/dt = rate (1 - F) wherever the pressure is at least p_start; exact: F = 1 - exp(-rate t)."""

    rate: float  # 1/s
    p_start: float = 0.0  # Pa

    def __post_init__(self) -> None:
        if self.rate < 0 or self.p_start < 0:
            raise ValueError(f"rate and p_start must not be negative, got {self.rate} and {self.p_start}")

    def advance(self, burned: np.ndarray, pressure: np.ndarray, dt: float) -> tuple[np.ndarray, np.ndarray]:
        """See `BurnLaw.advance`."""
        rate = np.where(pressure >= self.p_start, self.rate, 0.0)
        F = burned - (1 - burned) * np.expm1(-rate * dt)
        return F, rate * (1 - F)
