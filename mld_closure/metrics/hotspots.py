"""Hot-spot statistics of temperature movies (area, temperature and their rates) and errors of them.

The definition is that of the reference: a pixel is hot where T > 875 K; the hot-spot area is the number of
hot pixels times the pixel area; the hot-spot temperature is the mean over the hot pixels, and 0 K where there
are none; rates are forward differences; the error is one RMSE over all samples and times. A second version of
the error leaves out frames without hot pixels.
Why: setting 0 K where no pixel is hot makes a jump of a thousand kelvin at ignition, which dominates the
error of the reference definition.

References
----------
Azarfar et al., arXiv:2506.12996.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from ..fields import HOT
from .errors import rmse

THRESHOLD = HOT  # K

QUANTITIES = ("area", "temperature", "area_rate", "temperature_rate")


@dataclass(frozen=True)
class HotspotCurves:
    """Hot-spot statistics over time. Rates have one entry less along the time axis.

    Attributes
    ----------
    area : array (..., time)
        Hot-spot area [m2].
    temperature : array (..., time)
        Hot-spot temperature [K].
    area_rate : array (..., time - 1)
        Rate of the area [m2/s].
    temperature_rate : array (..., time - 1)
        Rate of the temperature [K/s].
    occupied : boolean array (..., time)
        False where no pixel was hot.
    """

    area: np.ndarray
    temperature: np.ndarray
    area_rate: np.ndarray
    temperature_rate: np.ndarray
    occupied: np.ndarray


def hotspot_curves(
    temperature: ArrayLike, pixel: float, interval: float, *, threshold: float = THRESHOLD
) -> HotspotCurves:
    """Return the hot-spot statistics of temperature movies.

    Parameters
    ----------
    temperature : array (..., time, y, x)
        Temperature [K].
    pixel : float
        Side of a pixel [m].
    interval : float
        Time between two frames [s].
    threshold : float
        A pixel hotter than this is hot [K].

    Returns
    -------
    HotspotCurves
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
    """Build hot-spot curves from area and temperature; rates are forward differences.

    Parameters
    ----------
    area : array (..., time)
        Hot-spot area [m2].
    temperature : array (..., time)
        Hot-spot temperature [K].
    occupied : boolean array (..., time)
        Whether any pixel was hot.
    interval : float
        Time between two frames [s].

    Returns
    -------
    HotspotCurves
    """
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
    """Return the RMSE of each of `QUANTITIES`.

    Parameters
    ----------
    prediction, truth : HotspotCurves
        Curves of one shape.
    empty : {"zero", "left out"}
        What to do in frames without hot pixels. "zero" is the reference definition (temperature 0 K). "left
        out" compares temperatures only where both prediction and truth have hot pixels, and temperature rates
        only where that holds at both ends of the interval; areas are compared everywhere.
    per_time : bool
        One value per frame instead of one value over samples and frames.

    Returns
    -------
    dict of str to array
        RMSE by quantity, in SI units; NaN where nothing is left to compare.

    Raises
    ------
    ValueError
        Another word for `empty`.
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
    """Return the share of pixels hotter than a threshold.

    It stands in for the burned fraction where a movie has no reaction progress.

    Parameters
    ----------
    temperature : array (..., time, y, x)
        Temperature [K].
    threshold : float
        Limit [K].

    Returns
    -------
    array (..., time)
        Share of the pixels, 0 to 1.
    """
    return (np.asarray(temperature) > threshold).mean(axis=(-2, -1))


def burned_fraction(progress: ArrayLike, density: ArrayLike | None = None) -> np.ndarray:
    """Return the burned share of the mass in each frame, sum(rho lam) / sum(rho).

    Parameters
    ----------
    progress : array (..., time, y, x)
        Reaction progress lam, the burned mass fraction of each pixel.
    density : array (..., time, y, x), optional
        Density rho [kg/m3]. Without it all pixels have the same weight, so a void, which holds almost no
        mass, counts as much as solid material.

    Returns
    -------
    array (..., time)
        Burned fraction, 0 to 1. Material that flows in through the left edge counts as soon as it is in the
        frame.

    Raises
    ------
    ValueError
        The shapes differ.
    """
    lam = np.asarray(progress, np.float64)
    if density is None:
        return lam.mean(axis=(-2, -1))
    rho = np.asarray(density, np.float64)
    if rho.shape != lam.shape:
        raise ValueError(f"density has shape {rho.shape} but progress {lam.shape}; they must be equal")
    return (rho * lam).sum(axis=(-2, -1)) / rho.sum(axis=(-2, -1))
