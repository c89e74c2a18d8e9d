"""Exact solutions of the model equations: Hugoniot, isentrope, Riemann problem, CJ detonation, adiabatic burn.

Everything here is independent of the solver's kernels and serves as its yardstick and as the inflow state.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mld_closure.dns.eos import Material, energy, mie_gruneisen, temperature
from mld_closure.dns.kinetics import Kinetics


@dataclass(frozen=True)
class ShockState:
    """State behind a steady shock driven into material at rest (SI units)."""

    up: float  # particle (piston) speed
    us: float  # shock speed
    p: float
    rho: float
    e: float
    T: float


def bisect(f: Callable[[float], float], low: float, high: float, steps: int = 200) -> float:
    """The root of f between low and high, where f changes sign, to the last bit."""
    f_low = f(low)
    if f_low * f(high) > 0:
        raise ValueError(f"no sign change between {low} and {high}")
    for _ in range(steps):
        mid = 0.5 * (low + high)
        if mid in (low, high):
            break
        f_mid = f(mid)
        low, high = (low, mid) if f_low * f_mid <= 0 else (mid, high)
        f_low = f_low if high == mid else f_mid
    return 0.5 * (low + high)


def hugoniot_pressure(rho: float, m: Material, rho_a: float, p_a: float, e_a: float) -> float:
    """Pressure (Pa) of the shock Hugoniot centred on state a, at density rho (kg/m3).

    Rankine-Hugoniot energy e - e_a = (p + p_a)(1/rho_a - 1/rho)/2 with p linear in e.
    """
    p_cold = float(mie_gruneisen(np.float64(rho), np.float64(0.0), m))  # pc - G rho ec
    dv = 1 / rho_a - 1 / rho
    return (p_cold + m.G * rho * (e_a + 0.5 * p_a * dv)) / (1 - 0.5 * m.G * rho * dv)


def shock_from_piston(up: float, m: Material) -> ShockState:
    """The shock that a piston of speed up (m/s) drives into solid at rest at rho0, p = 0."""
    if not up > 0:
        raise ValueError(f"piston speed must be positive, got {up} m/s")
    limit = m.rho0 * (1 + 2 / m.G) * (1 - 1e-9)

    def mismatch(rho: float) -> float:
        return hugoniot_pressure(rho, m, m.rho0, 0.0, 0.0) * (1 - m.rho0 / rho) - m.rho0 * up**2

    rho = bisect(mismatch, m.rho0 * (1 + 1e-12), limit)
    p = hugoniot_pressure(rho, m, m.rho0, 0.0, 0.0)
    e = 0.5 * p * (1 / m.rho0 - 1 / rho)
    return ShockState(up, p / (m.rho0 * up), p, rho, e, float(temperature(np.float64(rho), np.float64(e), m)))


def shock_from_pressure(p: float, m: Material) -> ShockState:
    """The shock of pressure p (Pa) into solid at rest at rho0, p = 0."""
    if not p > 0:
        raise ValueError(f"shock pressure must be positive, got {p} Pa")
    limit = m.rho0 * (1 + 2 / m.G) * (1 - 1e-9)
    rho = bisect(lambda r: hugoniot_pressure(r, m, m.rho0, 0.0, 0.0) - p, m.rho0 * (1 + 1e-12), limit)
    up = float(np.sqrt(p * (1 / m.rho0 - 1 / rho)))
    return shock_from_piston(up, m)


def _isentrope(rho_a: float, e_a: float, p_end: float, m: Material, steps: int = 2000) -> tuple[float, float]:
    """Density at p_end and velocity gain (m/s) along the isentrope from state a down to p_end (RK4 in p)."""

    def rates(y: np.ndarray) -> np.ndarray:
        rho, e = y[0], y[1]
        p = float(mie_gruneisen(rho, e, m))
        c2 = _sound_speed2(rho, e, p, m)
        # de/dp = p/(rho^2 c^2), drho/dp = 1/c^2, du/dp = -1/(rho c)
        return np.array([1 / c2, p / (rho**2 * c2), -1 / (rho * np.sqrt(c2))])

    y = np.array([rho_a, e_a, 0.0])
    h = (p_end - float(mie_gruneisen(np.float64(rho_a), np.float64(e_a), m))) / steps
    for _ in range(steps):
        k1 = rates(y)
        k2 = rates(y + 0.5 * h * k1)
        k3 = rates(y + 0.5 * h * k2)
        y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + rates(y + h * k3))
    return float(y[0]), float(y[2])


def _sound_speed2(rho: float, e: float, p: float, m: Material) -> float:
    """c^2 = dp/drho at constant e + (p/rho^2) dp/de, by the analytic cold curve."""
    x = rho / m.rho0
    dpc = m.K / m.rho0 * x ** (m.n - 1)
    ec = m.K / (m.n * m.rho0) * (x ** (m.n - 1) / (m.n - 1) + 1 / x - m.n / (m.n - 1))
    dec = m.K / (m.n * m.rho0**2) * (x ** (m.n - 2) - 1 / x**2)
    return dpc + m.G * (e - ec) - m.G * rho * dec + m.G * p / rho


def wave_velocity(rho: float, e: float, p_star: float, m: Material) -> float:
    """Velocity change (m/s) across the wave that takes state (rho, e) at rest to p_star, away from the wave."""
    p = float(mie_gruneisen(np.float64(rho), np.float64(e), m))
    if p_star >= p:
        limit = rho * (1 + 2 / m.G) * (1 - 1e-9)
        r = bisect(lambda r: hugoniot_pressure(r, m, rho, p, e) - p_star, rho, limit)
        return float(np.sqrt(max((p_star - p) * (1 / rho - 1 / r), 0.0)))
    return -_isentrope(rho, e, p_star, m)[1]


def riemann_star(
    left: tuple[float, float, float], right: tuple[float, float, float], m: Material
) -> tuple[float, float]:
    """(p*, u*) of the Riemann problem between states (rho, u, e), both solid; Pa and m/s."""

    def gap(p: float) -> float:
        return (left[1] - wave_velocity(left[0], left[2], p, m)) - (
            right[1] + wave_velocity(right[0], right[2], p, m)
        )

    p = bisect(gap, 1.0, 200e9, steps=60)
    return p, left[1] - wave_velocity(left[0], left[2], p, m)


def free_surface_velocity(up: float, m: Material) -> float:
    """Velocity (m/s) of a free surface after a shock of particle speed up (m/s) reaches it."""
    s = shock_from_piston(up, m)
    return up + _isentrope(s.rho, s.e, 0.0, m)[1] * 1.0


def chapman_jouguet(m: Material, q: float) -> tuple[float, float]:
    """(D, p) of the CJ detonation with heat q (J/kg): least wave speed over the products' Hugoniot."""
    rho = np.linspace(1.001, 1.8, 200_001) * m.rho0
    p = (mie_gruneisen(rho, np.zeros_like(rho), m) + m.G * rho * q) / (
        1 - 0.5 * m.G * rho * (1 / m.rho0 - 1 / rho)
    )
    speed = np.sqrt(p / (1 - m.rho0 / rho) / m.rho0)
    i = int(np.argmin(speed))
    return float(speed[i]), float(p[i])


def adiabatic_burn_time(T_start: float, rho: float, to: float, m: Material, k: Kinetics) -> float:
    """Time (s) in which material at constant density burns adiabatically from lam = 0 to `to`.

    Quadrature of dt = dlam / w(lam): at constant volume e = e_start + Q lam.
    """
    e_start = bisect(
        lambda e: float(temperature(np.float64(rho), np.float64(e), m)) - T_start,
        float(energy(np.float64(rho), np.float64(0.0), m)),
        20e6,
    )
    lam = np.linspace(0.0, to, 200_001)
    T = temperature(np.full_like(lam, rho), e_start + k.Q * lam, m)
    w = (1 - lam) * np.minimum(k.Z * np.exp(-k.Ta / T), k.kmax)
    return float(np.sum(0.5 * (1 / w[1:] + 1 / w[:-1]) * np.diff(lam)))
