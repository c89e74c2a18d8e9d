"""A wide frame as overlapping tiles of the size that a network takes, and back, smoothly blended."""

from __future__ import annotations

import numpy as np

from mld_closure.patches.plan import PatchPlan


class Tiles:
    """Overlapping tiles of one shape that cover a frame, with weights that sum to 1 at every pixel.

    The weights fall smoothly over the overlaps; at the edges of the frame they stay at 1.

    Parameters
    ----------
    frame_shape, tile_shape : (int, int)
        (ny, nx) [pixels].
    overlap : int
        Smallest number of pixels that two neighbours share, along y and along x.
    multiple : int
        Tiles begin at multiples of this. With `grids.FRAME_MULTIPLE` the latents of a frame can be tiled like
        the frame (`coarsen`).

    Attributes
    ----------
    rows, columns : list of int
        First row (column) of each row (column) of tiles.
    weights : float32 array (n, h, w)
        Tiles are numbered along x first.
    plan : PatchPlan
        The places of the tiles.

    Raises
    ------
    ValueError
        The tiles cannot cover the frame.
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
        """Return the same tiles on a grid that is `factor` times coarser, for example on the latent grid.

        Raises
        ------
        ValueError
            A length is no multiple of `factor`.
        """
        lengths = (*self.frame_shape, *self.tile_shape, *self.rows, *self.columns)
        if any(n % factor for n in lengths):
            raise ValueError(
                f"tiles of {self.tile_shape} at {self.rows}, {self.columns} do not divide by {factor}; "
                f"pass multiple={factor} and use frames that are multiples of it"
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
        """Cut frames into tiles; `blend` is the inverse.

        Parameters
        ----------
        frames : array (..., ny, nx)
            float32 or float64, contiguous.
        out : array (n, ..., h, w), optional
            Where to write the tiles.

        Returns
        -------
        array (n, ..., h, w)
        """
        flat = _flat(frames, self.frame_shape)
        lead = frames.shape[:-2]
        if out is None:
            out = np.empty((len(self), *lead, *self.tile_shape), frames.dtype)
        tiles = _flat_tiles(out, len(self), lead, self.tile_shape)
        for c in range(len(flat)):
            self.plan.gather(flat[c], tiles[:, c])
        return out

    def blend(self, tiles: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Assemble frames from tiles: each pixel is the weighted mean of the tiles over it.

        Parameters
        ----------
        tiles : array (n, ..., h, w)
            float32 or float64, contiguous.
        out : array (..., ny, nx), optional
            Where to write the frames.

        Returns
        -------
        array (..., ny, nx)
        """
        lead = tiles.shape[1:-2]
        if out is None:
            out = np.empty((*lead, *self.frame_shape), tiles.dtype)
        flat, parts = _flat(out, self.frame_shape), _flat_tiles(tiles, len(self), lead, self.tile_shape)
        out[...] = 0
        for c in range(len(flat)):
            self.plan.scatter_add(parts[:, c], flat[c], weights=self.weights)
        return out


def _begins(n: int, tile: int, overlap: int, multiple: int) -> list[int]:
    """First pixels of the smallest number of evenly spread tiles that cover n pixels."""
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
    """Weights (tiles, tile) along one axis: ramps 3 t^2 - 2 t^3 over the overlaps; their sum is 1."""
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
    """Frames as (-1, ny, nx) without a copy."""
    if frames.shape[-2:] != shape:
        raise ValueError(f"frames must be (..., {shape[0]}, {shape[1]}), got {frames.shape}")
    return _view(frames, (-1, *shape))


def _flat_tiles(tiles: np.ndarray, n: int, lead: tuple[int, ...], shape: tuple[int, int]) -> np.ndarray:
    """Tiles as (n, -1, h, w) without a copy."""
    if tiles.shape != (n, *lead, *shape):
        raise ValueError(f"tiles must be {(n, *lead, *shape)}, got {tiles.shape}")
    return _view(tiles, (n, -1, *shape))


def _view(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The array in another shape without a copy; ValueError if it is not contiguous."""
    if not array.flags.c_contiguous:
        raise ValueError(f"array of {array.shape} must be contiguous; pass numpy.ascontiguousarray of it")
    return array.reshape(shape)
