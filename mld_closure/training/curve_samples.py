"""Burn curves of training cases, each part's since the shock arrived there; and the mean curve to beat."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..models.curve_net import CURVES, CurveConfig

NEAR = 100.0  # m/s, width of the weights of the mean curve


@dataclass(frozen=True)
class CurveSamples:
    """Cases (n,) of wall frames of one size.

    solid: (n, y, x) float32, halo first. load: (n,) in m/s. curves: (n, part, time) float32 by name, in SI
    units. known: (n, part, time) bool; false after the end of a case's record and where no shock arrived.
    halo: columns of the images ahead of the patch. case: numbers (n,) of the cases in their file.
    """

    solid: np.ndarray
    load: np.ndarray
    curves: dict[str, np.ndarray]
    known: np.ndarray
    halo: int
    case: np.ndarray | None = None

    @property
    def parts(self) -> int:
        """Column parts that have curves."""
        return self.known.shape[1]

    def __len__(self) -> int:
        return len(self.load)

    def take(self, which: Any) -> CurveSamples:
        """Some of the cases."""
        curves = {name: values[which] for name, values in self.curves.items()}
        case = None if self.case is None else self.case[which]
        return CurveSamples(self.solid[which], self.load[which], curves, self.known[which], self.halo, case)


def read_samples(
    data: Any, config: CurveConfig, cases: Sequence[int] | None = None,
    report: Callable[[int], None] = lambda case: None,
) -> CurveSamples:  # fmt: skip
    """Samples of the cases of a trajectory file of wall frames; all of them by default.

    The curves of neighbouring parts that are less than half as wide as the network's are taken together.
    Cases whose shock was too weak to arrive anywhere are left out.

    Raises
    ------
    ValueError
        The file has no curves.
    """
    if not data.parts:
        raise ValueError(f"{data.path} has no curves; it must hold wall frames")
    halo = halo_of(data)
    together = max(1, config.part_width * data.parts // (data.shape[1] - halo))
    while data.parts % together:
        together -= 1
    numbers = range(data.n_cases) if cases is None else cases
    solid, curves, known = [], [], []
    patch = (data.shape[1] - halo) * data.pixel * data.shape[0] * data.pixel  # m2
    for case in numbers:
        mu = data.read(case, ("microstructure",), slice(0, 1))[0, 0]
        solid.append(np.clip(mu, 0.0, 1.0))
        area = patch / data.parts
        found, there = since_arrival(data.curves(case), data.curve_times, config, area)
        found, there = joined_parts(found, there, together)
        curves.append(found)
        known.append(there)
        report(case)
    load = np.array([data.scalars["piston_speed"][case] for case in numbers], np.float32)
    joined = {name: np.stack([c[name] for c in curves]) for name in CURVES}
    every = CurveSamples(
        np.stack(solid).astype(np.float32), load, joined, np.stack(known), halo, np.array(numbers)
    )
    return every.take(every.known.any(axis=(1, 2)))


def halo_of(data: Any) -> int:
    """Columns ahead of the patch in the images of a trajectory file of wall frames."""
    try:
        return int(data.provenance["configuration"]["case"]["wall"]["halo"])
    except (KeyError, TypeError, ValueError):
        raise ValueError(f"{data.path} does not say how wide its halo is; it must hold wall frames") from None


def joined_parts(
    curves: dict[str, np.ndarray], known: np.ndarray, together: int
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Curves (part, time) of so many neighbouring parts taken together, where all of them are known."""
    groups = len(known) // together

    def mean(values: np.ndarray) -> np.ndarray:
        return values.reshape(groups, together, -1).mean(axis=1)

    hot = mean(curves["hot_share"])
    heat = mean(curves["hot_share"] * curves["hot_temperature"])
    found = {name: mean(values) for name, values in curves.items()}
    found["hot_temperature"] = np.where(hot > 0, heat / np.where(hot > 0, hot, 1.0), 0.0).astype(np.float32)
    return found, known.reshape(groups, together, -1).all(axis=1)


def since_arrival(
    curves: dict[str, np.ndarray], times: np.ndarray, config: CurveConfig, area: float
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Curves (part, time) since each part's own arrival, and where (part, time) they are known.

    curves: (curve time, 1 + parts) at `times` (s), the whole patch first. area: of a part at rest (m2).
    """
    arrival = curves["arrival"][1:]
    there = np.isfinite(arrival)
    at = np.where(there, arrival, 0.0)[:, None] + config.times  # (part, time)
    columns = {
        "burned_share": curves["burned_share"],
        "mean_pressure": curves["mean_pressure"],
        "hot_share": curves["hot_area"] / area,
        "hot_temperature": curves["hot_temperature"],
    }
    found = {
        name: np.stack([np.interp(at[k], times, values[:, 1 + k]) for k in range(len(at))]).astype(np.float32)
        for name, values in columns.items()
    }
    burned = found["burned_share"]
    found["burned_share"] = np.clip(np.maximum.accumulate(burned - burned[:, :1], axis=1), 0.0, 1.0)
    return found, (at <= times[-1] * (1 + 1e-9)) & there[:, None]


def mean_curve(train: Sequence[CurveSamples], load: np.ndarray, name: str = "burned_share") -> np.ndarray:
    """What training cases of about these loads (n,) did in the mean, whatever their pores: (n, time).

    Weights are Gaussian in the load, `NEAR` wide, so the baseline knows the load and nothing else.
    """
    total: Any = 0.0
    number: Any = 1e-30
    for cases in train:
        weight = np.exp(-0.5 * ((load[:, None] - cases.load) / NEAR) ** 2) + 1e-12  # (n, case)
        values = np.where(cases.known, cases.curves[name], 0.0)
        total = total + np.einsum("nc,cpt->nt", weight, values)
        number = number + np.einsum("nc,cpt->nt", weight, cases.known.astype(float))
    return total / number
