"""What is known of a model's errors: the burn rate of set-aside cases, by load and time.

A table in the bundle holds the uncertainty (1/s) at a few loads and times: the half width of the 90 %
interval of the errors of cases that the model never saw, over 1.645, so that it is the standard deviation
where errors are normal. Between its points it is linear, beyond its times its end, and beyond the trained
loads it grows.

Why: errors are weighted with their distance in load and time, as there are few cases; one factor, found by
leaving each case out in turn, then makes the intervals hold what they promise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import BundleError

NORMAL = 1.645  # standard deviations to either side that hold 90 % of a normal distribution
SHARE = 0.90
POINTS = (7, 8)  # loads and times of a table that is learnt
WIDTHS = (0.12, 0.08)  # of the weights, as shares of the ranges of load and time


@dataclass(frozen=True)
class KnownErrors:
    """Uncertainty of the burn rate by load and time.

    Attributes
    ----------
    loads : (n,) m/s
        Piston speeds, increasing; one where the load tells nothing.
    times : (m,) s
        Times since frame 0, increasing; one where the time tells nothing.
    burn_rate : (n, m) 1/s
        NaN for unknown.
    cases : int
        Set-aside cases behind it; 0 where it is one number from training.
    load_range : (float, float), m/s
        Piston speeds of training.
    """

    loads: np.ndarray
    times: np.ndarray
    burn_rate: np.ndarray
    cases: int
    load_range: tuple[float, float]

    def __post_init__(self) -> None:
        for name in ("loads", "times", "burn_rate"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), np.float64))
        if self.burn_rate.shape != (len(self.loads), len(self.times)) or not self.burn_rate.size:
            raise ValueError(
                f"errors of shape {self.burn_rate.shape}: {len(self.loads)} loads, {len(self.times)} times"
            )
        for name in ("loads", "times"):
            points = getattr(self, name)
            if not np.isfinite(points).all() or (np.diff(points) <= 0).any() or points[0] < 0:
                raise ValueError(f"{name} of known errors must be finite and increase")
        if self.cases and not (np.isfinite(self.burn_rate) & (self.burn_rate > 0)).all():
            raise ValueError("known errors of a burn rate must be finite and positive")

    @classmethod
    def single(cls, value: float | None, load_range: tuple[float, float]) -> KnownErrors:
        """One number (1/s) for all loads and times, where no more is known; None for unknown."""
        number = np.nan if value is None else value
        return cls(np.array([load_range[0]]), np.zeros(1), np.array([[number]]), 0, load_range)

    @classmethod
    def learn(
        cls, loads: np.ndarray, times: np.ndarray, errors: np.ndarray, load_range: tuple[float, float]
    ) -> KnownErrors:
        """The table of set-aside cases.

        Parameters
        ----------
        loads
            Piston speeds (case,) in m/s.
        times
            (time,) in s, between the frames that rates are of.
        errors
            Burn rate of the model less the true one (case, time), 1/s.
        load_range
            Piston speeds of training (m/s).

        Raises
        ------
        ValueError
            Fewer than 3 cases, or numbers that are not finite.
        """
        if len(loads) < 3 or errors.shape != (len(loads), len(times)) or not np.isfinite(errors).all():
            raise ValueError(f"errors of shape {errors.shape} of {len(loads)} cases; at least 3 are needed")
        widths = _widths(load_range, times)
        size = np.abs(errors)
        out = np.empty_like(errors)
        for left in range(len(loads)):
            others = np.arange(len(loads)) != left
            out[left] = _local(loads[left : left + 1], times, loads[others], times, size[others], widths)[0]
        factor = np.quantile(size / out, SHARE) / NORMAL
        at = (
            np.linspace(*load_range, POINTS[0]),
            np.linspace(times[0], times[-1], min(POINTS[1], len(times))),
        )
        table = factor * _local(*at, loads, times, size, widths)
        return cls(*at, table, len(loads), load_range)

    @classmethod
    def from_table(
        cls, table: Mapping[str, Any], scale: str, load_range: tuple[float, float]
    ) -> KnownErrors | None:
        """What a bundle says of one scale, None for nothing; BundleError for what cannot be used."""
        entry = table.get(scale)
        if entry is None:
            return None
        try:
            columns = (np.array(entry[name], np.float64) for name in ("loads", "times", "burn_rate"))
            return cls(*columns, int(entry["cases"]), load_range)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as err:
            raise BundleError(f"what this bundle says of its errors cannot be used: {err}") from None

    def to_table(self) -> dict[str, Any]:
        """The same as it stands in a bundle, JSON-ready."""
        return {
            "loads": self.loads.tolist(),
            "times": self.times.tolist(),
            "burn_rate": self.burn_rate.tolist(),
            "cases": self.cases,
        }

    def at(self, load: np.ndarray, time: np.ndarray) -> np.ndarray:
        """Uncertainty (k,) of the burn rate, 1/s, at loads (k,) in m/s and times since frame 0 (k,) in s."""
        i, u = _place(self.loads, load)
        j, v = _place(self.times, time)
        up, right = np.minimum(i + 1, len(self.loads) - 1), np.minimum(j + 1, len(self.times) - 1)
        e = self.burn_rate
        return (1 - u) * ((1 - v) * e[i, j] + v * e[i, right]) + u * ((1 - v) * e[up, j] + v * e[up, right])

    def beyond(self, load: np.ndarray) -> np.ndarray:
        """Factors (k,) for loads (k,) in m/s beyond those of training: 1 inside, 2 half a range away."""
        low, high = self.load_range
        away = np.maximum(np.maximum(low - load, load - high), 0.0)
        return 1.0 + 2.0 * away / (high - low)


def _widths(load_range: tuple[float, float], times: np.ndarray) -> tuple[float, float]:
    span = float(times[-1] - times[0]) or 1.0
    return WIDTHS[0] * (load_range[1] - load_range[0]), WIDTHS[1] * span


def _local(
    loads: np.ndarray,
    times: np.ndarray,
    case_loads: np.ndarray,
    case_times: np.ndarray,
    size: np.ndarray,
    widths: tuple[float, float],
) -> np.ndarray:
    """Mean size of errors (case, time), weighted by distance, at loads (n,) and times (m,): (n, m)."""
    near = np.exp(-0.5 * ((loads[:, None] - case_loads) / widths[0]) ** 2) + 1e-3  # (n, case)
    soon = np.exp(-0.5 * ((times[:, None] - case_times) / widths[1]) ** 2) + 1e-6  # (m, time)
    near, soon = near / near.sum(axis=1, keepdims=True), soon / soon.sum(axis=1, keepdims=True)
    return np.maximum(near @ size @ soon.T, 1e-3 * size.mean() + 1e-30)


def _place(points: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Indices (k,) of the points below values (k,), and shares (k,) of the way to the next."""
    if len(points) == 1:
        return np.zeros(len(values), np.int64), np.zeros(len(values))
    inside = np.clip(values, points[0], points[-1])
    i = np.clip(np.searchsorted(points, inside, side="right") - 1, 0, len(points) - 2)
    return i, (inside - points[i]) / (points[i + 1] - points[i])
