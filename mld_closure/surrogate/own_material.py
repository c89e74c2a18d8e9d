"""From the burned share of what is in a training frame to the burned share of a cell's own material.

A training frame stands still in space: behind the shock, solid material without pores flows into it, which
hardly burns. In a hydrocode other cells' material flows in, and the flow itself carries what has burned
there. So the closure counts what burns against the cell's own material, whose share of the mass in the frame
is a matter of book-keeping. Per area of front, with rho00 the density at rest and L the length of the frame,
what has entered by a time t is rho1 up t; the frame holds rho00 L + rho1 up t until the shock leaves it at
L / us, and about as much from then on.
"""

from __future__ import annotations

import numpy as np

from ..fields import QUANTITIES
from .frame0 import LoadTable

BURNED = list(QUANTITIES).index("burned_fraction")
LEAST_SHARE = 0.1  # below it hardly any of the cell's material is left in the frame to be counted against


def own_share(
    table: LoadTable, up: np.ndarray, solid: np.ndarray, time: np.ndarray, length: float
) -> np.ndarray:
    """Share (n,) of the cell's own material in the mass of its frame, at least `LEAST_SHARE`.

    up: loads (m/s); solid: solid fractions at rest; time: since frame 0 (s), whose shock stands at
    `front_column`; length of the frame along the shock (m).
    """
    us = table.shock_speed(up)
    crossed = us * time / length + table.front_column * table.pixel / length  # 1 when the shock leaves
    feed = np.interp(up, table.up, table.rho) * up / (table.rho0 * solid * us)  # mass, in rho00 L, by then
    return np.maximum(1.0 - feed * crossed / (1.0 + feed * np.minimum(crossed, 1.0)), LEAST_SHARE)


def of_own(values: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Burned fractions (n, ...) of frames counted against shares (n,) of their mass, at most 1."""
    share = share.reshape(-1, *[1] * (values.ndim - 1))
    counted = np.minimum(values / share, np.maximum(values, 1.0))  # a fraction above 1 stays one, to be found
    return np.where(values > 0, counted, values)


def own_burned(values: np.ndarray, share: np.ndarray) -> np.ndarray:
    """`QUANTITIES` (n, 6) of frames with their burned fraction counted so; all else as it is."""
    out = values.copy()
    out[:, BURNED] = of_own(values[:, BURNED], share)
    return out
