"""Scores of whole rollouts from frame 0: the same numbers for models and baselines.

Errors of fields are over the forecast frames (frame 0 is given); hot-spot curves are over all frames, as in
the reference. What a forecaster does not give is missing in its scores.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ..fields import get
from ..metrics.arrival import arrival_bias
from ..metrics.calibration import Calibration, CalibrationSums
from ..metrics.errors import FieldErrors, rmse
from ..metrics.hotspots import HotspotCurves, hot_fraction, hotspot_curves, hotspot_errors
from .forecasts import Forecast, Forecaster, Model, Reader, frame_interval, rollout, truth_curves

# Quantity -> label, unit, factor from SI, name of the true final value to which its share is relative
HOTSPOT_ROWS = {
    "area": ("hot area", "um2", 1e12, "area"),
    "temperature": ("hot T", "K", 1.0, "hot temperature"),
    "area_rate": ("hot area rate", "um2/ns", 1e3, ""),
    "temperature_rate": ("hot T rate", "K/ns", 1e-9, ""),
}
SUMMARY = ("T", "P", "hot area", "burned, area proxy", "burned, direct")  # rows that `summary` shows


class Row(NamedTuple):
    """One row of a table: value in `unit`, and its share of the true mean final value if there is one."""

    quantity: str
    unit: str
    value: float
    share: float | None = None


@dataclass(frozen=True)
class Scores:
    """Errors of forecasts, in SI units. A share is relative to the true mean value in the last frame.

    Attributes
    ----------
    cases : tuple of int
        Cases scored.
    truth : dict of str to float
        True mean final values, to which shares are relative.
    fields, fields_per_frame : dict
        RMSE by field.
    hotspots, hotspots_left_out, hotspots_per_frame : dict
        RMSE of the hot-spot curves by quantity; the second leaves out frames without hot pixels.
    per_case : dict
        RMSE of each case, for hot-spot area [m2], hot-spot temperature [K] and burned fraction.
    curves, truth_curves : dict
        `area` [m2], `temperature` [K] and, where given, `burned`, (case, time) each.
    final_area_bias : float
        Mean of prediction - truth of the hot-spot area in the last frame [m2].
    burned : dict
        RMSE of the burned fraction: `area proxy`, from the hot area; `direct`, given by the forecaster.
    arrival_bias : float
        Mean delay of the shock front [frames]; positive means late.
    arrival_reached : float
        Share of the columns that the predicted front reaches.
    calibration : dict
        Calibration of an ensemble, by field.
    """

    cases: tuple[int, ...]
    truth: dict[str, float]
    fields: dict[str, float] = field(default_factory=dict)
    fields_per_frame: dict[str, list[float]] = field(default_factory=dict)
    hotspots: dict[str, float] = field(default_factory=dict)
    hotspots_left_out: dict[str, float] = field(default_factory=dict)
    hotspots_per_frame: dict[str, list[float]] = field(default_factory=dict)
    per_case: dict[str, list[float]] = field(default_factory=dict)
    curves: dict[str, list[list[float]]] = field(default_factory=dict)
    truth_curves: dict[str, list[list[float]]] = field(default_factory=dict)
    final_area_bias: float = float("nan")
    burned: dict[str, float] = field(default_factory=dict)
    arrival_bias: float = float("nan")
    arrival_reached: float = float("nan")
    calibration: dict[str, Calibration] = field(default_factory=dict)

    def share(self, name: str, value: float) -> float | None:
        """Return `value` relative to the true mean final value of `name`; None where that is not positive."""
        final = self.truth.get(name, 0.0)
        return value / final if final > 0 and np.isfinite(value) else None

    @property
    def selection(self) -> float:
        """One number by which weights are selected; lower is better.

        The RMSE of the hot-spot area curve over the true mean final area (over the area of the frame where
        nothing ignites), plus the RMSE of the temperature over the true mean final temperature.
        """
        area = self.hotspots["area"] / (self.truth["area"] or self.truth["frame area"])
        return area + self.fields["temperature"] / self.truth["temperature"]

    def rows(self) -> list[Row]:
        """Return the table of these scores, in common units; errors are RMSE."""
        out = []
        for name, value in self.fields.items():
            units = get(name).units
            unit, factor = ("GPa", 1e-9) if units == "Pa" else (units, 1.0)
            out.append(Row(get(name).symbol, unit, factor * value, self.share(name, value)))
        for kept, values in (("", self.hotspots), (", empty left out", self.hotspots_left_out)):
            for name, (label, unit, factor, truth) in HOTSPOT_ROWS.items():
                if name in values and not (kept and name.startswith("area")):
                    share = self.share(truth, values[name])
                    out.append(Row(label + kept, unit, factor * values[name], share))
        if np.isfinite(self.final_area_bias):
            unit, factor = HOTSPOT_ROWS["area"][1:3]
            share = self.share("area", self.final_area_bias)
            out.append(Row("final hot area, bias", unit, factor * self.final_area_bias, share))
        for way, value in self.burned.items():
            out.append(Row(f"burned, {way}", "1", value, self.share("burned fraction", value)))
        if np.isfinite(self.arrival_reached):
            out.append(Row("front delay", "frames", self.arrival_bias))
            out.append(Row("front seen", "1", self.arrival_reached))
        for name, result in self.calibration.items():
            out.append(Row(f"{get(name).symbol} spread / error", "1", result.spread_skill))
            out.append(Row(f"{get(name).symbol} within 1 sigma", "1", result.coverage))
        return out

    def summary(self) -> str:
        """The main errors in one line, each with its unit."""
        shown = [row for row in self.rows() if row.quantity in SUMMARY]
        return ", ".join(f"{r.quantity} {r.value:.3g}{'' if r.unit == '1' else ' ' + r.unit}" for r in shown)

    def __repr__(self) -> str:
        return f"Scores({len(self.cases)} cases, RMSE: {self.summary()})"

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers for JSON, with None for NaN."""
        return _plain(asdict(self))


def score_rollouts(
    model: Model,
    trajectories: Reader,
    cases: Sequence[int],
    *,
    members: int = 0,
    seed: int = 0,
    precision: str = "fp32",
    report: Callable[[int], None] = lambda case: None,
) -> Scores:
    """Score the rollouts of a model from frame 0 of each case; arguments as in `rollout` and `score`."""
    forecaster = rollout(model, trajectories, members=members, seed=seed, precision=precision)
    return score(forecaster, trajectories, cases, model.config.fields, report=report)


def score(
    forecaster: Forecaster,
    trajectories: Reader,
    cases: Sequence[int],
    fields: Sequence[str],
    *,
    report: Callable[[int], None] = lambda case: None,
) -> Scores:
    """Compare forecasts with the truth.

    Parameters
    ----------
    forecaster : Forecaster
        Forecasts by case number.
    trajectories : Reader
        The truth, in SI units.
    cases : sequence of int
        Cases to score.
    fields : sequence of str
        Fields of a forecast movie in order; must include the temperature.
    report : callable
        Called with the case number after each case.

    Returns
    -------
    Scores

    Raises
    ------
    ValueError
        No cases, or frames that are not evenly spaced.
    """
    if not cases:
        raise ValueError("no case to score")
    names, interval = tuple(fields), frame_interval(trajectories)
    sums = _Sums(names)
    for case in cases:
        truth = trajectories.read(case, names)
        curves, burned = truth_curves(trajectories, case)
        sums.add(forecaster(case), truth, curves, burned, trajectories, interval)
        report(case)
    ny, nx = trajectories.shape
    return sums.scores(tuple(cases), ny * nx * trajectories.pixel**2, interval)


class _Sums:
    """Everything that is accumulated over cases."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names, self.errors = names, FieldErrors(names)
        self.curves: list[tuple[HotspotCurves, HotspotCurves]] = []
        self.burned: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
        self.arrivals: list[tuple[float, float]] = []
        self.calibration = {name: CalibrationSums() for name in names}
        self.final: list[dict[str, float]] = []
        self.fields_seen = self.ensembles_seen = False

    def add(
        self,
        forecast: Forecast,
        truth: np.ndarray,
        curves: HotspotCurves,
        burned: np.ndarray,
        data: Reader,
        interval: float,
    ) -> None:
        """Add one case."""
        predicted = forecast.curves
        if forecast.movie is not None:
            self.fields_seen = True
            self.errors.add(forecast.movie[1:], truth[1:])
            hot = forecast.movie[:, self.names.index("temperature")]
            predicted = hotspot_curves(hot, data.pixel, interval)
            self._read_burned("area proxy", hot_fraction(hot), burned)
            if "pressure" in self.names:
                i = self.names.index("pressure")
                self.arrivals.append(arrival_bias(forecast.movie[:, i], truth[:, i], data.times))
        elif predicted is not None:
            frame = data.shape[0] * data.shape[1] * data.pixel**2
            self._read_burned("area proxy", predicted.area / frame, burned)
        if predicted is not None:
            self.curves.append((predicted, curves))
        if forecast.burned is not None:
            self._read_burned("direct", forecast.burned, burned)
        if forecast.mean is not None and forecast.std is not None:
            self.ensembles_seen = True
            for i, name in enumerate(self.names):
                parts = (forecast.mean[1:, i], forecast.std[1:, i], truth[1:, i])
                self.calibration[name].add(*parts, forecast.members)
        final = {name: float(truth[-1, i].mean()) for i, name in enumerate(self.names)}
        final |= {
            "area": curves.area[-1],
            "hot temperature": curves.temperature[-1],
            "burned fraction": burned[-1],
        }
        self.final.append(final)

    def scores(self, cases: tuple[int, ...], frame_area: float, interval: float) -> Scores:
        """The scores of all cases added."""
        truth = {name: float(np.mean([f[name] for f in self.final])) for name in self.final[0]}
        found: dict[str, Any] = {}
        if self.fields_seen:
            found["fields"] = self.errors.per_field()
            found["fields_per_frame"] = {n: v.tolist() for n, v in self.errors.per_frame().items()}
        if self.curves:
            predicted, true = (_stacked(side) for side in zip(*self.curves, strict=True))
            found["hotspots"] = _floats(hotspot_errors(predicted, true))
            found["hotspots_left_out"] = _floats(hotspot_errors(predicted, true, empty="left out"))
            per_frame = hotspot_errors(predicted, true, per_time=True)
            found["hotspots_per_frame"] = {n: v.tolist() for n, v in per_frame.items()}
            found["per_case"] = {
                n: rmse(getattr(predicted, n), getattr(true, n), -1).tolist() for n in ("area", "temperature")
            }
            for name, side in (("curves", predicted), ("truth_curves", true)):
                found[name] = {n: getattr(side, n).tolist() for n in ("area", "temperature")}
            found["final_area_bias"] = float(np.mean(predicted.area[:, -1] - true.area[:, -1]))
        found["burned"] = {
            way: float(rmse(*(np.stack(side) for side in zip(*pairs, strict=True))))
            for way, pairs in self.burned.items()
        }
        for way, pairs in self.burned.items():
            per_case = [float(rmse(*pair)) for pair in pairs]
            found.setdefault("per_case", {})[f"burned, {way}"] = per_case
            stated, true_burned = (np.stack(side).tolist() for side in zip(*pairs, strict=True))
            found.setdefault("truth_curves", {})["burned"] = true_burned
            if way == "direct":
                found.setdefault("curves", {})["burned"] = stated
        if self.arrivals:
            bias, reached = np.array(self.arrivals).T
            seen = np.isfinite(bias)
            found["arrival_bias"] = float(bias[seen].mean() / interval) if seen.any() else float("nan")
            found["arrival_reached"] = float(reached.mean())
        if self.ensembles_seen:
            found["calibration"] = {n: c.result() for n, c in self.calibration.items()}
        return Scores(cases, truth | {"frame area": frame_area}, **found)

    def _read_burned(self, way: str, predicted: np.ndarray, truth: np.ndarray) -> None:
        """Add a predicted and a true curve of the burned fraction (time,)."""
        self.burned.setdefault(way, []).append((predicted, truth))


def _stacked(curves: Sequence[HotspotCurves]) -> HotspotCurves:
    """Curves (case, time) from curves (time,)."""
    return HotspotCurves(
        *(np.stack([getattr(c, n) for c in curves]) for n in HotspotCurves.__dataclass_fields__)
    )


def _floats(values: dict[str, np.ndarray]) -> dict[str, float]:
    """Values as Python floats."""
    return {name: float(value) for name, value in values.items()}


def _plain(value: Any) -> Any:
    """Nested values for JSON: lists, dicts and numbers, with None for NaN."""
    if isinstance(value, dict):
        return {key: _plain(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    return value
