"""How fast a front runs, and where a shock turned into a detonation, from positions over time."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def front_speed(times: ArrayLike, position: ArrayLike, span: float) -> np.ndarray:
    """Speed (n,) of a front: slope of the least-squares line through its positions within +- span/2.

    times: (n,), rising; position: (n,), NaN where there is no front; span: distance over which to average, in
    the units of position. A captured front moves in small jerks from cell to cell, so the span should be
    some cells. NaN where there are fewer than three positions within the span, or no full span of path to
    either side.
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
    """Time and position at which the speed rises through `level` for good, between samples linearly.

    All (n,); hold: path over which it must be seen to stay above, in the units of position, as a jerk that
    falls back or with which the record ends is no detonation. None where it never does (a front that is
    faster from the start has run no distance to it).
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
    """Time (s) and distance (m) at which the front turns into a detonation, halfway between the two speeds.

    Where the whole record is that of a detonation, None and the distance (m) below which it began. times (s),
    distance (m), speed (m/s): (n,), NaN where unknown. inert, detonation: speeds (m/s) of the shock without
    burning and of the detonation. span: path (m) over which the turn must be seen to last.
    """
    turned = None
    if detonation > inert:
        turned = transition(times, distance, speed, 0.5 * (inert + detonation), hold=span)
    known = np.isfinite(speed)
    if turned is None and known.any() and np.median(speed[known]) >= 0.9 * detonation:
        return None, float(distance[known][0])
    return turned, None
