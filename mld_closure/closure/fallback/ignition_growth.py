"""Ignition and growth: how the burned fraction F of a cell rises under a pressure.

    dF/dt = I (1-F)^b s^x               for F < ignited, where s = rho/rho0 - 1 - a > 0
          + G1 (1-F)^c F^d (p/p_ref)^y  for F < growth_end
          + G2 (1-F)^e F^g (p/p_ref)^z  for F >= completion_start

The only implementation in the package: the reference hydrocode burns with it (`PressureIgnitionGrowth` gives
it constants of pressure alone), and a closure takes it as a fallback. Sources: Lee and Tarver, Phys. Fluids
23, 2362 (1980), doi:10.1063/1.862940; Tarver, Hallquist and Erickson, 8th Detonation Symposium (1985), for
the three terms.
Why: -ln(1-F) is integrated, cell by cell in compiled code, so that a result never depends on neighbours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...compile_cache import njit
from ..policies import BURNED
from .request import FallbackRequest

BURNED_OUT = 1 - 1e-9
RISE = 5.0  # greatest relative growth of the specific rate over half a substep, in units of `substep`


@dataclass(frozen=True)
class IgnitionGrowth:
    """The rate law above; its constants belong to one material, so those of two terms must be given.

    Gives the burned fraction only; as a fallback it leaves all other quantities as they are.

    Parameters
    ----------
    compression : callable or None
        Maps pressure (n,) in Pa to rho/rho0 (`LoadTable.compression`). With None the drive of the ignition
        is linear in pressure, s = (p - p_start)/p_ref - a.
    I, a, b, x : float
        Ignition; I in 1/s.
    G1, c, d, y : float
        Growth; G1 in 1/s where `p_ref` is given, in 1/(s Pa^y) with the default of 1 Pa.
    G2, e, g, z : float
        Completion; G2 as G1.
    ignited, growth_end, completion_start : float
        Burned fractions at which terms end and begin.
    p_start : float
        Up to this pressure (Pa) nothing burns.
    p_ref : float
        Pressure (Pa) that p is measured in.
    substep : float
        Greatest share of the unburned that one substep of the integration burns.
    """

    compression: Callable[[np.ndarray], np.ndarray] | None
    I: float
    a: float
    b: float
    x: float
    G1: float
    c: float
    d: float
    y: float
    G2: float = 0.0
    e: float = 1.0
    g: float = 1.0
    z: float = 1.0
    ignited: float = 1.0
    growth_end: float = 1.0
    completion_start: float = 0.0
    p_start: float = 0.0
    p_ref: float = 1.0
    substep: float = 5e-4

    def __post_init__(self) -> None:
        for name in ("I", "b", "x", "G1", "c", "d", "y", "G2", "e", "g", "z", "p_start"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        if not (self.p_ref > 0 and self.substep > 0):
            raise ValueError(f"p_ref and substep must be positive, got {self.p_ref} Pa and {self.substep}")

    def advance(
        self, burned: np.ndarray, pressure: np.ndarray, dt: float | np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Burn cells at constant pressures.

        Parameters
        ----------
        burned : ndarray (n,)
            Burned fractions at the beginning.
        pressure : ndarray (n,)
            Pressures in Pa.
        dt : float or ndarray (n,)
            Time in s, one for all cells or one each.

        Returns
        -------
        tuple of ndarray (n,)
            Burned fractions at the end, and their rates there in 1/s.
        """
        p, F = np.ascontiguousarray(pressure, float), np.array(burned, float)
        if self.compression is None:
            drive = (p - self.p_start) / self.p_ref - self.a
        else:
            drive = np.ascontiguousarray(self.compression(p), float) - 1.0 - self.a
        scaled = np.where(p > self.p_start, p / self.p_ref, 0.0)
        drive = np.where((p > self.p_start) & (drive > 0), drive, 0.0)
        rate, times = np.empty(len(F)), np.ascontiguousarray(np.broadcast_to(dt, F.shape), float)
        ends = self.ignited, self.growth_end, self.completion_start
        law = (
            *(self.I, self.b, self.x, self.G1, self.c, self.d, self.y),
            *(self.G2, self.e, self.g, self.z, *ends, self.substep),
        )
        _integrate(F, drive, scaled, rate, times, tuple(float(v) for v in law))
        return F, rate

    def __call__(self, request: FallbackRequest) -> np.ndarray:
        """Quantities (n, 6) at the end of a request's step: the burned fraction of real time `dt`.

        The rate knows the pressure itself, so it must not run on the cell's clock, which does too.
        """
        out = request.before.copy()
        burned, _ = self.advance(out[:, BURNED], request.pressure, request.dt)
        out[:, BURNED] = np.maximum(burned, out[:, BURNED])
        return out


@dataclass(frozen=True)
class PressureIgnitionGrowth:
    """Constants of ignition and growth driven by pressure alone; `law` is the law.

        dF/dt = (1-F)^c [ignition ((p - p_start)/p_ref)^x + growth F^d (p/p_ref)^y]  above p_start, else 0

    The default constants follow the burned fraction of this package's meso-scale runs at 10 % porosity
    (piston speeds 0.7 and 0.9 km/s, p from the porous Hugoniot, the time the shock needs to cross the sample
    taken into account) within 0.11; they describe that artificial material and no real explosive.

    Parameters
    ----------
    ignition, growth : float
        Rates in 1/s.
    p_start, p_ref : float
        Pressures in Pa.
    c, d, x, y : float
        Exponents.
    """

    ignition: float = 4.5e7
    growth: float = 1.8e8
    p_start: float = 1e9
    p_ref: float = 5e9
    c: float = 1.0
    d: float = 2 / 3
    x: float = 2.0
    y: float = 1.0

    def __post_init__(self) -> None:
        for name in ("ignition", "growth", "p_start", "d", "x", "y"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        if not self.p_ref > 0 or self.c < 1:
            raise ValueError(f"p_ref must be positive and c at least 1, got {self.p_ref} and {self.c}")

    def law(self, substep: float = 0.01) -> IgnitionGrowth:
        """The law with these constants; substep: see `IgnitionGrowth`."""
        return IgnitionGrowth(
            None, I=self.ignition, a=0.0, b=self.c, x=self.x, G1=self.growth, c=self.c, d=self.d, y=self.y,
            p_start=self.p_start, p_ref=self.p_ref, substep=substep,
        )  # fmt: skip


@njit()
def _specific_rate(f, drive, p, law):
    """dF/dt / (1 - F) in 1/s."""
    I, b, x, G1, c, d, y, G2, e, g, z, ignited, growth_end, completion_start, _ = law
    left = 1.0 - f
    total = 0.0
    if drive > 0.0 and f < ignited:
        total += I * drive**x * left ** (b - 1.0)
    if p > 0.0 and f < growth_end:
        total += G1 * f**d * p**y * left ** (c - 1.0)
    if p > 0.0 and G2 > 0.0 and f >= completion_start:
        total += G2 * f**g * p**z * left ** (e - 1.0)
    return total


@njit()
def _integrate(F, drive, pressure, rate, times, law):
    """Midpoint rule on -d ln(1 - F) = k dt, in substeps; F (n,) in place, rate (n,) at the end."""
    share = law[-1]
    rise = 1.0 + RISE * share
    for i in range(F.shape[0]):
        f, rest, s, p = F[i], times[i], drive[i], pressure[i]
        while rest > 0.0 and f < BURNED_OUT:
            k = _specific_rate(f, s, p, law)
            if k == 0.0:
                break
            h = min(rest, share / k)
            k_middle = _specific_rate(f - (1.0 - f) * np.expm1(-0.5 * h * k), s, p, law)
            while k_middle > rise * k:
                h *= 0.5
                k_middle = _specific_rate(f - (1.0 - f) * np.expm1(-0.5 * h * k), s, p, law)
            f -= (1.0 - f) * np.expm1(-h * k_middle)
            rest -= h
        F[i] = f
        rate[i] = (1.0 - f) * _specific_rate(f, s, p, law) if f < 1.0 else 0.0
