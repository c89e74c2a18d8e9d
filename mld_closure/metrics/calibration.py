"""Calibration of ensembles: does the spread of the members match the error of their mean?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike


class EnsembleMoments:
    """Running mean and standard deviation over ensemble members, without storing the members.

    References
    ----------
    Welford, Technometrics 4 (1962), doi:10.1080/00401706.1962.10490022.
    """

    def __init__(self) -> None:
        self.members: int = 0
        self.mean: np.ndarray = np.zeros(())
        self._squares: np.ndarray = np.zeros(())

    def add(self, member: ArrayLike) -> None:
        """Add one member: an array of any shape and unit, the same shape for all members.

        Raises
        ------
        ValueError
            The shape differs from that of earlier members.
        """
        value = np.asarray(member, np.float64)
        if self.members and value.shape != self.mean.shape:
            raise ValueError(f"member has shape {value.shape}, those before had {self.mean.shape}")
        self.members += 1
        step = value - self.mean
        self.mean = self.mean + step / self.members
        self._squares = self._squares + step * (value - self.mean)

    @property
    def std(self) -> np.ndarray:
        """Unbiased standard deviation over the members; ValueError for fewer than two members."""
        if self.members < 2:
            raise ValueError(f"spread needs at least two members, got {self.members}")
        return np.sqrt(self._squares / (self.members - 1))


@dataclass(frozen=True)
class Calibration:
    """How well the spread of an ensemble describes its error.

    Attributes
    ----------
    spread : float
        Square root of the mean variance over the members, in the unit of the field.
    error : float
        RMSE of the ensemble mean, in the unit of the field.
    spread_skill : float
        spread / error; 1 where the truth behaves like one more member, below 1 for an ensemble that is too
        confident.
    coverage : float
        Share of pixels with |truth - mean| <= standard deviation; 0.683 for a Gaussian and many members.
    """

    spread: float
    error: float
    spread_skill: float
    coverage: float


class CalibrationSums:
    """Accumulates what `Calibration` needs, case by case."""

    def __init__(self) -> None:
        self._count = 0
        self._variance = self._error = self._covered = 0.0

    def add(self, mean: ArrayLike, std: ArrayLike, truth: ArrayLike, members: int) -> None:
        """Add one case.

        The variance is multiplied by (n + 1) / n, because the mean over n members is itself uncertain.

        Parameters
        ----------
        mean, std, truth : array
            Ensemble mean, standard deviation and truth; one shape and one unit.
        members : int
            Number of members n.

        Raises
        ------
        ValueError
            The shapes differ.

        References
        ----------
        Fortin et al., J. Hydrometeorol. 15 (2014), doi:10.1175/JHM-D-14-0008.1.
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
        """Return the calibration over all cases added; spread_skill is NaN where the error is zero.

        Raises
        ------
        ValueError
            No case was added.
        """
        if not self._count:
            raise ValueError("no case was added")
        spread, error = np.sqrt(self._variance / self._count), np.sqrt(self._error / self._count)
        ratio = float(spread / error) if error > 0 else float("nan")
        return Calibration(float(spread), float(error), ratio, self._covered / self._count)


def calibration(ensemble: ArrayLike, truth: ArrayLike) -> Calibration:
    """Return the calibration of one ensemble.

    Parameters
    ----------
    ensemble : array (member, ...)
        The members.
    truth : array (...)
        The truth, in the same unit.

    Returns
    -------
    Calibration
    """
    moments, sums = EnsembleMoments(), CalibrationSums()
    for member in np.asarray(ensemble):
        moments.add(member)
    sums.add(moments.mean, moments.std, truth, moments.members)
    return sums.result()
