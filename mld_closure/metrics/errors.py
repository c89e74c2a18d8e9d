"""Root-mean-square errors of movies: of whole fields, per field, per frame, summed up case by case."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike


def rmse(
    prediction: ArrayLike,
    truth: ArrayLike,
    axis: int | tuple[int, ...] | None = None,
    *,
    where: ArrayLike | None = None,
) -> np.ndarray:
    """Root of the mean squared difference over `axis` (all axes by default), in the units of the arguments.

    `where` (boolean, same shape) picks the entries that count; NaN where it leaves none. Computed in float64.
    ValueError if the shapes differ.
    """
    a, b = np.asarray(prediction, np.float64), np.asarray(truth, np.float64)
    if a.shape != b.shape:
        raise ValueError(f"prediction has shape {a.shape} but truth {b.shape}; they must be equal")
    if where is None:
        return np.sqrt(np.mean((a - b) ** 2, axis=axis))
    picked = np.asarray(where, bool)
    total = np.sum(np.where(picked, (a - b) ** 2, 0.0), axis=axis)
    count = np.sum(picked, axis=axis)
    return np.sqrt(np.where(count > 0, total / np.maximum(count, 1), np.nan))


class FieldErrors:
    """Sums the squared errors of movies (time, field, y, x), one case at a time.

    Why: a set of movies need not fit in memory, and roots of means cannot be averaged afterwards.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names: tuple[str, ...] = tuple(names)
        self._squares: np.ndarray | None = None  # (time, field)
        self._pixels = 0

    def add(self, prediction: ArrayLike, truth: ArrayLike) -> None:
        """Add one case: two arrays (time, field, y, x), physical units; all cases have the same frames."""
        a, b = np.asarray(prediction), np.asarray(truth)
        if a.shape != b.shape or a.ndim != 4 or a.shape[1] != len(self.names):
            raise ValueError(
                f"prediction {a.shape} and truth {b.shape} must be (time, {len(self.names)} fields, y, x)"
            )
        squares = np.mean((a.astype(np.float64) - b) ** 2, axis=(2, 3))  # (time, field)
        if self._squares is None:
            self._squares = np.zeros_like(squares)
        if squares.shape != self._squares.shape:
            raise ValueError(f"case has {len(squares)} frames, those before had {len(self._squares)}")
        pixels = a.shape[2] * a.shape[3]
        self._squares += pixels * squares
        self._pixels += pixels

    def per_frame(self) -> dict[str, np.ndarray]:
        """RMSE of each field at each frame (time,), over all cases and pixels."""
        if self._squares is None:
            raise ValueError("no case was added")
        return dict(zip(self.names, np.sqrt(self._squares / self._pixels).T, strict=True))

    def per_field(self) -> dict[str, float]:
        """RMSE of each field over all cases, frames and pixels."""
        return {name: float(np.sqrt(np.mean(curve**2))) for name, curve in self.per_frame().items()}
