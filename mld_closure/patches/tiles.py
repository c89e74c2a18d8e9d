"""A wide frame as overlapping tiles of one model frame, and back, blended smoothly."""

from __future__ import annotations

import numpy as np

from mld_closure.patches.plan import PatchPlan


class Tiles:
    """Overlapping tiles of equal shape that cover a frame, with weights that sum to 1 everywhere.

    frame_shape, tile_shape: (ny, nx) in pixels. overlap: least number of pixels two neighbours share, across
    y and across x alike. multiple: tiles begin at multiples of this, e.g. grids.FRAME_MULTIPLE, so that the
    latents of a frame can be tiled as the frame is (`coarsen`). The frame's edges are never ramped.

    rows, columns: first row (column) of each row (column) of tiles; weights: (n, h, w), float32, tiles
    numbered along x first; `plan` is their PatchPlan. Raises ValueError where tiles cannot cover the frame.
    """

    def __init__(
        self,
        frame_shape: tuple[int, int],
        tile_shape: tuple[int, int],
        overlap: int,
        *,
        multiple: int = 1,
    ) -> None:
        rows, columns = (
            _begins(n, tile, overlap, multiple) for n, tile in zip(frame_shape, tile_shape, strict=True)
        )
        self._lay(frame_shape, tile_shape, rows, columns)

    def _lay(
        self, frame: tuple[int, int], tile: tuple[int, int], rows: list[int], columns: list[int]
    ) -> None:
        self.frame_shape: tuple[int, int] = (frame[0], frame[1])
        self.tile_shape: tuple[int, int] = (tile[0], tile[1])
        self.rows: list[int] = rows
        self.columns: list[int] = columns
        self.plan: PatchPlan = PatchPlan(frame, [(x, y) for y in rows for x in columns], tile)
        down, across = _weights(rows, tile[0], frame[0]), _weights(columns, tile[1], frame[1])
        weights = down[:, None, :, None] * across[None, :, None, :]  # (rows, columns, h, w)
        self.weights: np.ndarray = weights.reshape(-1, *tile).astype(np.float32)  # (n, h, w)

    def __len__(self) -> int:
        return len(self.plan)

    def coarsen(self, factor: int) -> Tiles:
        """The same tiles on a grid `factor` times coarser, as the latents of these tiles need."""
        lengths = (*self.frame_shape, *self.tile_shape, *self.rows, *self.columns)
        if any(n % factor for n in lengths):
            raise ValueError(
                f"tiles of {self.tile_shape} at {self.rows}, {self.columns} do not divide by {factor}; "
                f"give multiple={factor} and frames that are multiples of it"
            )
        coarse = object.__new__(Tiles)
        coarse._lay(
            tuple(n // factor for n in self.frame_shape),
            tuple(n // factor for n in self.tile_shape),
            [n // factor for n in self.rows],
            [n // factor for n in self.columns],
        )
        return coarse

    def split(self, frames: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Tiles (n, ..., h, w) of frames (..., ny, nx), float32 or float64; the inverse of `blend`."""
        flat = _flat(frames, self.frame_shape)
        lead = frames.shape[:-2]
        if out is None:
            out = np.empty((len(self), *lead, *self.tile_shape), frames.dtype)
        tiles = _flat_tiles(out, len(self), lead, self.tile_shape)
        for c in range(len(flat)):
            self.plan.gather(flat[c], tiles[:, c])
        return out

    def blend(self, tiles: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Frames (..., ny, nx) whose pixels are the weighted means of the tiles (n, ..., h, w) over them."""
        lead = tiles.shape[1:-2]
        if out is None:
            out = np.empty((*lead, *self.frame_shape), tiles.dtype)
        flat, parts = _flat(out, self.frame_shape), _flat_tiles(tiles, len(self), lead, self.tile_shape)
        out[...] = 0
        for c in range(len(flat)):
            self.plan.scatter_add(parts[:, c], flat[c], weights=self.weights)
        return out


def _begins(n: int, tile: int, overlap: int, multiple: int) -> list[int]:
    """First pixels of the fewest, evenly spread tiles that cover n pixels."""
    if n < tile:
        raise ValueError(f"frame of {n} pixels is smaller than a tile of {tile}: pad it or use smaller tiles")
    if n == tile:
        return [0]
    if multiple < 1 or not 0 <= overlap <= tile - multiple:
        raise ValueError(
            f"overlap must be 0 to {tile - multiple} for tiles of {tile} pixels at multiples of {multiple}, "
            f"got {overlap}"
        )
    if (n - tile) % multiple:
        raise ValueError(
            f"frame of {n} and tile of {tile} pixels must differ by a multiple of {multiple}; "
            f"pad the frame to {tile + -(-(n - tile) // multiple) * multiple}"
        )
    steps, longest = (n - tile) // multiple, (tile - overlap) // multiple
    count = -(-steps // longest)
    return [k * steps // count * multiple for k in range(count + 1)]


def _weights(begins: list[int], tile: int, n: int) -> np.ndarray:
    """Weights (tiles, tile) along one axis: smooth ramps 3 t^2 - 2 t^3 over the overlaps, sum 1 at all n."""
    places = np.arange(tile) + 0.5
    weights = np.ones((len(begins), tile))
    for k in range(1, len(begins)):
        shared = begins[k - 1] + tile - begins[k]
        if shared:
            t = np.minimum(places / shared, 1.0)
            ramp = t * t * (3 - 2 * t)
            weights[k] *= ramp
            weights[k - 1] *= ramp[::-1]
    total = np.zeros(n)
    for begin, weight in zip(begins, weights, strict=True):
        total[begin : begin + tile] += weight
    return np.stack([weight / total[b : b + tile] for b, weight in zip(begins, weights, strict=True)])


def _flat(frames: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    if frames.shape[-2:] != shape:
        raise ValueError(f"frames must be (..., {shape[0]}, {shape[1]}), got {frames.shape}")
    return _view(frames, (-1, *shape))


def _flat_tiles(tiles: np.ndarray, n: int, lead: tuple[int, ...], shape: tuple[int, int]) -> np.ndarray:
    if tiles.shape != (n, *lead, *shape):
        raise ValueError(f"tiles must be {(n, *lead, *shape)}, got {tiles.shape}")
    return _view(tiles, (n, -1, *shape))


def _view(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if not array.flags.c_contiguous:
        raise ValueError(f"array of {array.shape} must be contiguous; pass numpy.ascontiguousarray of it")
    return array.reshape(shape)
