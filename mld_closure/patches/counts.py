"""What is counted in a patch: pixels, changes of phase, runs of void pixels and pairs of them.

Why numpy: a patch is described on every rank that serves cells, where a compiler would take more memory than
the networks; whole-array operations cost about as much as reading the patch some dozens of times.
"""

from __future__ import annotations

import numpy as np

LAGS = (1, 2, 4, 8, 16, 32, 64)  # px, at which pairs of void pixels are counted
# Columns of what `count` returns; those of runs stand for one direction, x then y
PIXELS, VOID, SOLID, GREY, CHANGES_X, CHANGES_Y, RUNS_X, RUNS_Y, SQUARES_X, SQUARES_Y = range(10)
LONGEST_X, LONGEST_Y = 10, 11
PAIRS_X = 12  # of void pixels 1, 2, 4, ... apart
PAIRS_Y = PAIRS_X + len(LAGS)
POSSIBLE_X = PAIRS_Y + len(LAGS)  # pairs of any pixels so far apart
POSSIBLE_Y = POSSIBLE_X + len(LAGS)
COLUMNS = POSSIBLE_Y + len(LAGS)


def count(mu: np.ndarray, first: int) -> np.ndarray:
    """What describes patches mu (k, ny, nx) of float32, from column `first` on: (k, COLUMNS)."""
    out = np.zeros((len(mu), COLUMNS))
    for patch, found in zip(mu, out, strict=True):
        _count_one(np.ascontiguousarray(patch[:, first:]), found)
    return out


def _count_one(mu: np.ndarray, out: np.ndarray) -> None:
    """Fill `out` (COLUMNS,) for one patch (ny, nx)."""
    void = mu < 0.5
    out[PIXELS], out[VOID] = mu.size, np.count_nonzero(void)
    out[SOLID] = mu.sum(dtype=np.float64)
    out[GREY] = (mu * (1 - mu)).sum(dtype=np.float64)
    across = np.ascontiguousarray(void.T)
    for rows, changes, runs, squares, longest, pairs, possible in (
        (void, CHANGES_X, RUNS_X, SQUARES_X, LONGEST_X, PAIRS_X, POSSIBLE_X),
        (across, CHANGES_Y, RUNS_Y, SQUARES_Y, LONGEST_Y, PAIRS_Y, POSSIBLE_Y),
    ):
        out[changes] = np.count_nonzero(rows[:, 1:] != rows[:, :-1])
        lengths = _runs(rows)
        out[runs], out[squares] = len(lengths), np.dot(lengths, lengths)
        out[longest] = lengths.max(initial=0)
        for k, lag in enumerate(LAGS):
            if lag < rows.shape[1]:
                out[pairs + k] = np.count_nonzero(rows[:, lag:] & rows[:, :-lag])
                out[possible + k] = rows[:, lag:].size


def _runs(rows: np.ndarray) -> np.ndarray:
    """Lengths (n,) of all runs of true values along the rows of an image (rows, columns)."""
    framed = np.zeros((rows.shape[0], rows.shape[1] + 1), bool)  # a column of false ends each row
    framed[:, :-1] = rows
    flat = framed.ravel()
    turns = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    if flat[0]:
        turns = np.concatenate(([0], turns))
    return turns[1::2] - turns[::2]
