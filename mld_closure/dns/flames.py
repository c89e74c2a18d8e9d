"""A plane flame: how fast it eats into shocked material, and how many pixels carry it.

Burned material of the same pressure lies at a rigid wall and the shocked solid before it, open at the far
side, so the flame runs at nearly constant pressure. Its speed is that against the unburned material: burned
mass per time and area over the unburned density. Its thickness is the distance over which lam would fall from
1 to 0 at its steepest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mld_closure.dns.eos import Material, energy
from mld_closure.dns.exact import bisect, shock_from_piston
from mld_closure.dns.kinetics import Kinetics
from mld_closure.dns.loading import line_solver
from mld_closure.dns.solver import Boundaries

LINE = Boundaries("mirror", "copy", "copy", "copy")


@dataclass(frozen=True)
class Flame:
    """Speed against the unburned material (m/s), thickness (pixels) and the pressure it ran at (Pa)."""

    speed: float
    thickness: float
    pressure: float


def products_at(p: float, rho: float, e: float, m: Material, q: float) -> tuple[float, float]:
    """(rho, e) of material at pressure p (Pa) that burned there from (rho, e): e + p/rho gains q (J/kg)."""
    enthalpy = e + p / rho + q
    burned = bisect(lambda r: float(energy(np.float64(r), p, m)) + p / r - enthalpy, 0.2 * m.rho0, rho)
    return burned, enthalpy - p / burned


def flame(
    up: float,
    pixel: float,
    m: Material,
    k: Kinetics,
    *,
    travel: float = 24.0,
    columns: int = 160,
    slowest: float = 20.0,
) -> Flame:
    """The flame in material that a shock of piston speed up (m/s) has compressed and heated.

    It is measured over the second half of the time in which it travels `travel` pixels, or that a flame of
    `slowest` (m/s) would need.
    """
    shock = shock_from_piston(up, m)
    rho, e = products_at(shock.p, shock.rho, shock.e, m, k.Q)
    burned = np.arange(columns) < columns // 8
    state = np.zeros((5, columns))
    state[0], state[3], state[4] = np.where(burned, rho, shock.rho), np.where(burned, e, shock.e), burned
    run = line_solver(state, pixel, m, k, boundaries=LINE)
    longest = travel * pixel / slowest
    start, most = run.totals()[4], travel * shock.rho * pixel**2
    while run.totals()[4] - start < 0.5 * most and run.time < 0.5 * longest:
        run.run(run.time + 0.05 * longest)
    middle, t_middle, steepest = run.totals()[4], run.time, []
    while run.totals()[4] - start < most and run.time < longest:
        run.run(run.time + 0.02 * longest)
        steepest.append(np.abs(np.diff(run.fields()["reaction_progress"][0])).max())
    speed = (run.totals()[4] - middle) / (run.time - t_middle) / (shock.rho * pixel)
    fresh = run.fields()["pressure"][0, -columns // 4 :]
    return Flame(float(speed), float(1 / np.mean(steepest)), float(fresh.mean()))
