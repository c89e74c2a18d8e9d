"""Hot spots of temperature movies: area, temperature and their rates, and how far two sets of movies differ.

Definition of the reference (arXiv:2506.12996): mask T > 875 K; area = count * pixel area; temperature = mean
over the mask, 0 K where the mask is empty; rates = forward differences; one RMSE over samples and times.
Beside it stands a version that leaves empty masks out.
Why: 0 K for an empty mask makes a jump of a thousand kelvin at ignition, which rules the reference's score.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from .errors import rmse

THRESHOLD = 875.0  # K

QUANTITIES = ("area", "temperature", "area_rate", "temperature_rate")


@dataclass(frozen=True)
class HotspotCurves:
    """Hot-spot statistics over time; rates have one entry less along the last axis.

    area (..., time) in m2, temperature (..., time) in K, area_rate (..., time - 1) in m2/s, temperature_rate
    (..., time - 1) in K/s, occupied (..., time) is False where no pixel was hot.
    """

    area: np.ndarray
    temperature: np.ndarray
    area_rate: np.ndarray
    temperature_rate: np.ndarray
    occupied: np.ndarray


def hotspot_curves(
    temperature: ArrayLike, pixel: float, interval: float, *, threshold: float = THRESHOLD
) -> HotspotCurves:
    """Hot-spot statistics of temperature movies.

    temperature: (..., time, y, x) in K; pixel: side in m; interval: between frames in s; threshold in K.
    """
    t = np.asarray(temperature)
    hot = t > threshold
    count = hot.sum(axis=(-2, -1))  # (..., time)
    heat = np.where(hot, t, 0).sum(axis=(-2, -1), dtype=np.float64)
    mean = np.where(count > 0, heat / np.maximum(count, 1), 0.0)
    return curves_from(count * pixel**2, mean, count > 0, interval)


def curves_from(
    area: ArrayLike, temperature: ArrayLike, occupied: ArrayLike, interval: float
) -> HotspotCurves:
    """The curves and their forward-difference rates; area (..., time) in m2, temperature (..., time) in K."""
    a, t = np.asarray(area, np.float64), np.asarray(temperature, np.float64)
    return HotspotCurves(
        a,
        t,
        np.diff(a) / interval,
        np.diff(t) / interval,
        np.broadcast_to(np.asarray(occupied, bool), a.shape),
    )


def hotspot_errors(
    prediction: HotspotCurves,
    truth: HotspotCurves,
    *,
    empty: Literal["zero", "left out"] = "zero",
    per_time: bool = False,
) -> dict[str, np.ndarray]:
    """RMSE of each of `QUANTITIES` over samples and times, or per time over the leading axes.

    empty="zero" is the reference's definition; "left out" scores temperatures only where both masks hold
    pixels (temperature rates: at both ends of the interval), and areas, which need no such care, as before.
    NaN where nothing is left to score.
    """
    if empty not in ("zero", "left out"):
        raise ValueError(f"empty must be 'zero' or 'left out', got '{empty}'")
    axis = tuple(range(truth.area.ndim - 1)) if per_time else None
    where: dict[str, np.ndarray] = {}
    if empty == "left out":
        both = prediction.occupied & truth.occupied
        where = {"temperature": both, "temperature_rate": both[..., 1:] & both[..., :-1]}
    return {
        name: rmse(getattr(prediction, name), getattr(truth, name), axis, where=where.get(name))
        for name in QUANTITIES
    }


def hot_fraction(temperature: ArrayLike, *, threshold: float = THRESHOLD) -> np.ndarray:
    """Share of the pixels above `threshold` (K), (..., time) from (..., time, y, x): a proxy of the burned
    fraction where a movie holds no reaction progress."""
    return (np.asarray(temperature) > threshold).mean(axis=(-2, -1))


def burned_fraction(progress: ArrayLike, density: ArrayLike | None = None) -> np.ndarray:
    """Burned share of the mass in the frame, sum(rho lam) / sum(rho), (..., time) from (..., time, y, x).

    progress: burned mass fraction lam per pixel; density: rho in kg/m3, same shape. Without density every
    pixel counts alike, so a void (almost no mass) weighs as much as solid. Mass that flows in through the
    left edge counts from the frame in which it is there.
    """
    lam = np.asarray(progress, np.float64)
    if density is None:
        return lam.mean(axis=(-2, -1))
    rho = np.asarray(density, np.float64)
    if rho.shape != lam.shape:
        raise ValueError(f"density has shape {rho.shape} but progress {lam.shape}; they must be equal")
    return (rho * lam).sum(axis=(-2, -1)) / rho.sum(axis=(-2, -1))
