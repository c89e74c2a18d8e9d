"""A porous slab thrown at a rigid wall on the Lagrangian solver, its patches burning along given curves."""

from __future__ import annotations

from typing import Any

import numpy as np

from mld_closure.macro.curves import BurnCurves
from mld_closure.macro.lagrangian import LagrangianSolver
from mld_closure.macro.porous import porous_density
from mld_closure.macro.protocol import OWN, CellClosure
from mld_closure.macro.tabulated import TabulatedClosure

WALL_POINTS = 8  # next to the wall, which take the load of the point beyond them


def wall_points(points: int) -> int:
    """Points at a wall that take the load of the one beyond them, where a patch has so many `points`.

    A captured shock needs some cells from its start at a wall to its steady form; in the first of them it
    leaves too much entropy, in the next ones too little.
    """
    return max(2, min(WALL_POINTS, points))


def leaders(count: int, points: int) -> np.ndarray:
    """Index (count,) of the point whose load each takes, OWN for its own; at a wall the one beyond
    `wall_points`."""
    leader = np.full(count, OWN)
    led = min(wall_points(points), count - 1)
    leader[:led] = led
    return leader


def slab_at_wall(
    closure: CellClosure, density: np.ndarray, cell: float, piston_speed: float, **options: Any
) -> LagrangianSolver:
    """The solver of a slab at the moment in which it hits the wall at x = 0, ready to step.

    closure: has the cells registered as 0, 1, ... from the wall on. density: (n,) kg/m3, of cells of equal
    width `cell` (m). piston_speed: m/s at which it is thrown. options: of `LagrangianSolver`. Raises
    ValueError for a speed that is not positive.
    """
    if not piston_speed > 0:
        raise ValueError(f"piston speed must be positive, got {piston_speed} m/s")
    x = np.arange(len(density) + 1) * cell
    return LagrangianSolver(
        x, np.where(x > 0, -float(piston_speed), 0.0), density, closure=closure, ends=("wall", "free"),
        velocity_ahead=-piston_speed, **options,
    )  # fmt: skip


def thrown_slab(
    curves: BurnCurves,
    patches: np.ndarray,
    piston_speed: float,
    *,
    patch_size: float = 24e-6,
    points: int = 8,
    closure_options: dict[str, Any] | None = None,
    **options: Any,
) -> LagrangianSolver:
    """The solver of a slab that hits the wall at x = 0, ready to step.

    Parameters
    ----------
    curves : BurnCurves
        Burn curves of the patches, with their porosities and the material.
    patches : (N,) int
        Which of the curves' patches stands at each place from the wall on.
    piston_speed : float
        Speed (m/s) at which the slab is thrown, which is the particle speed behind the shock.
    patch_size : float
        Length of a patch (m).
    points : int
        Material points, which are the cells of the flow, per patch.
    closure_options, options : dict
        Further arguments of `TabulatedClosure` and `LagrangianSolver`.
    """
    patch = np.repeat(np.asarray(patches, np.int64), points)
    closure = TabulatedClosure(curves, **(closure_options or {}))
    closure.register(np.arange(patch.size), patch=patch, leader=leaders(patch.size, points))
    density = np.array([porous_density(curves.porosity[k], curves.material) for k in patch])
    return slab_at_wall(
        closure, density, patch_size / points, piston_speed, material=curves.material, **options
    )
