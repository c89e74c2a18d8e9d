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
    """Cases (n,) of wall frames.

    solid: (n, y, x) float32, halo first. load: (n,) in m/s. curves: (n, part, time) float32 by name, in SI
    units. known: (n, part, time) bool; false after the end of a case's record and where no shock arrived.
    """

    solid: np.ndarray
    load: np.ndarray
    curves: dict[str, np.ndarray]
    known: np.ndarray

    def __len__(self) -> int:
        return len(self.load)

    def take(self, which: Any) -> CurveSamples:
        """Some of the cases."""
        curves = {name: values[which] for name, values in self.curves.items()}
        return CurveSamples(self.solid[which], self.load[which], curves, self.known[which])


def read_samples(
    data: Any, config: CurveConfig, cases: Sequence[int] | None = None,
    report: Callable[[int], None] = lambda case: None,
) -> CurveSamples:  # fmt: skip
    """Samples of the cases of a trajectory file of wall frames; all of them by default.

    Raises
    ------
    ValueError
        The file has no curves, or curves of another number of parts.
    """
    if data.parts != config.parts:
        raise ValueError(f"{data.path} has curves of {data.parts} parts, the network of {config.parts}")
    numbers = range(data.n_cases) if cases is None else cases
    solid, curves, known = [], [], []
    patch = (data.shape[1] - config.halo) * data.pixel * data.shape[0] * data.pixel  # m2
    for case in numbers:
        mu = data.read(case, ("microstructure",), slice(0, 1))[0, 0]
        solid.append(np.clip(mu, 0.0, 1.0))
        found, there = since_arrival(data.curves(case), data.curve_times, config, patch / config.parts)
        curves.append(found)
        known.append(there)
        report(case)
    load = np.array([data.scalars["piston_speed"][case] for case in numbers], np.float32)
    joined = {name: np.stack([c[name] for c in curves]) for name in CURVES}
    return CurveSamples(np.stack(solid).astype(np.float32), load, joined, np.stack(known))


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


def mean_curve(train: CurveSamples, load: np.ndarray, name: str = "burned_share") -> np.ndarray:
    """What training cases of about these loads (n,) did in the mean, whatever their pores: (n, time).

    Weights are Gaussian in the load, `NEAR` wide, so the baseline knows the load and nothing else.
    """
    weight = np.exp(-0.5 * ((load[:, None] - train.load) / NEAR) ** 2) + 1e-12  # (n, case)
    values = np.where(train.known, train.curves[name], 0.0)
    return np.einsum("nc,cpt->nt", weight, values) / np.maximum(
        np.einsum("nc,cpt->nt", weight, train.known.astype(float)), 1e-30
    )
