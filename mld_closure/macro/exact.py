"""Exact solutions for partly burned material: isentropes, shocks, Riemann problems, detonation structure.

Nothing here uses the kernels of `mixture`. Solid and products are each known by their entropy
A = (e - ec)/x^G, which stays on isentropes, so that an isentrope of the mixture is explicit in the pressure:

    v(p) = (1 - lam) v(p, A_s) + lam v(p, A_p),    e(p) likewise,    u = integral of sqrt(-dv/dp) dp

A captured shock moves along its Rayleigh line p + q = p0 + j^2 (v0 - v), and the model gives the solid the
viscous work dA_s = -q dv/x_s^G on the way; the state behind is where q is zero again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mld_closure.dns.eos import Material
from mld_closure.dns.exact import bisect, hugoniot_pressure

SHOCK_STEPS = 400  # along the Rayleigh line of a shock
FAN_POINTS = 400  # of the integral over a rarefaction


def _cold(v: float, m: Material) -> tuple[float, float, float]:
    x = 1 / (m.rho0 * v)
    pc = m.K / m.n * (x**m.n - 1)
    ec = m.K / (m.n * m.rho0) * (x ** (m.n - 1) / (m.n - 1) + 1 / x - m.n / (m.n - 1))
    return x, pc, ec


def phase(v: float, A: float, m: Material) -> tuple[float, float]:
    """(p, e) of one phase at specific volume v (m3/kg) and entropy A (J/kg)."""
    x, pc, ec = _cold(v, m)
    heat = A * x**m.G
    return pc + m.G * heat / v, ec + heat


def phase_volume(p: float, A: float, m: Material) -> float:
    """Specific volume (m3/kg) of one phase at pressure p (Pa) and entropy A (J/kg)."""
    return bisect(lambda v: phase(v, A, m)[0] - p, 0.2 / m.rho0, 50 / m.rho0)


@dataclass(frozen=True)
class Mixture:
    """Solid of entropy A and products of entropy B (J/kg) at one pressure (Pa); lam burned."""

    p: float
    lam: float
    A: float
    B: float
    m: Material

    @property
    def v(self) -> float:
        """Specific volume (m3/kg)."""
        return self.volume(self.p)

    @property
    def e(self) -> float:
        """Specific internal energy (J/kg)."""
        solid, products = phase_volume(self.p, self.A, self.m), phase_volume(self.p, self.B, self.m)
        e_s, e_p = phase(solid, self.A, self.m)[1], phase(products, self.B, self.m)[1]
        return (1 - self.lam) * e_s + self.lam * e_p

    def volume(self, p: float) -> float:
        """Specific volume (m3/kg) at another pressure (Pa) on the same isentrope."""
        solid, products = phase_volume(p, self.A, self.m), phase_volume(p, self.B, self.m)
        return (1 - self.lam) * solid + self.lam * products

    def velocity_gain(self, p_end: float) -> float:
        """Velocity (m/s) gained in the rarefaction to p_end (Pa) < p."""
        s, w = np.polynomial.legendre.leggauss(FAN_POINTS // 10)
        p = 0.5 * (self.p + p_end) + 0.5 * (self.p - p_end) * s
        return float((w * np.sqrt([self.softness(q) for q in p])).sum() * 0.5 * (self.p - p_end))

    def softness(self, p: float) -> float:
        """-dv/dp (m3/kg/Pa) at a pressure (Pa) on the isentrope, which is (v/c)^2."""
        h = 1e-5 * p
        return (self.volume(p - h) - self.volume(p + h)) / (2 * h)


def equilibrium(v: float, e: float, lam: float, A: float, m: Material) -> tuple[float, float]:
    """(p, v_s) of a mixture by plain bisection on the solid's volume (m3/kg)."""

    def gap(v_s: float) -> float:
        p_s, e_s = phase(v_s, A, m)
        v_p, e_p = (v - (1 - lam) * v_s) / lam, (e - (1 - lam) * e_s) / lam
        _, pc, ec = _cold(v_p, m)
        return p_s - (pc + m.G * (e_p - ec) / v_p)

    v_s = bisect(gap, 1 / (1.9 * m.rho0), v / (1 - lam) * (1 - 1e-9))
    return phase(v_s, A, m)[0], v_s


def shock_behind(ahead: Mixture, flux: float) -> tuple[Mixture, float]:
    """State behind a shock of mass flux j (kg/m2/s) into `ahead`, and the velocity gained (m/s)."""
    m, lam, v0, e0 = ahead.m, ahead.lam, ahead.v, ahead.e
    j2 = flux**2

    def viscous(v: float, A: float) -> tuple[float, float, float, float]:
        push = ahead.p + j2 * (v0 - v)
        e = e0 + 0.5 * (ahead.p + push) * (v0 - v)
        p, v_s = equilibrium(v, e, lam, A, m)
        return push - p, p, v_s, e

    def rate(v: float, A: float) -> float:
        q, _, v_s, _ = viscous(v, A)
        return -max(q, 0.0) * (m.rho0 * v_s) ** m.G  # dA/dv = -q/x_s^G

    h, v, A = -0.35 * v0 / SHOCK_STEPS, v0, ahead.A
    while True:
        k1 = rate(v, A)
        k2 = rate(v + 0.5 * h, A + 0.5 * h * k1)
        k3 = rate(v + 0.5 * h, A + 0.5 * h * k2)
        k4 = rate(v + h, A + h * k3)
        A_next = A + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        q, *_ = viscous(v + h, A_next)
        if q <= 0:
            break
        v, A = v + h, A_next
        if v < 0.6 * v0:
            raise ValueError(f"no state behind a shock of {flux} kg/m2/s")
    # inside the last step q falls to zero: halve it until it is met
    for _ in range(40):
        h *= 0.5
        A_next = A + h * rate(v + 0.5 * h, A + 0.5 * h * rate(v, A))
        if viscous(v + h, A_next)[0] > 0:
            v, A = v + h, A_next
    _, p, v_s, e = viscous(v, A)
    v_p = (v - (1 - lam) * v_s) / lam
    x, _, ec = _cold(v_p, m)
    e_p = (e - (1 - lam) * phase(v_s, A, m)[1]) / lam
    return Mixture(p, lam, A, (e_p - ec) / x**m.G, m), flux * (v0 - v)


def riemann(left: Mixture, right: Mixture) -> tuple[float, float, Mixture]:
    """(p*, u*, state behind the shock) of a Riemann problem from rest: rarefaction left, shock right."""

    def gap(flux: float) -> float:
        behind, u = shock_behind(right, flux)
        return left.velocity_gain(behind.p) - u

    sonic = right.softness(right.p) ** -0.5  # mass flux of a weak wave, rho c
    flux = bisect(gap, 1.02 * sonic, 1.6 * sonic, steps=30)
    behind, u = shock_behind(right, flux)
    return behind.p, u, behind


def reaction_zone(speed: float, lam: np.ndarray, heat: float, m: Material) -> tuple[np.ndarray, np.ndarray]:
    """Pressure (Pa) and density (kg/m3) in a steady detonation, (n,), where the fraction lam has burned.

    speed: of the detonation into solid at rest at p = 0 (m/s). lam: (n,), increasing, between 0 and 1. The
    solid keeps the entropy of the leading shock; each state lies on its Rayleigh line, on the side of the
    shock. Raises ValueError where the detonation is too slow to reach such a state.
    """
    v0 = 1 / m.rho0

    def line(v: float) -> float:
        return (m.rho0 * speed) ** 2 * (v0 - v)

    limit = m.rho0 * (1 + 2 / m.G) * (1 - 1e-9)
    rho = bisect(
        lambda r: hugoniot_pressure(r, m, m.rho0, 0.0, 0.0) - line(1 / r), m.rho0 * (1 + 1e-6), limit
    )
    v, (x, _, ec) = 1 / rho, _cold(1 / rho, m)
    A = (0.5 * line(v) * (v0 - v) - ec) / x**m.G
    states = []
    for part in lam:

        def gap(v: float, part: float = part) -> float:
            e = 0.5 * line(v) * (v0 - v) + heat * part
            return equilibrium(v, e, part, A, m)[0] - line(v)

        end = v
        while gap(end) > 0:
            end += 2e-3 * v0
            if end > v0:
                raise ValueError(f"a detonation of {speed} m/s is too slow for lam = {part}")
        v = bisect(gap, v * (1 - 1e-9), end)
        states.append((line(v), 1 / v))
    return tuple(np.array(states).T)
