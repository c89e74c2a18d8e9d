"""Problems with known answers of the wall frames: plane flames, flames at low pressure, reverse impacts.

Speed and thickness of the flames were measured first with an earlier implementation of the same model; the
impacts are checked against the exact Hugoniot of the solid and of a porous body.
"""

from __future__ import annotations

import numpy as np

from mld_closure.dns.checks import Check
from mld_closure.dns.curves import Arrivals, OwnMaterial
from mld_closure.dns.eos import Material
from mld_closure.dns.exact import porous_shock, shock_from_piston
from mld_closure.dns.flames import flame
from mld_closure.dns.kinetics import PACE, Kinetics, paced
from mld_closure.dns.microstructure import PackRules, pack, solid_fraction
from mld_closure.dns.solver import Solver
from mld_closure.dns.wall import wall_solver

# piston speed (m/s) -> shock pressure (GPa), speed (m/s) and thickness (pixels of 50 nm) of the K1 flame
FLAMES = {500: (3.7, 23, 3.7), 700: (5.8, 33, 3.3), 900: (8.3, 42, 2.9), 1200: (12.6, 55, 2.6)}
LEVEL = 2.5e9
INERT = Kinetics(Z=0.0)


def flame_speeds(full: bool = False) -> list[Check]:
    """Plane flames of K1 at 50 and 100 nm, and with K2, which is four times slower and as thick."""
    travel = 24.0 if full else 12.0
    checks = []
    for up, (p, speed, thickness) in FLAMES.items() if full else [(1200, FLAMES[1200])]:
        fine, coarse = (flame(up, pixel, *paced("K1"), travel=travel) for pixel in (50e-9, 100e-9))
        name = f"flame at {p} GPa"
        checks += [
            Check(f"{name}, 50 nm: speed", fine.speed, speed, 0.1, units="m/s"),
            Check(f"{name}, 50 nm: thickness", fine.thickness, thickness, 0.1, units="px"),
            Check(f"{name}, 100 nm: speed to that at 50 nm", coarse.speed / fine.speed, 1.0, 0.15),
        ]
        if full:
            slow = flame(up, 50e-9, *paced("K2"), travel=travel)
            checks += [
                Check(f"{name}, K2: speed to that of K1", slow.speed / fine.speed, 0.25, 0.2),
                Check(f"{name}, K2: thickness to that of K1", slow.thickness / fine.thickness, 1.0, 0.15),
            ]
    return checks


def served_flames(full: bool = False) -> list[Check]:
    """Plane flames of the default pace of wall frames: carried by 200 nm pixels, nearly as by 100 nm ones."""
    pace, travel = paced(PACE), 24.0 if full else 10.0
    checks = []
    for up in (700, 900, 1200) if full else (900,):
        coarse = flame(up, 200e-9, *pace, travel=travel, slowest=1.0)
        name = f"{PACE} flame at {FLAMES[up][0]} GPa"
        checks.append(
            Check(f"{name}, 200 nm: thickness", coarse.thickness, None, 2.5, "above", "px"),
        )
        if full:
            fine = flame(up, 100e-9, *pace, travel=travel, slowest=1.0)
            checks.append(
                Check(f"{name}, 200 nm: speed to that at 100 nm", coarse.speed / fine.speed, 1.0, 0.15)
            )
    return checks


def light_products(full: bool = False) -> list[Check]:
    """A flame below 5.8 GPa: its products are lighter than 0.8 rho0, and by the first rule none runs."""
    material, kinetics = paced("K1")
    dense = Material(kappa=material.kappa)
    travel = 24.0 if full else 8.0
    light = flame(500, 100e-9, material, kinetics, travel=travel, columns=80)
    none = flame(500, 100e-9, dense, kinetics, travel=travel, columns=80)
    return [
        Check("flame at 3.7 GPa, 100 nm: speed", light.speed, 23, 0.15, units="m/s"),
        Check("flame at 3.7 GPa, first density rule: speed", none.speed, 0.0, 1.0, "below", "m/s"),
    ]


def reverse_impact(full: bool = False) -> list[Check]:
    """Solid and porous material thrown at a wall at 1 km/s, without chemistry: what its parts report."""
    up, pixel, parts, halo, columns = 1000.0, 100e-9, 4, 20, 200
    material = Material(kappa=0.0, active=0.3)
    run = wall_solver(np.ones((2, columns)), up, pixel, material, INERT, ramp=0.0)
    own, arrivals = OwnMaterial(run, (halo, halo + 160), parts), Arrivals(LEVEL, 1 + parts)
    shock = shock_from_piston(up, material)
    while not arrivals.complete and run.time < 2 * columns * pixel / shock.us:
        run.run(run.time + 0.02e-9)
        arrivals.add(run.time, own.measure(run)["mean_pressure"])
    late = arrivals.times[1:] - solid_arrivals(up, pixel, material, (halo, halo + 160), parts)
    checks = [
        Check("solid at a wall: arrival in the parts", 1e9 * np.abs(late).max(), 0.0, 0.03, "below", "ns"),
        Check("solid at a wall: p of the patch", _pressure_later(run, own), shock.p / 1e9, 0.02, units="GPa"),
    ]
    ny, nx, porosity = (96, 480, 0.12) if full else (48, 300, 0.12)
    rules = PackRules(median=10, sigma=0.3, smallest=5, largest=30, gap=3, first_column=2, gap_share=0.3)
    mu = solid_fraction((ny, nx), pack((ny, nx), porosity, np.random.default_rng(1), rules))
    run = wall_solver(mu, up, pixel, material, INERT)
    first, end = nx // 5, nx - nx // 5
    own = OwnMaterial(run, (first, end), 4)
    density, p, e, speed = porous_shock(up, material, float(mu[:, first:end].mean()))
    run.run((nx - 0.1 * nx) * pixel / speed)
    now = {name: float(values[0]) for name, values in own.measure(run).items()}
    return [
        *checks,
        Check("porous at a wall: density of own material", now["mean_density"], density, 0.02, units="kg/m3"),
        Check("porous at a wall: p of own material", now["mean_pressure"] / 1e9, p / 1e9, 0.1, units="GPa"),
        # the collapse of the pores leaves some of the energy in motion
        Check("porous at a wall: e to the Hugoniot", now["mean_energy"] / e, None, 0.85, "within", high=1.02),
        Check("porous at a wall: own mass kept", now["kept_share"], 1.0, 1e-12, "absolute"),
    ]


def _pressure_later(run: Solver, own: OwnMaterial) -> float:
    """Mean pressure (GPa) of own material once the shock has left the patch."""
    run.run(1.25 * run.time)
    return float(own.measure(run)["mean_pressure"][0]) / 1e9


def solid_arrivals(
    up: float, pixel: float, m: Material, columns: tuple[int, int], parts: int, level: float = LEVEL
) -> np.ndarray:
    """Exact times (s) at which the mean pressure of each part of a solid patch reaches a level (Pa).

    With the share s of a part's mass behind the shock, the mean over its area is
    p (s/rho) / (s/rho + (1 - s)/rho0); the shock crosses original material at us.
    """
    shock = shock_from_piston(up, m)
    behind, ahead = level / shock.rho, level / m.rho0
    share = ahead / (shock.p / shock.rho - behind + ahead)
    first, end = columns
    width = (end - first) / parts
    return (first + (np.arange(parts) + share) * width) * pixel / shock.us
