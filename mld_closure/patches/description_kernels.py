"""Compiled loops that count what describes a patch: pixels, changes of phase, runs and pairs of void pixels.

Why: one walk over the rows and one over the columns, with small integers in between, cost about as much as
reading the patch; so a patch is described while it lies in the cache for its encoding.
"""

from __future__ import annotations

import numpy as np

from ..compile_cache import njit
from .counts import (
    CHANGES_X,
    CHANGES_Y,
    COLUMNS,
    GREY,
    LONGEST_X,
    LONGEST_Y,
    PAIRS_X,
    PAIRS_Y,
    PIXELS,
    POSSIBLE_X,
    POSSIBLE_Y,
    RUNS_X,
    RUNS_Y,
    SOLID,
    SQUARES_X,
    SQUARES_Y,
    VOID,
)

jit = njit(nogil=True, error_model="numpy")


@jit
def _walk(void, out, changes, runs, squares, longest):
    """Changes of phase and runs of void along the rows of an image (rows, columns)."""
    for j in range(void.shape[0]):
        row = void[j]
        length = 0
        turned = 0
        for i in range(row.size):
            if i > 0:
                turned += row[i] ^ row[i - 1]
            if row[i]:
                length += 1
            elif length:
                out[runs] += 1
                out[squares] += length * length
                out[longest] = max(out[longest], length)
                length = 0
        if length:
            out[runs] += 1
            out[squares] += length * length
            out[longest] = max(out[longest], length)
        out[changes] += turned


@jit
def _pairs(void, out, lag, pairs, possible):
    """Pairs of void pixels `lag` columns apart."""
    ny, nx = void.shape
    if lag >= nx:
        return
    for j in range(ny):
        row = void[j]
        found = np.int32(0)
        for i in range(nx - lag):
            found += np.int32(row[i] & row[i + lag])
        out[pairs] += found
    out[possible] = ny * (nx - lag)


@jit
def _count_one(mu, first, lags, out):
    """Fill `out` (COLUMNS,) for one patch (ny, nx), from column `first` on."""
    ny, nx = mu.shape[0], mu.shape[1] - first
    void = np.empty((ny, nx), np.uint8)
    across = np.empty((nx, ny), np.uint8)
    solid = 0.0
    grey = 0.0
    number = 0
    for j in range(ny):
        of_row = np.float32(0.0)
        grey_row = np.float32(0.0)
        count = np.int32(0)
        for i in range(nx):
            value = mu[j, first + i]
            of_row += value
            grey_row += value * (np.float32(1.0) - value)
            void[j, i] = value < np.float32(0.5)
            count += np.int32(void[j, i])
        solid += of_row
        grey += grey_row
        number += count
    for jj in range(0, ny, 32):
        for i in range(nx):
            for j in range(jj, min(jj + 32, ny)):
                across[i, j] = void[j, i]
    out[PIXELS] = ny * nx
    out[SOLID], out[GREY], out[VOID] = solid, grey, number
    _walk(void, out, CHANGES_X, RUNS_X, SQUARES_X, LONGEST_X)
    _walk(across, out, CHANGES_Y, RUNS_Y, SQUARES_Y, LONGEST_Y)
    for k in range(lags.size):
        _pairs(void, out, lags[k], PAIRS_X + k, POSSIBLE_X + k)
        _pairs(across, out, lags[k], PAIRS_Y + k, POSSIBLE_Y + k)


@jit
def count(mu, first, lags):
    """What describes patches mu (k, ny, nx) of float32, from column `first` on: (k, COLUMNS).

    lags: 1 and LAGS.
    """
    out = np.zeros((mu.shape[0], COLUMNS))
    for k in range(mu.shape[0]):
        _count_one(mu[k], first, lags, out[k])
    return out
