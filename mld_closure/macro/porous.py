"""Shocks into porous material: the same equation of state, started below the solid density.

With p cut off at zero the mixture yields without resistance until it is solid, like a snow plough, and the
rest follows from the Rankine-Hugoniot relations with initial density rho00 = rho0 (1 - porosity):
p (1/rho00 - 1/rho) = up^2, e = p (1/rho00 - 1/rho)/2, us = p/(rho00 up).
Source: W. Herrmann, J. Appl. Phys. 40, 2490 (1969), in the limit of no crush strength.
"""

from __future__ import annotations

import numpy as np

from mld_closure.dns.eos import Material, temperature
from mld_closure.dns.exact import ShockState, bisect, hugoniot_pressure


def porous_density(porosity: float, m: Material) -> float:
    """Initial density (kg/m3) at a porosity; never less than that of a void."""
    return max(m.rho0 * (1 - porosity), m.rho_void)


def greatest_porosity(m: Material) -> float:
    """Porosity from which a shock no longer compacts this material: its Hugoniot turns away from rho0."""
    return 2 / (2 + m.G)


def porous_shock(up: float, porosity: float, m: Material) -> ShockState:
    """The shock that a piston of speed up (m/s) drives into porous material at rest at p = 0.

    Raises ValueError where up is not positive or the porosity not in [0, greatest_porosity).
    """
    if not up > 0:
        raise ValueError(f"piston speed must be positive, got {up} m/s")
    if not 0 <= porosity < greatest_porosity(m):
        raise ValueError(
            f"no shock compacts porosity {porosity}; it must be from 0 to below {greatest_porosity(m):.3f}"
        )
    rho00 = porous_density(porosity, m)

    def mismatch(rho: float) -> float:
        return hugoniot_pressure(rho, m, rho00, 0.0, 0.0) * (1 - rho00 / rho) - rho00 * up**2

    rho = bisect(mismatch, m.rho0 * (1 + 1e-12), rho00 * (1 + 2 / m.G) * (1 - 1e-9))
    p = hugoniot_pressure(rho, m, rho00, 0.0, 0.0)
    e = 0.5 * p * (1 / rho00 - 1 / rho)
    return ShockState(up, p / (rho00 * up), p, rho, e, float(temperature(np.float64(rho), np.float64(e), m)))


def detonation_speed(porosity: float, heat: float, m: Material) -> float:
    """Speed (m/s) of the Chapman-Jouguet detonation of porous material with that heat (J/kg).

    The least speed over the products' Hugoniot, relative to the unshocked material.
    """
    rho00 = porous_density(porosity, m)
    rho = np.linspace(1.001, min(1.8, 0.99 * (1 + 2 / m.G)), 4001) * rho00
    p = np.array([hugoniot_pressure(r, m, rho00, 0.0, heat) for r in rho])
    return float(np.sqrt((p / (1 - rho00 / rho) / rho00)[p > 0].min()))
