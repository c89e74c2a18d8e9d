"""Curves of a case: what the material of the patch does over time, as a whole and in parts.

    curves/      time (curve time, s), one dataset a curve (case, curve time, part), arrival (case, part) in s

Part 0 is the whole patch, parts 1, 2, ... are equal column parts of it in the order in which the shock meets
them. A value of `arrival` is nan where the shock did not arrive within the curves.

Why: The Well has no place for time series with their own times and parts; a group of its own leaves the
reader of its layout undisturbed, and the attributes say what that layout says of a dataset.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

GROUP = "curves"
ARRIVAL = "arrival"


@dataclass(frozen=True)
class Curve:
    """Units of a curve and the widest values a file may contain."""

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
    """Shape of each curve of one case with `times` curve times and `parts` parts; none where times is 0."""
    if not times:
        return {}
    return {name: (1 + parts,) if name == ARRIVAL else (times, 1 + parts) for name in CURVES}


def faulty_value(name: str, values: np.ndarray) -> str | None:
    """What is wrong with the first bad value of a curve, (curve time, part) or arrivals (part,)."""
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
    """ValueError unless the curves of a case have the right type, shape and values."""
    for name, shape in shapes(times, parts).items():
        values = arrays[name]
        if values.shape != shape or values.dtype != np.float32:
            raise ValueError(
                f"case {index}, {name}: expected float32 {shape}, got {values.dtype} {values.shape}"
            )
        fault = faulty_value(name, values)
        if fault:
            raise ValueError(f"case {index}, {name}: {fault}")
