"""Root-mean-square errors (RMSE) of fields, for arrays and accumulated case by case."""

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
    """Return the root of the mean squared difference, computed in float64.

    Parameters
    ----------
    prediction, truth : array
        Values of one shape and one unit.
    axis : int or tuple of int, optional
        Axes to average over; all by default.
    where : boolean array, optional
        Entries that count, in the shape of `truth`; all by default.

    Returns
    -------
    array
        RMSE in the unit of the arguments; NaN where `where` selects nothing.

    Raises
    ------
    ValueError
        The shapes differ.
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
    """Accumulates the squared errors of movies, one case at a time.

    Why: a set of movies may not fit in memory, and RMSE values of single cases cannot be averaged afterwards.

    Parameters
    ----------
    names : sequence of str
        Fields in the order of the field axis.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names: tuple[str, ...] = tuple(names)
        self._squares: np.ndarray | None = None  # (time, field)
        self._pixels = 0

    def add(self, prediction: ArrayLike, truth: ArrayLike) -> None:
        """Add one case.

        Parameters
        ----------
        prediction, truth : array (time, field, y, x)
            Values in physical units; every case has the same number of frames.

        Raises
        ------
        ValueError
            Shapes that differ from each other or from earlier cases.
        """
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
        """Return the RMSE (time,) of each field per frame, over all cases and pixels, in the field's unit."""
        if self._squares is None:
            raise ValueError("no case was added")
        return dict(zip(self.names, np.sqrt(self._squares / self._pixels).T, strict=True))

    def per_field(self) -> dict[str, float]:
        """Return the RMSE of each field over all cases, frames and pixels, in the field's unit."""
        return {name: float(np.sqrt(np.mean(curve**2))) for name, curve in self.per_frame().items()}
