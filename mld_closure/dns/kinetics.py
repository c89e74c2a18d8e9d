"""One-step Arrhenius kinetics: w = (1 - lam) min(Z exp(-Ta/T), kmax), integrated point-wise in substeps.

Z exp(-Ta/T): activation energy of HMX decomposition from Henson and Smilowitz; Z chosen for 50 nm pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from mld_closure.dns.eos import cold, jit, temperature_from_cold


@dataclass(frozen=True)
class Kinetics:
    """Reaction constants in SI units. `kmax` limits the rate: the knob for resolvable growth."""

    Q: float = 5.5e6  # J/kg, heat of reaction
    Z: float = 1e14  # 1/s; 0 switches the chemistry off
    Ta: float = 17922.0  # K
    kmax: float = 1e10  # 1/s
    e_min: float = 0.3e6  # J/kg, no reaction below
    T_min: float = 600.0  # K, no reaction below

    def __post_init__(self) -> None:
        for name in ("Q", "Z", "Ta", "e_min", "T_min"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        if not self.kmax > 0:
            raise ValueError(f"kmax must be positive, got {self.kmax}")


class Rates(NamedTuple):
    """`Kinetics` in one floating-point type."""

    Q: Any
    Z: Any
    Ta: Any
    kmax: Any
    e_min: Any
    T_min: Any
    substep: Any  # largest k (1 - lam) h of one substep
    done: Any  # reaction progress above which nothing is left to burn


def rates(k: Kinetics, dtype: type = np.float64) -> Rates:
    """`Rates` of the kinetics in the given floating-point type."""
    f = dtype
    return Rates(f(k.Q), f(k.Z), f(k.Ta), f(k.kmax), f(k.e_min), f(k.T_min), f(0.02), f(1 - 1e-6))


@jit
def burn(rho, e, lam, dt, c, k):
    """(e, lam) after time dt (s) of reaction at constant density, in substeps that burn at most 2 %."""
    x = rho * c.inv_rho0
    pc, ec, _ = cold(x, c.rho0 / rho, c)
    rest = dt
    while rest > c.zero and lam < k.done:
        T = temperature_from_cold(x, rho, e, pc, ec, c)
        if k.T_min > T:
            break
        rate = k.Z * np.exp(-k.Ta / T)
        rate = rate if rate < k.kmax else k.kmax
        h = k.substep / (rate * (c.one - lam))
        h = h if h < rest else rest
        dlam = (c.one - lam) * (c.one - np.exp(-rate * h))
        lam += dlam
        e += k.Q * dlam
        rest -= h
    return e, lam
