"""Physics that serves a cell where the model may not: a callable given at open.

A fallback is pure: what it returns depends on its request alone, so that steps can be rejected and repeated.
Two are built in: ignition and growth, and `CurveFallback`, which plays back a simulation of the cell's own
patch (the DNS, given as a callable) on the cell's clock.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..fields import QUANTITIES
from .policies import BURNED

NAMES = tuple(QUANTITIES)


@dataclass(frozen=True)
class FallbackRequest:
    """Cells that need the fallback over a step, (n,) each unless said otherwise; SI units.

    ids; patches(): solid fractions (n, y, x), solid where the shock of frame 0 stands; up: the load (piston
    speed), unclipped; shock_pressure: P_s; pressure: at the end of the step; since, until: the cell's clock,
    seconds since a shock stood at the left edge of its patch as in frame 0; dt: real time (s) from `since` to
    `until`, since the clock of a cell runs faster or slower than time with its pressure; before: `QUANTITIES`
    (n, 6) at `since`. Burned fractions are shares of what `Settings.burned` says.
    """

    ids: np.ndarray
    patches: Callable[[], np.ndarray]
    up: np.ndarray
    shock_pressure: np.ndarray
    pressure: np.ndarray
    since: np.ndarray
    until: np.ndarray
    dt: np.ndarray
    before: np.ndarray


Fallback = Callable[[FallbackRequest], np.ndarray]  # `QUANTITIES` (n, 6) at `until`; NaN where unknown


@dataclass(frozen=True)
class IgnitionGrowth:
    """Lee-Tarver ignition and growth driven by the cell's pressure.

        dF/dt = I (1-F)^b (rho/rho0 - 1 - a)^x   for F < ignited and rho/rho0 - 1 > a
              + G1 (1-F)^c F^d p^y               for F < growth_end
              + G2 (1-F)^e F^g p^z               for F >= completion_start

    Source: Lee and Tarver 1980, doi:10.1063/1.862940; Tarver et al. 1985 for the three terms. Rates in 1/s
    with p in Pa, so G1 in 1/(s Pa^y). All constants must be given: they belong to one material. `compression`
    maps pressure to rho/rho0 (`LoadTable.compression`). Gives the burned fraction only; all else stays.
    """

    compression: Callable[[np.ndarray], np.ndarray]
    I: float
    a: float
    b: float
    x: float
    G1: float
    c: float
    d: float
    y: float
    G2: float = 0.0
    e: float = 1.0
    g: float = 1.0
    z: float = 1.0
    ignited: float = 1.0
    growth_end: float = 1.0
    completion_start: float = 0.0
    substeps: int = 32

    def rate(self, burned: np.ndarray, pressure: np.ndarray) -> np.ndarray:
        """dF/dt (1/s) at burned fractions and pressures (Pa)."""
        left = np.clip(1.0 - burned, 0.0, 1.0)
        burned = np.clip(burned, 0.0, 1.0)
        over = self.compression(pressure) - 1.0 - self.a
        ignition = np.where(
            (over > 0) & (burned < self.ignited), self.I * left**self.b * np.maximum(over, 0.0) ** self.x, 0.0
        )
        growth = self.G1 * left**self.c * burned**self.d * pressure**self.y
        completion = self.G2 * left**self.e * burned**self.g * pressure**self.z
        growth = np.where(burned < self.growth_end, growth, 0.0)
        return ignition + growth + np.where(burned >= self.completion_start, completion, 0.0)

    def __call__(self, request: FallbackRequest) -> np.ndarray:
        """The burned fraction at `until`, by Runge-Kutta steps (fourth order) that each burn about 2 % at
        most and of which there are `substeps` at least; all else stays."""
        out, p = request.before.copy(), request.pressure
        burned, rest = out[:, BURNED], request.until - request.since
        longest = rest / self.substeps
        while (rest > 0).any():
            k1 = self.rate(burned, p)
            h = np.minimum(np.minimum(longest, rest), 0.02 / np.maximum(k1, 1e-300))
            k2 = self.rate(burned + 0.5 * h * k1, p)
            k3 = self.rate(burned + 0.5 * h * k2, p)
            k4 = self.rate(burned + h * k3, p)
            burned = np.clip(burned + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4), 0.0, 1.0)
            rest = np.where(rest - h > 1e-9 * longest, rest - h, 0.0)
        out[:, BURNED] = np.maximum(burned, out[:, BURNED])
        return out


class CurveFallback:
    """Plays back a simulation of each cell's patch under its load, run when first asked for.

    simulate(patch (y, x), up) -> (times (t,) in s from frame 0, `QUANTITIES` (t, 6)): for instance a DNS and
    `targets_from_fields`. Linear in time, the last frame held; the burned fraction never falls. The last
    `keep` curves are remembered.
    """

    def __init__(self, simulate: Callable[[np.ndarray, float], tuple[Any, Any]], keep: int = 1024) -> None:
        self.simulate, self.keep = simulate, keep
        self._curves: OrderedDict[str, tuple[np.ndarray, np.ndarray]] = OrderedDict()

    def __call__(self, request: FallbackRequest) -> np.ndarray:
        """`QUANTITIES` (n, 6) at `until`."""
        out = request.before.copy()
        for i, patch in enumerate(request.patches()):
            times, curve = self._curve(patch, float(request.up[i]))
            for k in range(len(NAMES)):
                out[i, k] = np.interp(request.until[i], times, curve[:, k])
        out[:, BURNED] = np.maximum(out[:, BURNED], request.before[:, BURNED])
        return out

    def _curve(self, patch: np.ndarray, up: float) -> tuple[np.ndarray, np.ndarray]:
        key = hashlib.sha256(np.ascontiguousarray(patch).tobytes() + np.float64(up).tobytes()).hexdigest()
        if key not in self._curves:
            times, values = (np.asarray(v, np.float64) for v in self.simulate(patch, up))
            if values.shape != (len(times), len(NAMES)):
                raise ValueError(f"the simulation gave {values.shape} values for {len(times)} times")
            values[:, BURNED] = np.maximum.accumulate(values[:, BURNED])
            self._curves[key] = times, values
            while len(self._curves) > self.keep:
                self._curves.popitem(last=False)
        return self._curves[key]
