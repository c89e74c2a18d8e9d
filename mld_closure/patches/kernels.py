"""Compiled loops that copy patches out of an image and add them back.

A patch that lies inside the image is copied row by row. A patch that crosses an edge looks up the pixels
beyond the edge in index tables.
Why: the rows of a patch lie far apart in memory, and the processor does not predict the next address. So each
row is prefetched a few rows ahead. At the end of a patch the rows of the next patch are prefetched; patches
are therefore visited in the order in which they lie in the image.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from ..compile_cache import njit

jit = njit(nogil=True, error_model="numpy")
ROWS_AHEAD = 8
LINE = 16  # float32 values per cache line


@intrinsic
def _prefetch(typing_context: Any, row: Any, index: Any) -> Any:
    """Prefetch the cache line of row[index] (unit stride) into the second-level cache; never faults."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, args[0])
        place = builder.bitcast(builder.gep(array.data, [args[1]]), ir.IntType(8).as_pointer())
        int32 = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [place.type, int32, int32, int32])
        function = builder.module.declare_intrinsic("llvm.prefetch", [place.type], kind)
        read, second_level, data = (ir.Constant(int32, value) for value in (0, 2, 1))
        builder.call(function, [place, read, second_level, data])
        return context.get_dummy_value()

    return types.void(row, types.intp), generate


@jit
def _visits(ranks, cells):
    """Positions in `cells`, sorted by rank."""
    ranked = np.empty(cells.size, np.int64)
    rises = True
    for k in range(cells.size):
        ranked[k] = ranks[cells[k]]
        rises = rises and (k == 0 or ranked[k - 1] <= ranked[k])
    return np.arange(cells.size) if rises else np.argsort(ranked, kind="mergesort")


@jit
def _next_corner(corners, interior, cells, visits, i):
    """Corner of the patch of the next visit; of this visit if the next crosses an edge or is missing."""
    c = cells[visits[i]]
    if i + 1 < visits.size and interior[cells[visits[i + 1]]]:
        c = cells[visits[i + 1]]
    return corners[c, 0], corners[c, 1]


@jit
def _gather_whole(image, x, y, next_x, next_y, out):
    """Copy a patch that lies inside the image, prefetching rows ahead."""
    h, w = out.shape
    for j in range(h):
        ahead = j + ROWS_AHEAD
        if ahead < h:
            later = image[y + ahead, x : x + w]
        else:
            later = image[next_y + min(ahead - h, h - 1), next_x : next_x + w]
        for i in range(0, w, LINE):
            _prefetch(later, i)
        source, target = image[y + j, x : x + w], out[j]
        for i in range(w):
            target[i] = source[i]


@jit
def _gather_across(image, x, y, rows, columns, out):
    """Copy a patch that crosses an edge of the image."""
    nx = image.shape[1]
    h, w = out.shape
    left, right = min(max(-x, 0), w), max(min(w, nx - x), 0)
    for j in range(h):
        whole, target = image[rows[y + h + j]], out[j]
        for i in range(left):
            target[i] = whole[columns[x + w + i]]
        inside, part = target[left:right], whole[x + left : x + right]
        for i in range(right - left):
            inside[i] = part[i]
        for i in range(right, w):
            target[i] = whole[columns[x + w + i]]


@jit
def first_outside(cells, n):
    """Return the position of the first entry of `cells` outside 0 ... n - 1; -1 if there is none."""
    for k in range(cells.size):
        if cells[k] < 0 or cells[k] >= n:
            return k
    return -1


@jit
def gather(image, corners, interior, ranks, rows, columns, cells, out):
    """Copy the patch of cell cells[k] to out[k], for all k.

    Parameters
    ----------
    image : array (ny, nx)
        Source.
    corners : int64 array (n, 2)
        x and y of the corner pixel with the smallest x and y of each patch.
    interior : boolean array (n,)
        Whether the patch lies inside the image.
    ranks : int64 array (n,)
        Position of each patch in the order in which patches lie in the image.
    rows, columns : int64 arrays
        Image row (column) that stands at place p, stored at index p + h (p + w).
    cells : int64 array (m,)
        Cells wanted.
    out : array (m, h, w)
        Target.
    """
    visits = _visits(ranks, cells)
    for i in range(visits.size):
        k = visits[i]
        x, y = corners[cells[k], 0], corners[cells[k], 1]
        if interior[cells[k]]:
            next_x, next_y = _next_corner(corners, interior, cells, visits, i)
            _gather_whole(image, x, y, next_x, next_y, out[k])
        else:
            _gather_across(image, x, y, rows, columns, out[k])


@jit
def _add_whole(patch, weight, weighted, x, y, next_x, next_y, out):
    """Add a patch that lies inside the image, prefetching rows ahead."""
    h, w = patch.shape
    for j in range(h):
        ahead = j + ROWS_AHEAD
        if ahead < h:
            later = out[y + ahead, x : x + w]
        else:
            later = out[next_y + min(ahead - h, h - 1), next_x : next_x + w]
        for i in range(0, w, LINE):
            _prefetch(later, i)
        source, target = patch[j], out[y + j, x : x + w]
        if weighted:
            factor = weight[j]
            for i in range(w):
                target[i] += factor[i] * source[i]
        else:
            for i in range(w):
                target[i] += source[i]


@jit
def _add_across(patch, weight, weighted, x, y, rows, columns, out):
    """Add a patch that crosses an edge of the image."""
    h, w = patch.shape
    for j in range(h):
        whole = out[rows[y + h + j]]
        for i in range(w):
            value = patch[j, i]
            if weighted:
                value *= weight[j, i]
            whole[columns[x + w + i]] += value


@jit
def scatter_add(patches, weights, weighted, shared, corners, interior, ranks, rows, columns, cells, out):
    """Add patches to an image: the transpose of `gather`.

    Where patches overlap, they are added in the order in which they lie in the image.

    Parameters
    ----------
    patches : array (m, h, w)
        Source; patch k belongs to cell cells[k].
    weights : array (n, h, w) or (1, h, w)
        Factors by cell, or one for all where `shared`; not read unless `weighted`.
    weighted, shared : bool
        How `weights` is used.
    corners, interior, ranks, rows, columns, cells
        As in `gather`.
    out : array (ny, nx)
        Changed in place.
    """
    visits = _visits(ranks, cells)
    for i in range(visits.size):
        k = visits[i]
        x, y = corners[cells[k], 0], corners[cells[k], 1]
        weight = weights[0 if shared else cells[k]]
        if interior[cells[k]]:
            next_x, next_y = _next_corner(corners, interior, cells, visits, i)
            _add_whole(patches[k], weight, weighted, x, y, next_x, next_y, out)
        else:
            _add_across(patches[k], weight, weighted, x, y, rows, columns, out)
