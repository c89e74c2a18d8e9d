"""A tiled rollout on several ranks: each takes some of the tiles, all have the whole image after a step."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..surrogate.tiled import TiledRollout
from .placement import spread


def tiled_rollout(
    model: Any,
    frame_shape: tuple[int, int],
    tile_shape: tuple[int, int],
    overlap: int,
    *,
    comm: Any = None,
    device: str = "cpu",
) -> TiledRollout:
    """A `TiledRollout` whose tiles are spread over the ranks of a communicator; its calls are collective.

    Arguments as there. The result has the same bits on any number of ranks, which may exceed that of tiles.
    """
    whole = TiledRollout(model, frame_shape, tile_shape, overlap, device=device)
    if comm is None or comm.size == 1:
        return whole
    count = len(whole.numbers)
    mine = np.flatnonzero(spread(count, comm.size) == comm.rank)

    def gather(numbers: np.ndarray, results: np.ndarray) -> np.ndarray:
        parts = [part for part in comm.allgather(results) if len(part)]
        return np.concatenate(parts)  # ranks hold rising numbers

    return TiledRollout(model, frame_shape, tile_shape, overlap, device=device, tiles=mine, gather=gather)
