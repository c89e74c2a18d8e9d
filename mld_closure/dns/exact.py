"""Exact solutions of the model equations: Hugoniot, isentrope, Riemann problem, CJ detonation, ignition.

Everything here is independent of the solver's kernels and serves as its yardstick and as the inflow state.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mld_closure.dns.eos import Material, energy, mie_gruneisen, pressure, temperature
from mld_closure.dns.kinetics import P_REFERENCE, Kinetics


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
    """Velocity (m/s) that state (rho, e) at rest gains, away from the wave that takes it to p_star."""
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
    return up + _isentrope(s.rho, s.e, 0.0, m)[1]


def chapman_jouguet(m: Material, q: float) -> tuple[float, float]:
    """(D, p) of the CJ detonation with heat q (J/kg): least wave speed over the products' Hugoniot."""
    rho = np.linspace(1.001, 1.8, 200_001) * m.rho0
    p = (mie_gruneisen(rho, np.zeros_like(rho), m) + m.G * rho * q) / (
        1 - 0.5 * m.G * rho * (1 / m.rho0 - 1 / rho)
    )
    speed = np.sqrt(p / (1 - m.rho0 / rho) / m.rho0)
    i = int(np.argmin(speed))
    return float(speed[i]), float(p[i])


def products_state(speed: float, p: float, m: Material, q: float) -> np.ndarray:
    """Primitive state (5,) of the burned material behind a detonation of the given speed and pressure."""
    up = p / (m.rho0 * speed)
    rho = m.rho0 / (1 - up / speed)
    return np.array([rho, up, 0.0, q + 0.5 * p * (1 / m.rho0 - 1 / rho), 1.0])


def energy_at_temperature(T: float, rho: float, m: Material) -> float:
    """Specific internal energy (J/kg) of the solid at temperature T (K) and density rho (kg/m3)."""
    cold = float(energy(np.float64(rho), np.float64(0.0), m))
    return bisect(lambda e: float(temperature(np.float64(rho), np.float64(e), m)) - T, cold, 20e6)


def adiabatic_burn_time(T_start: float, rho: float, to: float, m: Material, k: Kinetics) -> float:
    """Time (s) in which material at constant density burns adiabatically from lam = 0 to `to`.

    Quadrature of dt = dlam / w(lam): at constant volume e = e_start + Q lam.
    """
    e_start = energy_at_temperature(T_start, rho, m)
    lam = np.linspace(0.0, to, 200_001)
    T = temperature(np.full_like(lam, rho), e_start + k.Q * lam, m)
    most = np.full_like(lam, k.kmax)
    if k.limit is not None:
        p = pressure(np.full_like(lam, rho), e_start + k.Q * lam, m)
        most = np.minimum(most, k.limit.k10 * (p / P_REFERENCE) ** k.limit.n)
    w = (1 - lam) * np.minimum(k.Z * np.exp(-k.Ta / T), most)
    return float(np.sum(0.5 * (1 / w[1:] + 1 / w[:-1]) * np.diff(lam)))


def ideal_gas_tube(
    xi: np.ndarray, left: tuple[float, float, float], right: tuple[float, float, float], gamma: float
) -> np.ndarray:
    """(rho, u, p), (3, n), at xi = x/t of an ideal gas shock tube: rarefaction left, shock right.

    Source: Toro (3rd ed.), section 4.5.
    """
    (rl, ul, pl), (rr, ur, pr) = left, right
    cl, g1 = np.sqrt(gamma * pl / rl), gamma - 1

    def gap(p: float) -> float:
        behind = ul + 2 * cl / g1 * (1 - (p / pl) ** (g1 / (2 * gamma)))
        ahead = ur + (p - pr) * np.sqrt(2 / (rr * ((gamma + 1) * p + g1 * pr)))
        return behind - ahead

    p = bisect(gap, pr, pl)
    u = ur + (p - pr) * np.sqrt(2 / (rr * ((gamma + 1) * p + g1 * pr)))
    behind_left, q = rl * (p / pl) ** (1 / gamma), g1 / (gamma + 1)
    behind_right = rr * (p / pr + q) / (q * p / pr + 1)
    shock = ur + np.sqrt(((gamma + 1) * p / pr + g1) * pr / (2 * rr))
    c = 2 / (gamma + 1) * (cl + 0.5 * g1 * (ul - xi))  # sound speed inside the fan
    fan = np.stack([rl * (c / cl) ** (2 / g1), xi + c, pl * (c / cl) ** (2 * gamma / g1)])
    tail = u - cl * (p / pl) ** (g1 / (2 * gamma))

    def uniform(rho: float, velocity: float, pressure: float) -> np.ndarray:
        return np.stack([np.full_like(xi, v) for v in (rho, velocity, pressure)])

    out = np.where(xi < shock, uniform(behind_right, u, p), uniform(rr, ur, pr))
    out = np.where(xi < u, uniform(behind_left, u, p), out)
    out = np.where(xi < tail, fan, out)
    return np.where(xi < ul - cl, uniform(rl, ul, pl), out)


def porous_shock(up: float, m: Material, solid: float) -> tuple[float, float, float, float]:
    """(rho, p, e, us) behind the shock of piston speed up (m/s) in a cold body of this solid fraction."""
    start = solid * m.rho0

    def mismatch(rho: float) -> float:
        return hugoniot_pressure(rho, m, start, 0.0, 0.0) * (1 - start / rho) - start * up**2

    rho = bisect(mismatch, 0.98 * m.rho0, 1.6 * m.rho0)
    p = hugoniot_pressure(rho, m, start, 0.0, 0.0)
    return rho, p, 0.5 * p * (1 / start - 1 / rho), p / (start * up)
