"""Uniform two-dimensional pixel grids and the block factors between macro, meso, micro and latent scales."""

from __future__ import annotations

from dataclasses import dataclass

LATENT_FACTOR = 8  # one latent pixel stands for LATENT_FACTOR x LATENT_FACTOR pixels (three poolings)
FRAME_MULTIPLE = 32  # the latent grid is pooled twice more, so frames are multiples of 8 * 4


@dataclass(frozen=True)
class Grid:
    """A uniform grid of ny x nx square pixels of side `pixel` (m)."""

    ny: int
    nx: int
    pixel: float

    def __post_init__(self) -> None:
        if self.ny < 1 or self.nx < 1:
            raise ValueError(f"grid needs at least one pixel each way, got {self.ny} x {self.nx}")
        if not self.pixel > 0:
            raise ValueError(f"pixel size must be positive, got {self.pixel} m")

    @property
    def shape(self) -> tuple[int, int]:
        """(ny, nx)."""
        return self.ny, self.nx

    @property
    def extent(self) -> tuple[float, float]:
        """Height and width in m."""
        return self.ny * self.pixel, self.nx * self.pixel

    @property
    def latent_shape(self) -> tuple[int, int]:
        """(ny, nx) of the latent grid; ValueError when the frame is no multiple of FRAME_MULTIPLE."""
        check_frame(self.ny, self.nx)
        return self.ny // LATENT_FACTOR, self.nx // LATENT_FACTOR

    def blocks(self, fine: Grid) -> tuple[int, int]:
        """How many frames `fine` tile this grid (down, across); ValueError if they do not tile it exactly."""
        if abs(fine.pixel - self.pixel) > 1e-6 * self.pixel:
            raise ValueError(f"pixel sizes differ: {self.pixel} m and {fine.pixel} m; resample one of them")
        if self.ny % fine.ny or self.nx % fine.nx:
            raise ValueError(f"{fine.ny} x {fine.nx} does not tile {self.ny} x {self.nx}")
        return self.ny // fine.ny, self.nx // fine.nx


def check_frame(ny: int, nx: int) -> None:
    """ValueError unless both sides are positive multiples of FRAME_MULTIPLE."""
    if ny < 1 or nx < 1 or ny % FRAME_MULTIPLE or nx % FRAME_MULTIPLE:
        up = tuple(-(-max(n, 1) // FRAME_MULTIPLE) * FRAME_MULTIPLE for n in (ny, nx))
        raise ValueError(
            f"frame of {ny} x {nx} pixels: both sides must be multiples of {FRAME_MULTIPLE}; "
            f"pad to {up[0]} x {up[1]} or crop"
        )


MICRO_SHAPE = (160, 256)
MESO_SHAPE = (320, 480)
WALL_SHAPE = (320, 608)  # halo and patch
