"""Burn curves of the cells' own patches, simulated when first asked for and played back on a cell's clock."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np

from ..policies import BURNED
from .request import NAMES, FallbackRequest


class CurveFallback:
    """Plays back a simulation of each cell's patch under its load.

    Linear in time, the last frame held; the burned fraction never falls.

    Parameters
    ----------
    simulate : callable
        simulate(patch (y, x), up) -> (times (t,) in s from frame 0, values (t, 6) of `NAMES`): for instance a
        DNS and `models.readout_head.targets_from_fields`.
    keep : int
        So many curves are remembered, those made last.
    """

    def __init__(self, simulate: Callable[[np.ndarray, float], tuple[Any, Any]], keep: int = 1024) -> None:
        self.simulate, self.keep = simulate, keep
        self._curves: OrderedDict[str, tuple[np.ndarray, np.ndarray]] = OrderedDict()

    def __call__(self, request: FallbackRequest) -> np.ndarray:
        """`NAMES` (n, 6) at `until`."""
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
