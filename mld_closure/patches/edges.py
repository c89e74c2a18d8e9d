"""Pixels beyond the edge of an image: mirrored ("reflect", edge pixel not repeated) or periodic ("wrap")."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

EDGES = ("reflect", "wrap")


def check_edge(edge: str) -> str:
    """Return `edge`; ValueError unless it is one of `EDGES`."""
    if edge not in EDGES:
        raise ValueError(f"unknown edge rule '{edge}'; known: {', '.join(EDGES)}")
    return edge


def source_indices(start: int, count: int, n: int, edge: str) -> np.ndarray:
    """Return which pixel of the image stands at each place along one axis, beyond the edges too.

    The rules are those of `numpy.pad` with the modes "reflect" and "wrap", at any distance from the image.

    Parameters
    ----------
    start, count : int
        The places start ... start + count - 1; 0 is the first pixel of the image.
    n : int
        Number of pixels of the image along this axis.
    edge : {"reflect", "wrap"}
        What stands beyond the edge.

    Returns
    -------
    int64 array (count,)
        Pixel numbers, 0 to n - 1.
    """
    places = np.arange(start, start + count, dtype=np.int64)
    if edge == "wrap":
        return places % n
    period = 2 * max(n - 1, 1)
    folded = places % period
    return np.minimum(np.minimum(folded, period - folded), n - 1)


def runs(start: int, count: int, n: int, edge: str) -> Iterator[tuple[slice, int, int, bool]]:
    """Give the map of `source_indices` as contiguous pieces.

    Parameters
    ----------
    start, count, n, edge
        As in `source_indices`.

    Yields
    ------
    (slice, int, int, bool)
        Places relative to `start`, first source pixel, length, and whether the piece is in reversed order.
    """
    length = n if edge == "wrap" else max(n - 1, 1)
    place = start
    while place < start + count:
        copy = place // length
        end = min((copy + 1) * length, start + count)
        turned = edge == "reflect" and copy % 2 == 1
        offset, size = place - copy * length, end - place
        first = n - offset - size if turned else offset
        yield slice(place - start, end - start), first, size, turned
        place = end
