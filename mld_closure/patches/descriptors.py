"""What a microstructure is like, in a few numbers of a patch: porosity, pore sizes, surface, correlation.

A pixel counts as void below a solid fraction of one half; the porosity alone counts shares of pixels. Chords
are the lengths of lines through voids, along x and along y. Of an image without a void, or without a change
of phase, all but the porosity are NaN.

References
----------
Torquato, Random Heterogeneous Materials (Springer 2002), chapter 2: specific surface from the crossings of
lines, chord lengths, two-point correlation S2.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from . import counts

LAGS: np.ndarray = np.array(counts.LAGS)  # px


class Descriptor(NamedTuple):
    """Unit and meaning of one number of a patch."""

    unit: str
    meaning: str


DESCRIPTORS: dict[str, Descriptor] = {
    "porosity": Descriptor("1", "share of the area that is void"),
    "specific_surface": Descriptor("1/m", "length of the boundary of voids per area"),
    "pore_chord": Descriptor("m", "mean chord through voids"),
    "pore_size": Descriptor(
        "m", "mean chord through voids, weighted with its length: large pores count more"
    ),
    "longest_chord": Descriptor("m", "longest chord through a void"),
    "elongation": Descriptor("1", "logarithm of the mean void chord along x over that along y"),
    "correlation_length": Descriptor(
        "m", "integral of the two-point autocovariance of voids over its value at 0"
    ),
    "edge_width": Descriptor("m", "width over which solid turns into void at a boundary"),
}
NAMES = tuple(DESCRIPTORS)


def describe(mu: np.ndarray, pixel: float, first: int = 0) -> np.ndarray:
    """Describe patches.

    Parameters
    ----------
    mu
        Solid fractions (k, ny, nx).
    pixel
        Side of a pixel (m).
    first
        Columns before this one are left out: a surrogate puts its entering shock there.

    Returns
    -------
    numpy.ndarray
        (k, 8), in the order and the units of `DESCRIPTORS`.

    Raises
    ------
    ValueError
        The patches are not (k, ny, nx), or have no columns from `first` on.

    Examples
    --------
    >>> import numpy as np
    >>> from mld_closure.patches.descriptors import NAMES, describe
    >>> mu = np.ones((1, 64, 64), np.float32)
    >>> mu[0, 16:32, 24:56] = 0  # a pore of 32 x 16 pixels of 50 nm
    >>> dict(zip(NAMES, describe(mu, 50e-9)[0].tolist()))["porosity"]
    0.125
    """
    mu = np.asarray(mu)
    if mu.ndim != 3 or not 0 <= first < mu.shape[2]:
        raise ValueError(
            f"patches of shape {mu.shape}; expected (cells, ny, nx) with more than {first} columns"
        )
    if mu.dtype != np.float32 or not mu.flags.c_contiguous:
        mu = np.ascontiguousarray(mu, np.float32)
    return numbers(counts.count(mu, first), pixel)


def numbers(found: np.ndarray, pixel: float) -> np.ndarray:
    """Descriptors (k, 8) from what was counted (k, `counts.COLUMNS`)."""
    c = found.T
    with np.errstate(divide="ignore", invalid="ignore"):
        pixels, void = c[counts.PIXELS], c[counts.VOID]
        changes = c[counts.CHANGES_X] + c[counts.CHANGES_Y]
        runs = c[counts.RUNS_X] + c[counts.RUNS_Y]
        squares = c[counts.SQUARES_X] + c[counts.SQUARES_Y]
        share = void / pixels
        covariance = np.zeros((len(LAGS), len(found)))
        for k in range(len(LAGS)):
            pairs = c[counts.PAIRS_X + k] + c[counts.PAIRS_Y + k]
            possible = c[counts.POSSIBLE_X + k] + c[counts.POSSIBLE_Y + k]
            covariance[k] = np.where(possible > 0, pairs / possible - share**2, 0.0) / (share - share**2)
        steps = np.diff(LAGS)[:, None]
        integral = 0.5 * (1 + covariance[0]) + (0.5 * steps * (covariance[1:] + covariance[:-1])).sum(axis=0)
        out = np.stack(
            [
                1.0 - c[counts.SOLID] / pixels,
                0.25
                * np.pi
                * changes
                / (pixels * pixel),  # pi/2 crossings per length, mean of both directions
                2 * void / runs * pixel,
                squares / (2 * void) * pixel,
                np.maximum(c[counts.LONGEST_X], c[counts.LONGEST_Y]) * pixel,
                np.log(c[counts.RUNS_Y] / c[counts.RUNS_X]),
                integral * pixel,
                # 6 mu (1 - mu) sums to the width of a linear ramp, over the length of the boundary
                24.0 / np.pi * c[counts.GREY] / changes * pixel,
            ],
            axis=1,
        )
    out[~(changes > 0) | ~(void > 0), 1:] = np.nan
    return out
