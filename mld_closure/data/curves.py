"""Curves of a case: what the material of the patch does over time, as a whole and in parts.

The group `curves/` of a file holds `time` (curve time,) [s], one dataset per curve (case, curve time, part),
and `arrival` (case, part) [s]. Part 0 is the whole patch. Parts 1, 2, ... are column parts of equal width, in
the order in which the shock reaches them. `arrival` is NaN where the shock does not arrive within the curve
times.

Every curve is of the patch's own material, the material that was in the patch at the start:

burned_share [1]       burned mass over own mass
mean_pressure [Pa]     mean over the own area
mean_density [kg/m3]   own mass over own area
mean_energy [J/kg]     specific internal energy
hot_area [m2]          own area hotter than 875 K
hot_temperature [K]    mean over that area, 0 K where there is none
kept_share [1]         own mass that has not left through the right side

Why: The Well has no place for time series with their own times and parts. A separate group leaves its readers
undisturbed, and the attributes describe a dataset as that layout does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

GROUP = "curves"
ARRIVAL = "arrival"


@dataclass(frozen=True)
class Curve:
    """Unit of a curve, and the smallest and largest value that a file may hold."""

    units: str
    low: float
    high: float


CURVES: dict[str, Curve] = {
    "burned_share": Curve("1", -1e-6, 1 + 1e-6),
    "mean_pressure": Curve("Pa", -2e9, 200e9),
    "mean_density": Curve("kg/m3", 0.0, 10000.0),
    "mean_energy": Curve("J/kg", 0.0, 1e9),
    "hot_area": Curve("m2", 0.0, 1.0),
    "hot_temperature": Curve("K", 0.0, 20000.0),
    "kept_share": Curve("1", 0.0, 1 + 1e-6),
    ARRIVAL: Curve("s", 0.0, 1.0),
}


def shapes(times: int, parts: int) -> dict[str, tuple[int, ...]]:
    """Return the shape of each curve of one case.

    Parameters
    ----------
    times : int
        Number of curve times; there are no curves where it is 0.
    parts : int
        Number of column parts in addition to the whole patch.

    Returns
    -------
    dict of str to tuple of int
    """
    if not times:
        return {}
    return {name: (1 + parts,) if name == ARRIVAL else (times, 1 + parts) for name in CURVES}


def faulty_value(name: str, values: np.ndarray) -> str | None:
    """Describe the first bad value of a curve (curve time, part) or of arrivals (part,); None if valid."""
    curve = CURVES[name]
    with np.errstate(invalid="ignore"):
        good = (values >= np.float32(curve.low)) & (values <= np.float32(curve.high))
    good |= np.isnan(values) & (name == ARRIVAL)
    if good.all():
        return None
    place = tuple(int(i) for i in np.argwhere(~good)[0])
    where = f"part {place[-1]}" if len(place) == 1 else f"curve time {place[0]}, part {place[1]}"
    return f"value {values[place]:g} {curve.units} is outside {curve.low:g} to {curve.high:g} ({where})"


def check_curves(index: int, arrays: Mapping[str, np.ndarray], times: int, parts: int) -> None:
    """Check type, shape and values of the curves of a case.

    Raises
    ------
    ValueError
        They are wrong; the message names case, curve and place.
    """
    for name, shape in shapes(times, parts).items():
        values = arrays[name]
        if values.shape != shape or values.dtype != np.float32:
            raise ValueError(
                f"case {index}, {name}: expected float32 {shape}, got {values.dtype} {values.shape}"
            )
        fault = faulty_value(name, values)
        if fault:
            raise ValueError(f"case {index}, {name}: {fault}")
