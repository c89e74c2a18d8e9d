"""One-step Arrhenius kinetics: w = (1 - lam) min(Z exp(-Ta/T), k(p)), integrated point-wise in substeps.

Z exp(-Ta/T): activation energy of HMX decomposition from Henson and Smilowitz; Z chosen for 50 nm pixels.
The rate limit k(p) is a constant, or k10 (p / 10 GPa)^n up to that constant. A flame that conducts kappa and
burns at the rate k travels at a speed proportional to sqrt(kappa k) and is sqrt(kappa / k) thick, so scaling
kappa and k10 together changes its speed and not the number of pixels that carry it: a `Pace` holds both.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from mld_closure.dns.eos import Material, cold, jit, temperature_from_cold

P_REFERENCE = 10e9  # Pa, where a pressure-dependent rate limit equals k10


@dataclass(frozen=True)
class Pace:
    """How fast wall frames burn, in SI units: rate limit k10 (p / 10 GPa)^n, conductivity and viscosity.

    frame_interval: s between frames, so that at mid load nearly all is burned in the last of them.
    """

    k10: float  # 1/s
    kappa: float  # W/m/K
    frame_interval: float
    n: float = 1.0
    viscosity: float | None = None  # Pa s

    def slower(self, ratio: float) -> Pace:
        """A pace whose flames are `ratio` times slower and as thick, with frames as much further apart."""
        if not ratio > 0:
            raise ValueError(f"ratio must be positive, got {ratio}")
        return replace(
            self,
            k10=self.k10 / ratio,
            kappa=self.kappa / ratio,
            frame_interval=self.frame_interval * ratio,
        )


K1 = Pace(6e8, 10.0, 1.4e-9)
PACES = {  # K4: as thick a flame in pixels of 200 nm as that of K3 in pixels of 100 nm, half as fast
    "K1": K1,
    "K2": K1.slower(4.0),
    "K3": Pace(7.5e7, 2.0, 8e-9, n=3.0, viscosity=1.0),
    "K4": Pace(1.875e7, 2.0, 32e-9, n=3.0, viscosity=1.0),
}
PACE = "K4"  # of wall frames where nothing else is said


@dataclass(frozen=True)
class PressureLimit:
    """Rate limit k10 (p / 10 GPa)^n in 1/s; SI units."""

    k10: float
    n: float = 1.0

    def __post_init__(self) -> None:
        if not self.k10 > 0 or self.n < 0:
            raise ValueError(f"a rate limit needs k10 > 0 and n >= 0, got {self.k10} and {self.n}")


@dataclass(frozen=True)
class Kinetics:
    """Reaction constants in SI units. `kmax` and, below it, `limit` bound the rate for resolvable growth."""

    Q: float = 5.5e6  # J/kg, heat of reaction
    Z: float = 1e14  # 1/s; 0 switches the chemistry off
    Ta: float = 17922.0  # K
    kmax: float = 1e10  # 1/s
    e_min: float = 0.3e6  # J/kg, no reaction below
    T_min: float = 600.0  # K, no reaction below
    limit: PressureLimit | None = None  # None: kmax at every pressure

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
    limited: bool  # whether the rate limit depends on pressure
    k10: Any
    n: Any
    inv_p: Any  # 1 / P_REFERENCE
    substep: Any  # largest k (1 - lam) h of one substep
    done: Any  # reaction progress above which nothing is left to burn


def rates(k: Kinetics, dtype: type = np.float64) -> Rates:
    """`Rates` of the kinetics in the given floating-point type."""
    f = dtype
    limit = k.limit or PressureLimit(k.kmax, 0.0)
    return Rates(
        Q=f(k.Q), Z=f(k.Z), Ta=f(k.Ta), kmax=f(k.kmax), e_min=f(k.e_min), T_min=f(k.T_min),
        limited=k.limit is not None, k10=f(limit.k10), n=f(limit.n), inv_p=f(1 / P_REFERENCE),
        substep=f(0.02), done=f(1 - 1e-6),
    )  # fmt: skip


def paced(pace: Pace | str) -> tuple[Material, Kinetics]:
    """Material and kinetics of a pace or of one of `PACES`; both follow the rule rho > 0.3 rho0 and p > 0."""
    if isinstance(pace, str):
        pace = PACES[pace]
    material = Material(kappa=pace.kappa, active=0.3, viscosity=pace.viscosity)
    return material, Kinetics(limit=PressureLimit(pace.k10, pace.n))


@jit
def burn(rho, e, lam, dt, c, k):
    """(e, lam) after time dt (s) of reaction at constant density, in substeps that burn at most 2 %.

    A rate limit that depends on pressure takes that of the start of each substep.
    """
    x = rho * c.inv_rho0
    pc, ec, _ = cold(x, c.rho0 / rho, c)
    rest = dt
    while rest > c.zero and lam < k.done:
        T = temperature_from_cold(x, rho, e, pc, ec, c)
        if k.T_min > T:
            break
        rate = k.Z * np.exp(-k.Ta / T)
        rate = rate if rate < k.kmax else k.kmax
        if k.limited:
            p = (pc + c.G * rho * (e - ec)) * k.inv_p
            if not p > c.zero:
                break
            most = k.k10 * (p if k.n == c.one else p**k.n)
            rate = rate if rate < most else most
        h = k.substep / (rate * (c.one - lam))
        h = h if h < rest else rest
        dlam = (c.one - lam) * (c.one - np.exp(-rate * h))
        lam += dlam
        e += k.Q * dlam
        rest -= h
    return e, lam
