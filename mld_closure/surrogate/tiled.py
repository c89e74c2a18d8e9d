"""A specimen wider than one model frame: its latents evolve tile by tile and are blended after every step.

The whole specimen has one latent image. A model step cuts it into overlapping tiles, advances each, and takes
weighted means where tiles overlap (partition of unity), so that what leaves one tile enters the next. Tiles
are worked on one at a time, so a tile's numbers depend on nothing but itself.
Why blend latents: decoding and encoding again at each step would lose the sub-grid state.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from ..grids import LATENT_FACTOR
from ..models.dynamics import Latent, LatentDynamics
from ..patches.tiles import Tiles

Gather = Callable[[np.ndarray, np.ndarray], np.ndarray]


class TiledRollout:
    """Encodes, advances and decodes frames (field, ny, nx), scaled to [0, 1], by tiles of one model frame.

    overlap: least number of pixels that neighbouring tiles share. tiles: the numbers of those worked on here,
    all by default; gather(numbers, results (k, ...)) then returns the results of all tiles, in their order.
    Raises ValueError where tiles cannot cover the frame.
    """

    def __init__(
        self,
        model: LatentDynamics,
        frame_shape: tuple[int, int],
        tile_shape: tuple[int, int],
        overlap: int,
        *,
        device: str = "cpu",
        tiles: np.ndarray | None = None,
        gather: Gather | None = None,
    ) -> None:
        self.model: LatentDynamics = model
        self.device: torch.device = torch.device(device)
        self.pixels: Tiles = Tiles(frame_shape, tile_shape, overlap, multiple=LATENT_FACTOR)
        self.latents: Tiles = self.pixels.coarsen(LATENT_FACTOR)
        self.numbers: np.ndarray = np.arange(len(self.pixels)) if tiles is None else np.asarray(tiles)
        self._gather = gather or (lambda numbers, results: results)

    def encode(self, frame: np.ndarray) -> np.ndarray:
        """Latent image (2 channel, ny/8, nx/8), means and log-variances, of a frame (field, ny, nx)."""

        def work(tile: torch.Tensor) -> torch.Tensor:
            return torch.cat(self.model.encode(tile), dim=1)

        return self._by_tiles(self.pixels, self.latents, np.ascontiguousarray(frame, np.float32), work)

    def advance(self, latent: np.ndarray, load: float) -> np.ndarray:
        """The latent image one frame later, under a piston speed (m/s)."""
        scaled = torch.tensor([self.model.config.scale_load(load)], dtype=torch.float32, device=self.device)

        def work(tile: torch.Tensor) -> torch.Tensor:
            mean, logvar = tile.chunk(2, dim=1)
            return torch.cat(self.model.advance(Latent(mean, logvar), scaled), dim=1)

        return self._by_tiles(self.latents, self.latents, latent, work)

    def decode(self, latent: np.ndarray, fields: Sequence[str] | None = None) -> np.ndarray:
        """The frame (field, ny, nx) of a latent image, of all fields or those named."""

        def work(tile: torch.Tensor) -> torch.Tensor:
            return self.model.decode(Latent(*tile.chunk(2, dim=1)), fields)

        return self._by_tiles(self.latents, self.pixels, latent, work)

    def rollout(
        self, frame: np.ndarray, steps: int, load: float, fields: Sequence[str] | None = None
    ) -> np.ndarray:
        """Frames (steps, field, ny, nx) that follow a frame under a piston speed (m/s)."""
        latent, frames = self.encode(frame), []
        for _ in range(steps):
            latent = self.advance(latent, load)
            frames.append(self.decode(latent, fields))
        return np.stack(frames)

    def _by_tiles(
        self, source: Tiles, target: Tiles, image: np.ndarray, work: Callable[[torch.Tensor], torch.Tensor]
    ) -> np.ndarray:
        cut = source.split(image)[self.numbers]  # (k, channel, h, w)
        with torch.inference_mode():
            done = [work(torch.from_numpy(tile[None]).to(self.device))[0].cpu().numpy() for tile in cut]
        channels = 0 if not done else done[0].shape[0]
        results = np.stack(done) if done else np.empty((0, channels, *target.tile_shape), np.float32)
        return target.blend(np.ascontiguousarray(self._gather(self.numbers, results), np.float32))
