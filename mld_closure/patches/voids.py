"""An endless plane of elliptic voids, of which any window can be had without the rest.

The plane is cut into square tiles, coloured like a map with four colours. A tile's voids have their centres
in it; their sizes come from a random stream of (seed, tile index) alone, and they are placed at random,
largest first, clear of each other and of those of the neighbours whose colour comes before. So a tile
depends on (seed, tile index) only, through at most three rings of neighbours, and voids may cross borders.

Against the packs of the simulated meso cases: sizes, aspect ratios, angles, least gap and the way to meet
the porosity are the same, and a tile has about the area of such a case. Different are: porosity is met tile
by tile in a plane without sides, so voids cross tile borders and are cut by the edge of a sample, and no
column is kept free of voids; the gap is kept exactly (packs: to 0.1 pixel); lengths are in m, so the pixel
size only says how finely the same voids are seen.
Why: hard-core packing in one sweep would make every void depend on all before it, hence on the whole sample.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mld_closure.patches import void_kernels

HIGHEST_POROSITY = 0.25
TILES_KEPT = 4096  # their voids take about 10 MB


@dataclass(frozen=True)
class VoidRules:
    """How voids are drawn: lognormal diameters (of circles of equal area), clipped; lengths in m."""

    median: float = 1.3e-6
    sigma: float = 0.35
    smallest: float = 0.6e-6
    largest: float = 3.0e-6
    aspect: tuple[float, float] = (0.6, 1.0)
    gap: float = 0.3e-6  # least distance between voids

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
        """Side of a tile (m)."""
        return 15 * self.median

    @property
    def reach(self) -> float:
        """Greatest distance (m) of a void's outline from its centre."""
        return 0.5 * self.largest / math.sqrt(self.aspect[0])


class VoidPlane:
    """Voids everywhere in the plane, the same for the same (seed, porosity, rules) on every machine.

    seed: 0 <= seed < 2**63. porosity: area fraction of the voids, up to HIGHEST_POROSITY. Raises ValueError
    for values out of range and where voids cannot be placed as close as asked.
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
        self.tile_voids(1, 1)  # of the last colour: rules too tight to meet fail here

    def _place(self, i: int, j: int) -> np.ndarray:
        """Voids (n, 5) with their centres in tile (i, j): x, y, semi-axes (m), angle (rad)."""
        around = [
            self.tile_voids(i + di, j + dj)
            for di in (-1, 0, 1)
            for dj in (-1, 0, 1)
            if _colour(i + di, j + dj) < _colour(i, j)
        ]
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
        """Solid fraction (ny, nx), float32, of the pixels (side in m) from column x0 and row y0 on."""
        mu = np.ones((ny, nx), np.float32)
        tile, reach = self.rules.tile, self.rules.reach
        for j in range(_floor(y0 * pixel - reach, tile), _floor((y0 + ny) * pixel + reach, tile) + 1):
            for i in range(_floor(x0 * pixel - reach, tile), _floor((x0 + nx) * pixel + reach, tile) + 1):
                void_kernels.carve(mu, x0, y0, pixel, self.tile_voids(i, j))
        return mu


def _colour(i: int, j: int) -> int:
    return i % 2 + 2 * (j % 2)


def _floor(length: float, tile: float) -> int:
    return math.floor(length / tile)
