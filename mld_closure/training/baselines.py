"""Forecasts without a model, to compare with: no change at all, or the mean of the training cases."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..metrics.hotspots import curves_from
from .forecasts import Forecast, Forecaster, Reader, frame_interval, truth_curves


def persistence(data: Reader, names: Sequence[str]) -> Forecaster:
    """Make the baseline in which nothing changes: frame 0 of the case in every frame.

    Parameters
    ----------
    data : Reader
        Trajectories.
    names : sequence of str
        Fields of the forecast movie.

    Returns
    -------
    Forecaster
    """

    def forecast(case: int) -> Forecast:
        first = data.read(case, names, slice(0, 1))
        return Forecast(movie=np.repeat(first, len(data.times), axis=0))

    return forecast


class MeanCurves:
    """The baseline that knows the load but not the microstructure: what training cases did at that load.

    Hot-spot area, hot-spot temperature and burned fraction of each frame are linear functions of the piston
    speed, fitted to the training cases by least squares. Areas and fractions are not below 0; the fit of the
    temperature uses the cases that have hot pixels in that frame.
    Why: with a few dozen cases the scatter between microstructures at one load is as large as the difference
    to the next load, so an average over cases with nearly the same load would be noisier.

    Parameters
    ----------
    train : Reader
        Training file with the scalar `piston_speed`.
    cases : sequence of int
        Training cases.
    report : callable
        Called with the case number after each case.

    Raises
    ------
    ValueError
        No piston speeds or no cases.
    """

    def __init__(
        self, train: Reader, cases: Sequence[int], report: Callable[[int], None] = lambda case: None
    ) -> None:
        if "piston_speed" not in train.scalars:
            raise ValueError(
                "the training file gives no piston speeds, so no mean curve at a load can be computed"
            )
        if not cases:
            raise ValueError("the mean training curve needs at least one training case")
        self.times: np.ndarray = np.asarray(train.times)
        self.interval: float = frame_interval(train)
        self.pixels: int = train.shape[0] * train.shape[1]
        self.pixel: float = train.pixel
        self.speeds: np.ndarray = np.asarray(train.scalars["piston_speed"], np.float64)[list(cases)]
        curves, burned = [], []
        for case in cases:
            curve, fraction = truth_curves(train, case)
            curves.append(curve)
            burned.append(fraction)
            report(case)
        self.area: np.ndarray = np.stack([c.area for c in curves])  # (case, time)
        self.temperature: np.ndarray = np.stack([c.temperature for c in curves])
        self.occupied: np.ndarray = np.stack([c.occupied for c in curves])
        self.burned: np.ndarray = np.stack(burned)

    def forecaster(self, data: Reader) -> Forecaster:
        """Make forecasts for the cases of another file, scaled to the area of its frames.

        Raises
        ------
        ValueError
            The times of its frames are not those of the training file, or it has no piston speeds.
        """
        n = len(data.times)
        if n > len(self.times) or not np.allclose(
            data.times, self.times[:n], rtol=0, atol=1e-2 * self.interval
        ):
            raise ValueError(
                f"the training file has {len(self.times)} frames {self.interval:.4g} s apart, which do not "
                f"cover the {n} frames to be scored; give training data of the same scale"
            )
        if "piston_speed" not in data.scalars:
            raise ValueError("the data have no piston speeds, which the mean training curve needs")
        scale = (
            data.shape[0] * data.shape[1] * data.pixel**2 / (self.pixels * self.pixel**2)
        )  # ratio of frame areas

        def forecast(case: int) -> Forecast:
            speed = float(data.scalars["piston_speed"][case])
            area = np.maximum(self._at(speed, self.area[:, :n]), 0.0) * scale
            heat = self._at(speed, self.temperature[:, :n], self.occupied[:, :n])
            occupied = (area >= 0.5 * data.pixel**2) & (heat > 0)
            return Forecast(
                curves=curves_from(area, np.where(occupied, heat, 0.0), occupied, self.interval),
                burned=np.clip(self._at(speed, self.burned[:, :n]), 0.0, 1.0),
            )

        return forecast

    def _at(self, speed: float, values: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
        """Value at `speed` of the line fitted to values (case, time), per frame; 0 where no case counts."""
        w = np.ones_like(values) if weight is None else weight.astype(np.float64)
        total = np.maximum(w.sum(axis=0), 1e-300)
        x = self.speeds[:, None]
        x_mean, mean = (w * x).sum(axis=0) / total, (w * values).sum(axis=0) / total
        spread = (w * (x - x_mean) ** 2).sum(axis=0)
        slope = (w * (x - x_mean) * (values - mean)).sum(axis=0) / np.where(spread > 0, spread, 1.0)
        return mean + slope * (speed - x_mean)
