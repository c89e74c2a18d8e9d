"""What lies beyond the edge of an image: its reflection (edge pixel not repeated) or its periodic copy."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

EDGES = ("reflect", "wrap")


def check_edge(edge: str) -> str:
    """`edge` itself; ValueError unless it is one of EDGES."""
    if edge not in EDGES:
        raise ValueError(f"unknown edge rule '{edge}'; known: {', '.join(EDGES)}")
    return edge


def source_indices(start: int, count: int, n: int, edge: str) -> np.ndarray:
    """Which of n pixels stands at the places start .. start + count - 1, as (count,) int64.

    The rules are those of `numpy.pad`, modes "reflect" and "wrap", and hold at any distance.
    """
    places = np.arange(start, start + count, dtype=np.int64)
    if edge == "wrap":
        return places % n
    period = 2 * max(n - 1, 1)
    folded = places % period
    return np.minimum(np.minimum(folded, period - folded), n - 1)


def runs(start: int, count: int, n: int, edge: str) -> Iterator[tuple[slice, int, int, bool]]:
    """The same map as contiguous pieces: (target slice, first source pixel, length, whether turned round)."""
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
