"""Run to detonation of a slab against a wall, and its pop-plot: the input pressure against the run.

The front is where the pressure last reaches half the input pressure. Its speed relative to the unshocked
material climbs from that of the inert shock to that of the detonation; the run is the depth, in unshocked
material, from which on it stays above a given part of that climb (half by default). Counted in patches it
tells whether the sub-grid scale and the macro scale are separate.
Source of the reference line: Gibbs and Popolato, LASL Explosive Property Data (1980), HMX.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mld_closure.dns.kinetics import Kinetics
from mld_closure.macro.curves import BurnCurves
from mld_closure.macro.lagrangian import LagrangianSolver
from mld_closure.macro.porous import detonation_speed, porous_shock
from mld_closure.macro.slab import thrown_slab

HMX = (1.18, -0.59)  # log10 P[GPa] = a + b log10 run[mm]
WINDOW = 2  # patches over which the speed of the front is taken
BEYOND = 1.3  # a run is looked for until the front has gone this many times its depth, at least


@dataclass(frozen=True)
class Run:
    """One impact: the inert shock it starts as, and where and when it has become a detonation.

    run (m, depth in unshocked material) and run_time (s) are nan where the slab ended before; front_speed
    (m/s) is the last one measured, relative to the unshocked material.
    """

    piston_speed: float
    input_pressure: float
    run: float
    run_time: float
    front_speed: float
    detonation_speed: float
    patches: float  # run in patches
    depth: float  # m, how far the front was followed
    inert_speed: float = np.nan  # m/s, of the shock if nothing burned
    front: np.ndarray = field(default_factory=lambda: np.empty((0, 2)))  # depth (m), time (s), cell by cell


def hmx_run(pressure: float) -> float:
    """Run to detonation (m) of HMX at an input pressure (Pa)."""
    a, b = HMX
    return 1e-3 * 10 ** ((np.log10(pressure / 1e9) - a) / b)


def run_to_detonation(
    curves: BurnCurves,
    piston_speed: float,
    *,
    patches: np.ndarray,
    patch_size: float = 24e-6,
    points: int = 8,
    heat: float = Kinetics.Q,
    climb: float = 0.5,
    **options: Any,
) -> Run:
    """Throw a slab at a wall and follow its front.

    Parameters
    ----------
    curves, piston_speed, patches, patch_size, points
        See `slab.thrown_slab`; the slab is as long as its patches.
    heat : float
        J/kg of burned material.
    climb : float
        Part of the way from the speed of the inert shock to that of the detonation at which the run ends.
    options
        Of `LagrangianSolver`, and `closure_options` of the closure.
    """
    porosity = float(np.mean(curves.porosity[np.asarray(patches)]))
    solver = thrown_slab(
        curves, patches, piston_speed, patch_size=patch_size, points=points, heat=heat, **options
    )
    return follow_front(
        solver, piston_speed, porosity, patch_size=patch_size, points=points, heat=heat, climb=climb
    )


def follow_front(
    solver: LagrangianSolver,
    piston_speed: float,
    porosity: float,
    *,
    patch_size: float = 24e-6,
    points: int = 8,
    heat: float = Kinetics.Q,
    climb: float = 0.5,
    each: Callable[[LagrangianSolver], object] = lambda solver: None,
) -> Run:
    """Run a slab that was thrown at a wall until its front has been a detonation for long enough, or has
    reached the end.

    solver, piston_speed (m/s), porosity: the slab, its speed, and its mean porosity. patch_size, points,
    heat, climb: as for `run_to_detonation`. each(solver) is called after every step.
    """
    material = solver.material
    shock = porous_shock(piston_speed, porosity, material)
    speed = detonation_speed(porosity, heat, material)
    cell, window = patch_size / points, WINDOW * points
    level, fast, n = 0.5 * shock.p, shock.us + climb * (speed - shock.us), solver.mass.size
    depths, times = [0.0], [0.0]

    def watch(s: LagrangianSolver) -> bool:
        each(s)
        above = np.flatnonzero(s.fields()["pressure"] >= level)
        front = int(above[-1]) if above.size else 0
        if front * cell > depths[-1]:
            depths.append(front * cell)
            times.append(s.time)
        run, _ = _transition(np.array(depths), np.array(times), fast, window)
        return front >= n - 4 or (run > 0 and depths[-1] > BEYOND * run + 2 * WINDOW * patch_size)

    solver.run(2 * n * cell / shock.us, each=watch)
    depth, time = np.array(depths), np.array(times)
    run, t = _transition(depth, time, fast, window)
    lag = min(window, len(depths) - 1)
    last = (depths[-1] - depths[-1 - lag]) / (times[-1] - times[-1 - lag])
    front = np.column_stack([depth, time])
    return Run(piston_speed, shock.p, run, t, last, speed, run / patch_size, depths[-1], shock.us, front)


def _transition(depth: np.ndarray, time: np.ndarray, fast: float, window: int) -> tuple[float, float]:
    """(depth, time) from which on the front is faster than `fast`; nan where it is not at the end.

    depth, time: (n,) of the front, cell by cell; its speed is taken over `window` of them.
    """
    n = depth.size - window
    if n < window:
        return np.nan, np.nan
    speed = (depth[window:] - depth[:-window]) / (time[window:] - time[:-window])
    slow = np.flatnonzero(speed < fast)
    k = int(slow[-1]) + 1 if slow.size else 0
    if k >= n - window // 2:
        return np.nan, np.nan
    at = slice(k, k + window)
    return float(depth[at].mean()), float(time[at].mean())


def slope(runs: list[Run]) -> float:
    """d log(run)/d log(input pressure) by least squares over the runs that detonated."""
    pairs = [(r.input_pressure, r.run) for r in runs if np.isfinite(r.run)]
    if len(pairs) < 2:
        return np.nan
    p, x = np.log(np.array(pairs)).T
    return float(np.polyfit(p, x, 1)[0])
