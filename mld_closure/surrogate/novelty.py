"""Whether a patch is like those that a model was trained on: ranges of what describes a microstructure.

The ranges travel in the bundle, by scale. A patch is outside where one number of it lies outside its range,
or cannot be had, as chords of a patch without pores. Its novelty is the greatest distance of a number from
the middle of its range, in halves of the range: up to 1 inside, more outside.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import BundleError
from ..patches.descriptors import DESCRIPTORS, NAMES, describe

FARTHEST = 100.0  # novelty of a patch of which a number cannot be had
MARGIN = 0.3  # of the range seen, added on both sides: windows of a sample vary more than packs
FEW = 3.0  # divided by the number of patches: the rest of that margin
NO_LOW_END = ("edge_width",)  # images of two values have no width, and are no less like solid and void


@dataclass(frozen=True)
class Familiar:
    """What the patches of training were like.

    Attributes
    ----------
    shape : (int, int)
        Size (ny, nx) of a patch in pixels.
    patches : int
        Number of patches that were described.
    first : int
        Columns before this one were left out: the entering shock stands there.
    ranges : dict of str to (float, float)
        Least and greatest value by name of `DESCRIPTORS`, SI units, margins included.

    Raises
    ------
    ValueError
        A name is missing or unknown, or numbers make no range.
    """

    shape: tuple[int, int]
    patches: int
    first: int
    ranges: dict[str, tuple[float, float]]

    def __post_init__(self) -> None:
        if set(self.ranges) != set(NAMES):
            raise ValueError(
                f"ranges of {', '.join(sorted(self.ranges))}; expected those of {', '.join(NAMES)}"
            )
        for name, (low, high) in self.ranges.items():
            if not -1e12 < low < high < 1e12:
                raise ValueError(f"{name} from {low} to {high} is no range")
        if min(self.shape) < 1 or self.patches < 1 or not 0 <= self.first < self.shape[1]:
            raise ValueError(f"{self.patches} patches of {self.shape} pixels from column {self.first} on")

    @classmethod
    def learn(cls, mu: np.ndarray, pixel: float, first: int) -> Familiar:
        """The ranges of patches mu (n, ny, nx), with margins; pixel in m, first: see `first`."""
        return cls.of(describe(mu, pixel, first), mu.shape[1:], first)

    @classmethod
    def of(cls, described: np.ndarray, shape: tuple[int, ...], first: int) -> Familiar:
        """The ranges of patches that were described, (n, 8); those without pores do not count."""
        known = described[np.isfinite(described).all(axis=1)]
        if len(known) < 2:
            raise ValueError(f"{len(known)} patches with pores; ranges need at least 2")
        low, high = known.min(axis=0), known.max(axis=0)
        margin = (MARGIN + FEW / len(known)) * np.maximum(high - low, 1e-3 * np.abs(high) + 1e-12)
        low, high = low - margin, high + margin
        ranges = {}
        for i, name in enumerate(NAMES):
            least = 0.0 if name in NO_LOW_END else low[i]
            ranges[name] = (float(least), float(high[i]))
        return cls((int(shape[0]), int(shape[1])), len(known), int(first), ranges)

    @classmethod
    def from_table(cls, table: Mapping[str, Any], scale: str) -> Familiar | None:
        """What a bundle says of one scale, None for nothing; BundleError for what cannot be used."""
        entry = table.get(scale)
        if entry is None:
            return None
        try:
            ranges = {str(k): (float(v[0]), float(v[1])) for k, v in entry["ranges"].items()}
            shape = int(entry["shape"][0]), int(entry["shape"][1])
            return cls(shape, int(entry["patches"]), int(entry["first_column"]), ranges)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as err:
            raise BundleError(f"what this bundle says of its microstructures cannot be used: {err}") from None

    def to_table(self) -> dict[str, Any]:
        """The same as it stands in a bundle, JSON-ready."""
        return {
            "shape": list(self.shape),
            "patches": self.patches,
            "first_column": self.first,
            "ranges": {name: list(ends) for name, ends in self.ranges.items()},
        }

    def novelty(self, described: np.ndarray) -> np.ndarray:
        """Novelty (k,) of patches that were described, (k, 8)."""
        low, high = np.array([self.ranges[name] for name in NAMES]).T
        distance = np.abs(described - 0.5 * (low + high)) / (0.5 * (high - low))
        distance[~np.isfinite(distance)] = FARTHEST
        return np.minimum(distance.max(axis=1), FARTHEST)

    def look(self, mu: np.ndarray, pixel: float) -> np.ndarray:
        """Novelty (k,) of patches mu (k, ny, nx), pixel in m."""
        return self.novelty(describe(mu, pixel, min(self.first, mu.shape[2] - 1)))

    def sentence(self, described: np.ndarray) -> str:
        """What is farthest outside of a described patch (8,), as "porosity 0.5, trained 0.06 to 0.2"."""
        if not np.isfinite(described).all():
            return f"porosity {described[0]:.3g}, without a boundary between solid and void"
        low, high = np.array([self.ranges[name] for name in NAMES]).T
        i = int(np.argmax(np.abs(described - 0.5 * (low + high)) / (high - low)))
        unit = DESCRIPTORS[NAMES[i]].unit
        shown = "" if unit == "1" else f" {unit}"
        name = NAMES[i].replace("_", " ")
        return f"{name} {described[i]:.3g}{shown}, trained {low[i]:.3g} to {high[i]:.3g}{shown}"
