"""Equation of state: Mie-Gruneisen on a Murnaghan isentrope, with a two-level heat capacity.

With x = rho/rho0 and an integer Murnaghan exponent n (so that no general power is needed in p and c):

    pc = (K/n)(x^n - 1)            ec = K/(n rho0) [x^(n-1)/(n-1) + 1/x - n/(n-1)]
    p  = max(pc + G rho (e - ec), 0)
    c^2 = K x^(n-1)/rho0 + G(G+1) max(e - ec, 0), floored at cmin^2
    T  = T0 x^G + tau(e - ec) in the solid, T0 + tau(e) in a solid/void mixture (where p is cut off)
    tau(h) = (b + sqrt(b^2 + 4 cinf h T1)) / (2 cinf),  b = h - c0 T1

Scalar functions are compiled and take `Constants`; array functions take a `Material`.
Why: x^G is a polynomial fit inside the kernels (relative error below 1e-8 for 0.75 <= x <= 2, exact at 1),
because a library power would cost as much as the rest of the temperature. Where material lighter than
0.75 rho0 is active, the fit reaches down to it, within 2e-6.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..compile_cache import njit

DENSE = 0.8  # share of rho0 above which material of the first density rule conducts and reacts
FIT_RANGE = (0.75, 2.0)  # of x = rho/rho0, wider where lighter material is active
FIT_DEGREE = 10
jit = njit(error_model="numpy", fastmath={"contract", "nsz"})


@dataclass(frozen=True)
class Material:
    """Material constants in SI units; the defaults are the HMX of this package (us = 2650 + 2.38 up)."""

    rho0: float = 1900.0  # kg/m3
    K: float = 13.3e9  # Pa, bulk modulus
    n: int = 9  # Murnaghan exponent
    G: float = 1.1  # Gruneisen coefficient
    T0: float = 300.0  # K
    c0: float = 1000.0  # J/kg/K, heat capacity at T0
    cinf: float = 2300.0  # J/kg/K, heat capacity of the very hot material
    T1: float = 1000.0  # K, where one turns into the other
    kappa: float = 20.0  # W/m/K, artificial conductivity
    rho_void: float = 1.9  # kg/m3, density of a void
    rho_floor: float = 0.19  # kg/m3
    cmin: float = 100.0  # m/s, least sound speed
    active: float | None = None  # conduct and react where rho > active rho0 and p > 0; None: rho > 0.8 rho0
    viscosity: float | None = None  # Pa s at rho0, in proportion to rho, where rho > active rho0; None: none

    def __post_init__(self) -> None:
        if not 2 <= self.n <= 16:
            raise ValueError(f"Murnaghan exponent n must be an integer from 2 to 16, got {self.n}")
        for name in ("rho0", "G", "T0", "c0", "cinf", "T1", "rho_void", "rho_floor", "cmin"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        if self.active is not None and not 0.05 <= self.active <= 1:
            raise ValueError(f"active is a share of rho0 from 0.05 to 1, got {self.active}")
        for name in ("K", "kappa", "viscosity"):
            if not (getattr(self, name) or 0.0) >= 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")


class Constants(NamedTuple):
    """A `Material` in one floating-point type, with the derived factors the kernels use."""

    zero: Any
    half: Any
    one: Any
    two_thirds: Any
    rho0: Any
    inv_rho0: Any
    m: int  # n - 1
    pc0: Any  # K / n
    ec0: Any  # K / (n rho0)
    ec1: Any  # 1 / (n - 1)
    ec2: Any  # n / (n - 1)
    c20: Any  # K / rho0
    G: Any
    GG1: Any  # G (G + 1)
    T0: Any
    b0: Any  # c0 T1
    d0: Any  # 4 cinf T1
    tau0: Any  # 1 / (2 cinf)
    kappa: Any
    rho_floor: Any
    rho_active: Any  # below this density a cell neither conducts nor reacts
    pressed: bool  # whether a cell must be under pressure to conduct and react
    cmin2: Any
    fit_low: Any
    fit_high: Any
    fit: Any  # coefficients of (x^G - 1)/(x - 1) in x - 1, highest power first


def constants(m: Material, dtype: type = np.float64) -> Constants:
    """`Constants` of a material in the given floating-point type."""
    active = DENSE if m.active is None else m.active
    fit_range = (min(FIT_RANGE[0], active), FIT_RANGE[1])  # every active cell lies inside
    z = np.linspace(*fit_range, 400) - 1  # no sample falls on z = 0
    slope = np.polynomial.Chebyshev.fit(z, ((1 + z) ** m.G - 1) / z, FIT_DEGREE)
    fit = slope.convert(kind=np.polynomial.Polynomial)
    f = dtype
    return Constants(
        zero=f(0), half=f(0.5), one=f(1), two_thirds=f(2 / 3), rho0=f(m.rho0), inv_rho0=f(1 / m.rho0),
        m=m.n - 1,
        pc0=f(m.K / m.n), ec0=f(m.K / (m.n * m.rho0)), ec1=f(1 / (m.n - 1)), ec2=f(m.n / (m.n - 1)),
        c20=f(m.K / m.rho0), G=f(m.G), GG1=f(m.G * (m.G + 1)), T0=f(m.T0), b0=f(m.c0 * m.T1),
        d0=f(4 * m.cinf * m.T1), tau0=f(0.5 / m.cinf), kappa=f(m.kappa), rho_floor=f(m.rho_floor),
        rho_active=f(active * m.rho0), pressed=m.active is not None, cmin2=f(m.cmin**2),
        fit_low=f(fit_range[0]), fit_high=f(fit_range[1]),
        fit=tuple(f(c) for c in fit.coef[::-1]),
    )  # fmt: skip


@jit
def power(x, m, one):
    """x^m for an integer 1 <= m <= 15, by the bits of m (no branch depends on x)."""
    x2 = x * x
    x4 = x2 * x2
    r = x if m & 1 else one
    r = r * x2 if m & 2 else r
    r = r * x4 if m & 4 else r
    return r * (x4 * x4) if m & 8 else r


@jit
def cold(x, ix, c):
    """(pc, ec, K x^(n-1)/rho0) of the cold curve at x = rho/rho0, ix = 1/x."""
    xm = power(x, c.m, c.one)
    return c.pc0 * (xm * x - c.one), c.ec0 * (xm * c.ec1 + ix - c.ec2), c.c20 * xm


@jit
def tau(h, c):
    """Temperature rise (K) of a thermal energy h >= 0 (J/kg)."""
    b = h - c.b0
    return (b + np.sqrt(b * b + c.d0 * h)) * c.tau0


@jit
def temperature_from_cold(x, rho, e, pc, ec, c):
    """Temperature (K) where the cold curve at x is known; x^G from the fit."""
    xf = x if x > c.fit_low else c.fit_low
    xf = xf if xf < c.fit_high else c.fit_high
    z = xf - c.one
    p = c.fit
    xg = p[0] * z + p[1]
    xg = xg * z + p[2]
    xg = xg * z + p[3]
    xg = xg * z + p[4]
    xg = xg * z + p[5]
    xg = xg * z + p[6]
    xg = xg * z + p[7]
    xg = xg * z + p[8]
    xg = xg * z + p[9]
    xg = xg * z + p[10]
    xg = xg * z + c.one
    solid = pc + c.G * rho * (e - ec) >= c.zero
    h = e - ec if solid else e
    h = h if h > c.zero else c.zero
    return (c.T0 * xg if solid else c.T0) + tau(h, c)


def _cold_arrays(rho: np.ndarray, m: Material) -> tuple[np.ndarray, np.ndarray]:
    x = np.asarray(rho) / m.rho0
    pc = m.K / m.n * (x**m.n - 1)
    ec = m.K / (m.n * m.rho0) * (x ** (m.n - 1) / (m.n - 1) + 1 / x - m.n / (m.n - 1))
    return pc, ec


def mie_gruneisen(rho: np.ndarray, e: np.ndarray, m: Material) -> np.ndarray:
    """Pressure before the cut-off at zero (Pa); negative in a solid/void mixture. Arrays of any one shape."""
    pc, ec = _cold_arrays(rho, m)
    return pc + m.G * rho * (e - ec)


def pressure(rho: np.ndarray, e: np.ndarray, m: Material) -> np.ndarray:
    """Pressure (Pa) at density (kg/m3) and specific internal energy (J/kg)."""
    return np.maximum(mie_gruneisen(rho, e, m), 0.0)


def energy(rho: np.ndarray, p: np.ndarray, m: Material) -> np.ndarray:
    """Specific internal energy (J/kg) of the solid at density (kg/m3) and pressure (Pa) > 0."""
    pc, ec = _cold_arrays(rho, m)
    return ec + (p - pc) / (m.G * rho)


def sound_speed(rho: np.ndarray, e: np.ndarray, m: Material) -> np.ndarray:
    """Sound speed (m/s), floored at cmin; exact on the cold curve, Gruneisen part as in the flux."""
    _, ec = _cold_arrays(rho, m)
    c2 = m.K * (rho / m.rho0) ** (m.n - 1) / m.rho0 + m.G * (m.G + 1) * np.maximum(e - ec, 0)
    return np.sqrt(np.maximum(c2, m.cmin**2))


def temperature(rho: np.ndarray, e: np.ndarray, m: Material) -> np.ndarray:
    """Temperature (K) at density (kg/m3) and specific internal energy (J/kg)."""
    _, ec = _cold_arrays(rho, m)
    solid = mie_gruneisen(rho, e, m) >= 0
    h = np.maximum(np.where(solid, e - ec, e), 0.0)
    b = h - m.c0 * m.T1
    rise = (b + np.sqrt(b * b + 4 * m.cinf * h * m.T1)) / (2 * m.cinf)
    return np.where(solid, m.T0 * (np.asarray(rho) / m.rho0) ** m.G, m.T0) + rise


def solid_fraction(rho: np.ndarray, e: np.ndarray, m: Material) -> np.ndarray:
    """Microstructure mu: 1 in the solid, the density ratio in a solid/void mixture."""
    return np.where(mie_gruneisen(rho, e, m) >= 0, 1.0, np.minimum(np.asarray(rho) / m.rho0, 1.0))


def entropy(rho: np.ndarray, e: np.ndarray, m: Material) -> np.ndarray:
    """A = (e - ec)/x^G (J/kg), x = rho/rho0: the thermal energy that the material would have at rho0.
    Constant along isentropes of this equation of state; zero where it is colder than at rest."""
    _, ec = _cold_arrays(rho, m)
    return np.maximum((np.asarray(e) - ec) / (np.asarray(rho) / m.rho0) ** m.G, 0.0)
