"""What a closure asks of the physics that serves cells in place of the model.

A fallback is pure: what it returns depends on its request alone, so that steps can be rejected and repeated.
Built in are `ignition_growth.IgnitionGrowth` and `curve.CurveFallback`, which plays back a simulation (DNS)
of the cell's own patch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...fields import QUANTITIES

NAMES = tuple(QUANTITIES)


@dataclass(frozen=True)
class FallbackRequest:
    """Cells that need the fallback over a step.

    Two times pass in a step. `dt` is real time, for laws that take the pressure into account themselves. The
    cell's clock goes from `since` to `until`, which is real time weighted with (p / P_s)^m: for curves that
    were recorded under a steady load.

    Parameters
    ----------
    ids : ndarray (n,) of int64
        Ids of the cells.
    patches : callable
        Without arguments; returns solid fractions (n, y, x), solid where the shock of frame 0 stands.
    up : ndarray (n,)
        Load: piston speed in m/s, not clipped to the trained range.
    shock_pressure : ndarray (n,)
        P_s in Pa: the shock pressure that the clock compares the pressure with.
    pressure : ndarray (n,)
        Pressure in Pa at the end of the step.
    since, until : ndarray (n,)
        The cell's clock in s before and after, counted from the moment in which a shock stood at the left
        edge of its patch as in frame 0.
    before : ndarray (n, 6)
        `NAMES` at `since`, SI units. Burned fractions are shares of what the closure's are.
    dt : ndarray (n,)
        Real time in s from `since` to `until`: the macro step, but for a cell whose clock starts in it the
        time since the shock arrived.
    """

    ids: np.ndarray
    patches: Callable[[], np.ndarray]
    up: np.ndarray
    shock_pressure: np.ndarray
    pressure: np.ndarray
    since: np.ndarray
    until: np.ndarray
    before: np.ndarray
    dt: np.ndarray


Fallback = Callable[[FallbackRequest], np.ndarray]  # `NAMES` (n, 6) at `until`; NaN where unknown
