"""Porous microstructures as images of solid fraction: ellipses, packs of ellipses, or any image.

Lengths are in pixels, x to the right, y upwards with the row number. Diameter D of an ellipse: that of the
circle of equal area.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mld_closure.errors import MicrostructureError

SUPERSAMPLING = 4
OUTLINE_POINTS = 96
SURE = 1.0  # px, more than the error of a sampled gap


@dataclass(frozen=True)
class Ellipse:
    """A void: centre (x, y), diameter D of the circle of equal area, aspect b/a in (0, 1], angle (rad)."""

    x: float
    y: float
    diameter: float
    aspect: float = 1.0
    angle: float = 0.0

    def __post_init__(self) -> None:
        if not self.diameter > 0 or not 0 < self.aspect <= 1:
            raise MicrostructureError(
                f"ellipse needs diameter > 0 and aspect in (0, 1], got {self.diameter} and {self.aspect}"
            )

    @property
    def semi_axes(self) -> tuple[float, float]:
        """(a, b), a >= b."""
        return 0.5 * self.diameter / math.sqrt(self.aspect), 0.5 * self.diameter * math.sqrt(self.aspect)

    @property
    def area(self) -> float:
        """Area in square pixels."""
        return 0.25 * math.pi * self.diameter**2

    @property
    def half_extent(self) -> tuple[float, float]:
        """Half width and half height of the bounding box."""
        a, b = self.semi_axes
        c, s = math.cos(self.angle), math.sin(self.angle)
        return math.hypot(a * c, b * s), math.hypot(a * s, b * c)

    def contains(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Whether the points lie inside."""
        a, b = self.semi_axes
        c, s = math.cos(self.angle), math.sin(self.angle)
        dx, dy = x - self.x, y - self.y
        return ((c * dx + s * dy) / a) ** 2 + ((c * dy - s * dx) / b) ** 2 <= 1.0

    def outline(self, points: int = OUTLINE_POINTS) -> np.ndarray:
        """Points on the boundary, (points, 2) as (x, y)."""
        a, b = self.semi_axes
        c, s = math.cos(self.angle), math.sin(self.angle)
        t = np.linspace(0, 2 * np.pi, points, endpoint=False)
        u, v = a * np.cos(t), b * np.sin(t)
        return np.stack([self.x + c * u - s * v, self.y + s * u + c * v], axis=1)


def solid_fraction(shape: tuple[int, int], voids: Sequence[Ellipse]) -> np.ndarray:
    """Solid fraction (ny, nx) in [0, 1] of a body with elliptic voids, from 4 x 4 samples a pixel."""
    ny, nx = shape
    mu = np.ones(shape)
    offsets = (np.arange(SUPERSAMPLING) + 0.5) / SUPERSAMPLING
    for void in voids:
        wx, wy = void.half_extent
        i0, i1 = max(int(void.x - wx) - 1, 0), min(int(void.x + wx) + 2, nx)
        j0, j1 = max(int(void.y - wy) - 1, 0), min(int(void.y + wy) + 2, ny)
        if i0 >= i1 or j0 >= j1:
            continue
        x = (np.arange(i0, i1)[:, None] + offsets).ravel()
        y = (np.arange(j0, j1)[:, None] + offsets).ravel()
        inside = void.contains(x[None, :], y[:, None])  # (4 rows, 4 columns)
        part = inside.reshape(j1 - j0, SUPERSAMPLING, i1 - i0, SUPERSAMPLING).mean(
            axis=(1, 3)
        )  # (rows, columns)
        mu[j0:j1, i0:i1] = np.minimum(mu[j0:j1, i0:i1], 1.0 - part)
    return mu


def gap(a: Ellipse, b: Ellipse) -> float:
    """Distance between two outlines (px), 0 where they overlap; from sampled outlines, within 0.1 px."""
    pa, pb = a.outline(), b.outline()
    if a.contains(pb[:, 0], pb[:, 1]).any() or b.contains(pa[:, 0], pa[:, 1]).any():
        return 0.0
    return float(np.sqrt(((pa[:, None] - pb[None]) ** 2).sum(axis=2).min()))


@dataclass(frozen=True)
class PackRules:
    """How a pack of ellipses is drawn. Sizes: lognormal, clipped; lengths in pixels."""

    median: float = 26.0
    sigma: float = 0.35
    smallest: float = 12.0
    largest: float = 60.0
    aspect: tuple[float, float] = (0.6, 1.0)
    gap: float = 6.0  # least distance between voids, and twice the least distance to a side
    first_column: float = 40.0  # no void begins left of this column
    gap_share: float | None = None  # small voids: at least this share of the smaller diameter, if below gap

    def __post_init__(self) -> None:
        if self.gap_share is not None and not self.gap_share > 0:
            raise MicrostructureError(f"gap_share must be positive, got {self.gap_share}")
        if not 0 < self.smallest <= self.median <= self.largest:
            raise MicrostructureError(
                f"void sizes need 0 < smallest <= median <= largest, got {self.smallest}, {self.median}, "
                f"{self.largest}"
            )

    def gap_of(self, smaller: float) -> float:
        """Least distance (px) of two voids, the smaller of the given diameter (px)."""
        return self.gap if self.gap_share is None else min(self.gap, self.gap_share * smaller)


@dataclass(frozen=True)
class Pores:
    """Ranges of a porous explosive, from which each case draws one pack; lengths in m.

    The porosity is drawn evenly; the median of the lognormal sizes is drawn evenly in its logarithm, their
    sigma evenly. `size` clips the sizes of all packs.
    """

    porosity: tuple[float, float] = (0.02, 0.25)
    median: tuple[float, float] = (1.0e-6, 3e-6)
    sigma: tuple[float, float] = (0.1, 0.5)
    size: tuple[float, float] = (0.8e-6, 6e-6)
    aspect: tuple[float, float] = (0.6, 1.0)
    gap: float = 0.3e-6
    gap_share: float = 0.3

    def __post_init__(self) -> None:
        for name in ("porosity", "median", "sigma", "size", "aspect"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise MicrostructureError(f"{name} needs 0 < low <= high, got {low}, {high}")
        if not self.size[0] <= self.median[0] <= self.median[1] <= self.size[1]:
            raise MicrostructureError(f"medians {self.median} m must lie within the sizes {self.size} m")
        if not self.porosity[1] < 1:
            raise MicrostructureError(f"porosity must be below 1, got {self.porosity[1]}")

    def draw(self, rng: np.random.Generator, pixel: float) -> tuple[float, PackRules]:
        """(porosity, rules in pixels of the given side in m) of one pack."""
        porosity = rng.uniform(*self.porosity)
        low, high = self.median
        rules = PackRules(
            median=low * (high / low) ** rng.random() / pixel,
            sigma=rng.uniform(*self.sigma),
            smallest=self.size[0] / pixel,
            largest=self.size[1] / pixel,
            aspect=self.aspect,
            gap=self.gap / pixel,
            first_column=0.5 * self.gap / pixel,
            gap_share=self.gap_share,
        )
        return porosity, rules


def pack(
    shape: tuple[int, int], porosity: float, rng: np.random.Generator, rules: PackRules | None = None
) -> list[Ellipse]:
    """Elliptic voids at random places whose area is `porosity` of the frame (within half a smallest void).

    Sizes are drawn until their area suffices, then placed largest first. Raises MicrostructureError with
    the porosity reached when a void finds no place in 2000 tries.
    """
    rules = rules or PackRules()
    ny, nx = shape
    if not 0 < porosity < 1:
        raise MicrostructureError(f"porosity must lie between 0 and 1, got {porosity}")
    wanted = porosity * ny * nx
    diameters: list[float] = []
    rest = wanted
    least = 0.25 * math.pi * rules.smallest**2
    while rest > 0.5 * least:
        d = float(
            np.clip(
                rules.median * math.exp(rules.sigma * rng.standard_normal()), rules.smallest, rules.largest
            )
        )
        d = max(min(d, math.sqrt(4 * rest / math.pi)), rules.smallest)
        diameters.append(d)
        rest -= 0.25 * math.pi * d**2
    placed: list[Ellipse] = []
    for d in sorted(diameters, reverse=True):
        void = _place(d, shape, placed, rng, rules)
        if void is None:
            reached = sum(v.area for v in placed) / (ny * nx)
            raise MicrostructureError(
                f"porosity {porosity:.3f} cannot be met with a gap of {rules.gap:g} px: "
                f"reached {reached:.3f} with {len(placed)} voids; lower the porosity or the gap"
            )
        placed.append(void)
    return placed


def _place(
    d: float, shape: tuple[int, int], placed: Sequence[Ellipse], rng: np.random.Generator, rules: PackRules
) -> Ellipse | None:
    """A void of diameter d, at most that of every placed one, clear of them all; None after 2000 tries."""
    least = rules.gap_of(d)
    x, y = (np.array([getattr(v, name) for v in placed]) for name in ("x", "y"))
    long, short = np.array([v.semi_axes for v in placed]).reshape(-1, 2).T
    for _ in range(2000):
        void = random_ellipse(d, shape, rng, rules)
        if void is None:
            continue
        a, b = void.semi_axes
        distance = np.hypot(x - void.x, y - void.y)
        if (distance < short + b + least - SURE).any():  # too near whatever the angles
            continue
        near = np.flatnonzero(distance < long + a + least)
        if all(gap(void, placed[i]) >= least for i in near):
            return void
    return None


def random_ellipse(
    d: float, shape: tuple[int, int], rng: np.random.Generator, rules: PackRules
) -> Ellipse | None:
    """An ellipse of diameter d, any angle, wholly inside the frame and right of the first column; None if
    the drawn shape does not fit."""
    ny, nx = shape
    aspect, angle = rng.uniform(*rules.aspect), rng.uniform(0, np.pi)
    wx, wy = Ellipse(0, 0, d, aspect, angle).half_extent
    margin = 0.5 * rules.gap
    low_x, high_x = rules.first_column + wx, nx - margin - wx
    low_y, high_y = margin + wy, ny - margin - wy
    u, v = rng.random(2)
    if low_x > high_x or low_y > high_y:
        return None
    return Ellipse(low_x + u * (high_x - low_x), low_y + v * (high_y - low_y), d, aspect, angle)


def from_image(image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """A checked solid-fraction image (ny, nx) for a frame; MicrostructureError for wrong shape or values."""
    mu = np.asarray(image, float)
    if mu.shape != shape:
        raise MicrostructureError(
            f"microstructure image is {mu.shape}, the frame needs {shape}; crop or pad it"
        )
    if not (np.isfinite(mu).all() and mu.min() >= 0 and mu.max() <= 1):
        raise MicrostructureError("microstructure image must hold solid fractions between 0 and 1")
    return mu
