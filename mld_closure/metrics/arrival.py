"""Where the shock front stands in each frame, and how early or late a predicted one passes given columns.

The front is the furthest place downstream at which the column-mean pressure crosses half the shock pressure.
Why: a front moves many columns between frames, so times of arrival are interpolated along its path, not along
the pressure of one column.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

LEADING_COLUMNS = 8  # of frame 0, well behind a front at column 32


def shock_pressure(pressure: ArrayLike, columns: int = LEADING_COLUMNS) -> np.ndarray:
    """Mean pressure (Pa) over the first `columns` columns of frame 0, (...,) from (..., time, y, x)."""
    return np.asarray(pressure)[..., 0, :, :columns].mean(axis=(-2, -1), dtype=np.float64)


def front_position(pressure: ArrayLike, level: float) -> np.ndarray:
    """Front column (time,) of one movie, in pixels from the left edge, pixel centres at 0.5, 1.5, ...

    pressure: (time, y, x) in Pa; level: the pressure that marks the front, half the shock pressure as a rule.
    Interpolated between columns; NaN where no column reaches the level, or the last one does (the front has
    left the frame).
    """
    mean = np.asarray(pressure).mean(axis=-2, dtype=np.float64)  # (time, x)
    above = mean >= level
    nx = mean.shape[-1]
    last = nx - 1 - np.argmax(above[:, ::-1], axis=1)  # furthest column at or above the level
    inside = above.any(axis=1) & (last < nx - 1)
    row, left = np.arange(len(mean)), np.minimum(last, nx - 2)
    drop = mean[row, left] - mean[row, left + 1]
    share = (mean[row, left] - level) / np.where(inside, drop, 1.0)
    return np.where(inside, left + 0.5 + share, np.nan)


def arrival_times(position: ArrayLike, times: ArrayLike, columns: ArrayLike) -> np.ndarray:
    """When the front reaches each of `columns` (pixels), in the units of `times`; NaN outside its path.

    position: (time,) from `front_position`; times: (time,). A front that seems to
    retreat is held where it was.
    """
    x, t, want = (
        np.asarray(position, np.float64),
        np.asarray(times, np.float64),
        np.asarray(columns, np.float64),
    )
    seen = np.isfinite(x)
    if not seen.any():
        return np.full(want.shape, np.nan)
    path, when = np.maximum.accumulate(x[seen]), t[seen]
    after = np.searchsorted(path, want)  # path[after - 1] < want <= path[after]
    on_path = (want >= path[0]) & (want <= path[-1])
    b = np.clip(after, 1, len(path) - 1) if len(path) > 1 else np.zeros(want.shape, int)
    a = np.maximum(b - 1, 0)
    advance = path[b] - path[a]
    share = (want - path[a]) / np.where(advance > 0, advance, 1.0)
    return np.where(on_path, when[a] + share * (when[b] - when[a]), np.nan)


def arrival_bias(
    predicted: ArrayLike, truth: ArrayLike, times: ArrayLike, *, columns: int = 9
) -> tuple[float, float]:
    """Mean delay of the predicted front against the true one, and the share of columns it was seen to reach.

    predicted, truth: pressure movies (time, y, x) in Pa; times: (time,) in s. Arrivals are compared at
    `columns` evenly spaced columns of the true front's path, the level is half the true shock pressure.
    Returns seconds (positive = late; NaN if no column is reached or the true front never moves) and a share
    in [0, 1].
    """
    level = 0.5 * float(shock_pressure(truth))
    path = front_position(truth, level)
    seen = path[np.isfinite(path)]
    if len(seen) < 2 or seen.max() <= seen[0]:
        return float("nan"), 0.0
    at = np.linspace(seen[0], seen.max(), columns + 1)[1:]  # not where both start
    delay = arrival_times(front_position(predicted, level), times, at) - arrival_times(path, times, at)
    reached = np.isfinite(delay)
    return (float(delay[reached].mean()) if reached.any() else float("nan")), float(reached.mean())
