"""Position of the shock front in each frame, and how early or late a predicted front arrives.

The front is the farthest position downstream at which the pressure, averaged over a column, crosses half the
shock pressure.
Why: a front moves by many columns between two frames, so arrival times are interpolated along the path of the
front, not in the pressure history of one column.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

LEADING_COLUMNS = 8  # of frame 0; the front starts at column 32, well ahead of them


def shock_pressure(pressure: ArrayLike, columns: int = LEADING_COLUMNS) -> np.ndarray:
    """Return the pressure behind the shock: the mean over the first columns of frame 0.

    Parameters
    ----------
    pressure : array (..., time, y, x)
        Pressure [Pa].
    columns : int
        Number of columns to average over, counted from the left edge.

    Returns
    -------
    array (...,)
        Mean pressure [Pa].
    """
    return np.asarray(pressure)[..., 0, :, :columns].mean(axis=(-2, -1), dtype=np.float64)


def front_position(pressure: ArrayLike, level: float) -> np.ndarray:
    """Return the position of the front in each frame of one movie.

    Parameters
    ----------
    pressure : array (time, y, x)
        Pressure [Pa].
    level : float
        Pressure that marks the front [Pa]; usually half the shock pressure.

    Returns
    -------
    array (time,)
        Distance from the left edge [pixels]; pixel centres are at 0.5, 1.5, ... Interpolated between columns.
        NaN where no column reaches the level, or where the last column does (the front has left the frame).
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
    """Return the times at which a front reaches given columns.

    Parameters
    ----------
    position : array (time,)
        Front position [pixels], from `front_position`. Where it moves backwards, the earlier, larger position
        is kept.
    times : array (time,)
        Times of the frames, in any unit.
    columns : array (n,)
        Positions to reach [pixels].

    Returns
    -------
    array (n,)
        Arrival times in the unit of `times`; NaN for columns outside the path of the front.
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
    """Return the mean delay of a predicted front, and the share of columns that the front is seen to reach.

    Arrivals are compared at evenly spaced columns along the path of the true front. The pressure that marks
    the front is half the true shock pressure.

    Parameters
    ----------
    predicted, truth : array (time, y, x)
        Pressure [Pa].
    times : array (time,)
        Times of the frames [s].
    columns : int
        Number of columns at which arrivals are compared.

    Returns
    -------
    delay : float
        Mean delay [s]; positive means too late. NaN if no column is reached or the true front does not move.
    reached : float
        Share of the columns that the predicted front reaches within the movie, 0 to 1.
    """
    level = 0.5 * float(shock_pressure(truth))
    path = front_position(truth, level)
    seen = path[np.isfinite(path)]
    if len(seen) < 2 or seen.max() <= seen[0]:
        return float("nan"), 0.0
    at = np.linspace(seen[0], seen.max(), columns + 1)[1:]  # without the starting position
    delay = arrival_times(front_position(predicted, level), times, at) - arrival_times(path, times, at)
    reached = np.isfinite(delay)
    return (float(delay[reached].mean()) if reached.any() else float("nan")), float(reached.mean())
