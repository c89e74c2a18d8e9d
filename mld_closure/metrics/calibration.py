"""Does an ensemble know how wrong it is: spread against error, and the share of truth within one sigma."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

GAUSSIAN_COVERAGE = 0.6827  # share of a normal distribution within one standard deviation


class EnsembleMoments:
    """Running mean and standard deviation over ensemble members (Welford); members need not be kept."""

    def __init__(self) -> None:
        self.members: int = 0
        self.mean: np.ndarray = np.zeros(())
        self._squares: np.ndarray = np.zeros(())

    def add(self, member: ArrayLike) -> None:
        """Add one member, an array of any shape, the same for all."""
        value = np.asarray(member, np.float64)
        if self.members and value.shape != self.mean.shape:
            raise ValueError(f"member has shape {value.shape}, those before had {self.mean.shape}")
        self.members += 1
        step = value - self.mean
        self.mean = self.mean + step / self.members
        self._squares = self._squares + step * (value - self.mean)

    @property
    def std(self) -> np.ndarray:
        """Unbiased standard deviation over the members; ValueError with fewer than two."""
        if self.members < 2:
            raise ValueError(f"spread needs at least two members, got {self.members}")
        return np.sqrt(self._squares / (self.members - 1))


@dataclass(frozen=True)
class Calibration:
    """Spread (root of the mean variance) and error (RMSE of the ensemble mean), both in the field's units.

    spread_skill is 1 for an ensemble whose truth is one more member, below 1 for one too sure of itself;
    coverage is the share of pixels with |truth - mean| <= spread there, 0.683 for a Gaussian of many members.
    """

    spread: float
    error: float
    spread_skill: float
    coverage: float


class CalibrationSums:
    """Adds up `Calibration` over cases."""

    def __init__(self) -> None:
        self._count = 0
        self._variance = self._error = self._covered = 0.0

    def add(self, mean: ArrayLike, std: ArrayLike, truth: ArrayLike, members: int) -> None:
        """Add one case: ensemble mean, standard deviation and truth (same shapes), and the member count.

        The variance is raised by (n + 1)/n for the uncertainty of a mean over n members (Fortin et al. 2014,
        doi:10.1175/JHM-D-14-0008.1).
        """
        m, s, t = (np.asarray(v, np.float64) for v in (mean, std, truth))
        if not m.shape == s.shape == t.shape:
            raise ValueError(f"mean {m.shape}, spread {s.shape} and truth {t.shape} must have one shape")
        off = np.abs(t - m)
        self._count += t.size
        self._variance += (members + 1) / members * float(np.sum(s**2))
        self._error += float(np.sum(off**2))
        self._covered += float(np.sum(off <= s))

    def result(self) -> Calibration:
        """The calibration of everything added; spread_skill is NaN where there is no error at all."""
        if not self._count:
            raise ValueError("no case was added")
        spread, error = np.sqrt(self._variance / self._count), np.sqrt(self._error / self._count)
        ratio = float(spread / error) if error > 0 else float("nan")
        return Calibration(float(spread), float(error), ratio, self._covered / self._count)


def calibration(ensemble: ArrayLike, truth: ArrayLike) -> Calibration:
    """Calibration of an ensemble (member, ...) against the truth (...), in the units of the arguments."""
    moments, sums = EnsembleMoments(), CalibrationSums()
    for member in np.asarray(ensemble):
        moments.add(member)
    sums.add(moments.mean, moments.std, truth, moments.members)
    return sums.result()
