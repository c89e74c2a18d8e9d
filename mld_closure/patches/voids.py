"""An unlimited plane with elliptic voids, of which any window can be generated without the rest.

The plane is cut into square tiles, which have four colours, so that neighbours differ in colour. A void
belongs to the tile that holds its centre. The sizes in a tile come from a random stream that depends only on
(seed, tile index). The voids are placed at random, largest first, without overlap with each other and with
the voids of those neighbours whose colour comes earlier. So a tile depends only on (seed, tile index),
through at most three rings of neighbours, and voids may cross the borders of tiles.

Compared with the packs of voids in the simulated meso cases: the sizes, aspect ratios, angles, smallest gap
and the way to reach the porosity are the same, and a tile has about the area of such a case. There are three
differences. The porosity is reached tile by tile in a plane without walls, so voids cross the borders of
tiles and are cut at the edge of a sample, and no column is kept free of voids. The gap is exact (in the
packs: to 0.1 pixel). Lengths are in m, so the pixel size only decides how finely the same voids are resolved.
Why: packing all voids in one pass would make each void depend on all earlier ones, so on the whole sample.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

HIGHEST_POROSITY = 0.25
TILES_KEPT = 4096  # tiles kept in memory; their voids take about 10 MB


@dataclass(frozen=True)
class VoidRules:
    """How voids are drawn. Diameters (of circles of equal area) are lognormal and clipped.

    Attributes
    ----------
    median, smallest, largest : float
        Diameters [m].
    sigma : float
        Standard deviation of the logarithm of the diameter.
    aspect : (float, float)
        Smallest and largest ratio of the short to the long axis.
    gap : float
        Smallest distance between two voids [m].

    Raises
    ------
    ValueError
        Values out of range, or voids too large for the tiles.
    """

    median: float = 1.3e-6
    sigma: float = 0.35
    smallest: float = 0.6e-6
    largest: float = 3.0e-6
    aspect: tuple[float, float] = (0.6, 1.0)
    gap: float = 0.3e-6

    def __post_init__(self) -> None:
        if not 0 < self.smallest <= self.median <= self.largest:
            raise ValueError(
                f"void sizes need 0 < smallest <= median <= largest, got {self.smallest:g}, "
                f"{self.median:g}, {self.largest:g} m"
            )
        if not 0 < self.aspect[0] <= self.aspect[1] <= 1 or self.sigma < 0 or self.gap < 0:
            raise ValueError(
                f"voids need 0 < aspect <= 1, sigma >= 0 and gap >= 0, got {self.aspect}, {self.sigma}, "
                f"{self.gap:g} m"
            )
        if 2 * self.reach + self.gap >= self.tile:
            raise ValueError(
                f"a void of {self.largest:g} m is too large for a median of {self.median:g} m: tiles of "
                f"15 medians must be wider than the longest void and a gap; raise the median or lower largest"
            )

    @property
    def tile(self) -> float:
        """Side of a tile [m]."""
        return 15 * self.median

    @property
    def reach(self) -> float:
        """Largest distance of the outline of a void from its centre [m]."""
        return 0.5 * self.largest / math.sqrt(self.aspect[0])


class VoidPlane:
    """Voids everywhere in the plane, the same for the same (seed, porosity, rules) on every machine.

    Parameters
    ----------
    seed : int
        0 <= seed < 2**63.
    porosity : float
        Area fraction of the voids, above 0 and at most `HIGHEST_POROSITY`.
    rules : VoidRules, optional
        How voids are drawn.

    Raises
    ------
    ValueError
        Values out of range, or voids that cannot be placed as densely as requested.
    """

    def __init__(self, seed: int, porosity: float, rules: VoidRules | None = None) -> None:
        if not 0 <= seed < 2**63:
            raise ValueError(f"seed must be 0 or more and below 2**63, got {seed}")
        if not 0 < porosity <= HIGHEST_POROSITY:
            raise ValueError(f"porosity must be above 0 and at most {HIGHEST_POROSITY}, got {porosity}")
        self.seed: int = int(seed)
        self.porosity: float = float(porosity)
        self.rules: VoidRules = rules or VoidRules()
        self.tile_voids: Callable[[int, int], np.ndarray] = functools.lru_cache(TILES_KEPT)(self._place)
        self.tile_voids(1, 1)  # a tile of the last colour: rules that cannot be met raise here

    def _place(self, i: int, j: int) -> np.ndarray:
        """Voids (n, 5) with their centres in tile (i, j): x, y, semi-axes [m], angle [rad]."""
        around = [
            self.tile_voids(i + di, j + dj)
            for di in (-1, 0, 1)
            for dj in (-1, 0, 1)
            if _colour(i + di, j + dj) < _colour(i, j)
        ]
        from mld_closure.patches import void_kernels

        r = self.rules
        voids, drawn = void_kernels.place(
            self.seed, i, j, r.tile, self.porosity * r.tile**2,
            (r.median, r.sigma, r.smallest, r.largest), r.aspect, r.gap,
            np.concatenate([np.empty((0, 5)), *around]),
        )  # fmt: skip
        if len(voids) < drawn:
            raise ValueError(
                f"porosity {self.porosity:g} cannot be met with a gap of {r.gap:g} m: only {len(voids)} of "
                f"{drawn} voids found a place; lower the porosity or the gap"
            )
        return voids

    def solid_fraction(self, x0: int, y0: int, nx: int, ny: int, pixel: float) -> np.ndarray:
        """Return the solid fraction of a window.

        Parameters
        ----------
        x0, y0 : int
            Column and row of the first pixel.
        nx, ny : int
            Size of the window [pixels].
        pixel : float
            Side of a pixel [m].

        Returns
        -------
        float32 array (ny, nx)
            Solid fraction, 0 to 1.
        """
        from mld_closure.patches import void_kernels

        mu = np.ones((ny, nx), np.float32)
        tile, reach = self.rules.tile, self.rules.reach
        for j in range(_floor(y0 * pixel - reach, tile), _floor((y0 + ny) * pixel + reach, tile) + 1):
            for i in range(_floor(x0 * pixel - reach, tile), _floor((x0 + nx) * pixel + reach, tile) + 1):
                void_kernels.carve(mu, x0, y0, pixel, self.tile_voids(i, j))
        return mu


def _colour(i: int, j: int) -> int:
    """Colour 0 to 3 of a tile; tiles that touch have different colours."""
    return i % 2 + 2 * (j % 2)


def _floor(length: float, tile: float) -> int:
    """Index of the tile that holds a coordinate."""
    return math.floor(length / tile)
