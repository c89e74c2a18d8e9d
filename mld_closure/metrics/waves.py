"""Speed of a front, and the place where a shock becomes a detonation, from positions over time."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def front_speed(times: ArrayLike, position: ArrayLike, span: float) -> np.ndarray:
    """Return the speed of a front: the slope of a least-squares line through the positions nearby.

    Parameters
    ----------
    times : array (n,)
        Increasing times.
    position : array (n,)
        Position of the front; NaN where there is no front.
    span : float
        Length of the path over which each line is fitted, half on either side, in the unit of `position`. A
        numerical front jumps from cell to cell, so take several cells.

    Returns
    -------
    array (n,)
        Speed; NaN where the span holds fewer than three positions or reaches beyond either end of the path.

    Raises
    ------
    ValueError
        The shapes differ.
    """
    t, x = np.asarray(times, float), np.asarray(position, float)
    if t.shape != x.shape or t.ndim != 1:
        raise ValueError(f"times and positions must both be (n,), got {t.shape} and {x.shape}")
    out = np.full(len(t), np.nan)
    seen = np.isfinite(x)
    if not seen.any():
        return out
    low, high = x[seen].min() + 0.5 * span, x[seen].max() - 0.5 * span
    for i in np.flatnonzero(seen & (x >= low) & (x <= high)):
        near = seen & (np.abs(x - x[i]) <= 0.5 * span)
        if near.sum() >= 3 and np.ptp(t[near]) > 0:
            centred = t[near] - t[near].mean()
            out[i] = (centred * x[near]).sum() / (centred**2).sum()
    return out


def transition(
    times: ArrayLike, position: ArrayLike, speed: ArrayLike, level: float, hold: float = 0.0
) -> tuple[float, float] | None:
    """Return time and position at which the speed rises above a level and stays above it.

    Parameters
    ----------
    times, position, speed : array (n,)
        Path of the front and its speed, from `front_speed`. Values are interpolated linearly.
    level : float
        Speed to exceed.
    hold : float
        Length of path over which the speed must stay above the level, in the unit of `position`. A short
        jump, or one at the very end of the record, is no detonation.

    Returns
    -------
    (time, position) or None
        None if the speed never stays above the level, and if it is above from the start.
    """
    t, x, v = (np.asarray(a, float) for a in (times, position, speed))
    known = np.flatnonzero(np.isfinite(v) & np.isfinite(x))
    slow = np.flatnonzero(v[known] < level)
    if not slow.size or slow[-1] + 1 == len(known):
        return None
    a, b = known[slow[-1]], known[slow[-1] + 1]
    share = (level - v[a]) / (v[b] - v[a])
    where = float(x[a] + share * (x[b] - x[a]))
    return (float(t[a] + share * (t[b] - t[a])), where) if x[known[-1]] - where >= hold else None


def run_to_detonation(
    times: np.ndarray, distance: np.ndarray, speed: np.ndarray, inert: float, detonation: float, span: float
) -> tuple[tuple[float, float] | None, float | None]:
    """Return time and distance at which a shock becomes a detonation.

    This is where the speed exceeds the mean of the inert shock speed and the detonation speed for good.

    Parameters
    ----------
    times : array (n,)
        Times [s].
    distance : array (n,)
        Distance that the front has run [m]; NaN where unknown.
    speed : array (n,)
        Speed of the front [m/s]; NaN where unknown.
    inert, detonation : float
        Speed of the shock without burning, and of the detonation [m/s].
    span : float
        Length of path over which the higher speed must last [m].

    Returns
    -------
    turned : (time, distance) or None
        Time [s] and distance [m] of the transition; None if there was none.
    below : float or None
        Where the front is a detonation from the first known speed on: the distance [m] below which it began.
        Otherwise None.
    """
    turned = None
    if detonation > inert:
        turned = transition(times, distance, speed, 0.5 * (inert + detonation), hold=span)
    known = np.isfinite(speed)
    if turned is None and known.any() and np.median(speed[known]) >= 0.9 * detonation:
        return None, float(distance[known][0])
    return turned, None
