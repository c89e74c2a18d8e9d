"""What a captured shock rises to, told before it has risen.

A hydrocode spreads a shock over a few cells, so that in one of them it rises for longer than the real shock
takes to cross that cell. Captured shocks rise about as the travelling wave of Burgers' equation does, a
logistic curve: from rest, one over the value relaxes exponentially to one over the plateau, and three samples
past the middle tell the plateau.
"""

from __future__ import annotations

import numpy as np

FARTHEST = 4.0 / 3.0  # of the last sample: what a steady ramp from rest gives, whose growth does not slow


def plateau(times: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Plateau (n,) of logistic curves through three samples each: times (n, 3), rising, and values (n, 3).

    Exact for equal intervals, within a few per cent for others. The last value where there are fewer samples
    (times equal), where the curve has not passed its middle (its growth does not slow), or where it falls; at
    most `FARTHEST` times it.
    """
    last = values[:, 2]
    step, rise = np.diff(times, axis=1), np.diff(values, axis=1)
    told = (values > 0).all(axis=1) & (step > 0).all(axis=1) & (rise > 0).all(axis=1)
    told &= rise[:, 1] * step[:, 0] < rise[:, 0] * step[:, 1]
    out = last.copy()
    y, step = 1.0 / values[told], step[told]
    rate = np.diff(y, axis=1) / step  # negative, and fading
    middle = 0.5 * (y[:, 1:] + y[:, :-1])
    end = middle[:, 1] - rate[:, 1] * (middle[:, 1] - middle[:, 0]) / (rate[:, 1] - rate[:, 0])
    out[told] = 1.0 / np.clip(end, y[:, 2] / FARTHEST, y[:, 2])
    return out
