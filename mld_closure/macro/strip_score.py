"""How a run of a strip's slab compares with the strip: burned share since arrival, arrival, pressure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mld_closure.dns.strip_file import Strip
from mld_closure.macro.strip import Run, StripPoints

SMALL = 0.05  # burned share below which errors in per cent say little


@dataclass(frozen=True)
class Score:
    """What is compared, per patch.

    after: (M,) s since arrival. expected, found: burned share (patch, M), nan after the end of a record.
    arrival: error (patch,) in s. pressure: error relative to the DNS (patch, M).
    """

    after: np.ndarray
    expected: np.ndarray
    found: np.ndarray
    arrival: np.ndarray
    pressure: np.ndarray

    @property
    def error(self) -> np.ndarray:
        """Relative error of the burned share (patch, M)."""
        return self.found / np.maximum(self.expected, 1e-12) - 1.0

    def worst(self, first: int = 1) -> float:
        """Greatest error from patch `first` on, where at least `SMALL` has burned; 0 where nothing has."""
        counted = self.expected[first:] >= SMALL
        return float(np.abs(self.error[first:][counted]).max(initial=0.0))


def strip_shares(strip: Strip) -> tuple[np.ndarray, np.ndarray]:
    """Arrival (patch,) in s, the mean of the parts', and burned share (time, patch) of a resolved strip."""
    mass = 1.0 - strip.porosity(strip.arrival.shape[1])
    return strip.arrival.mean(axis=1), (strip.curves["burned_share"] * mass).sum(axis=2) / mass.sum(axis=1)


def run_shares(points: StripPoints, run: Run) -> tuple[np.ndarray, np.ndarray]:
    """The same of a run: arrival (patch,) and burned share (time, patch)."""
    mass = points.by_patch(points.density * np.diff(points.x))
    burned = (points.by_patch(run.burned) * mass).sum(axis=-1) / mass.sum(axis=-1)
    return points.by_patch(run.arrival).mean(axis=-1), burned


def score(strip: Strip, points: StripPoints, run: Run, after: Sequence[float]) -> Score:
    """Compare a run with its strip at times `after` (s) the arrival in each patch."""
    after = np.asarray(after, float)
    (true_arrival, truth), (arrival, burned) = strip_shares(strip), run_shares(points, run)
    true_p = strip.curves["mean_pressure"].mean(axis=2)
    p = points.by_patch(run.pressure).mean(axis=-1)

    def at(times: np.ndarray, values: np.ndarray, begin: np.ndarray) -> np.ndarray:
        rows = [np.interp(t + after, times, v, right=np.nan) for t, v in zip(begin, values.T, strict=True)]
        return np.array(rows)  # (patch, M)

    return Score(
        after,
        at(strip.times, truth, true_arrival),
        at(run.times, burned, arrival),
        arrival - true_arrival,
        at(run.times, p, arrival) / at(strip.times, true_p, true_arrival) - 1.0,
    )
