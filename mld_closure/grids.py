"""Uniform two-dimensional pixel grids, and how many pixels one latent pixel stands for."""

from __future__ import annotations

from dataclasses import dataclass

LATENT_FACTOR = 8  # the encoder pools three times: one latent pixel stands for 8 x 8 pixels
FRAME_MULTIPLE = 32  # the evolution networks pool the latent grid twice more: 8 * 4


@dataclass(frozen=True)
class Grid:
    """A uniform grid of square pixels.

    Attributes
    ----------
    ny, nx : int
        Number of pixels along y and along x.
    pixel : float
        Side of a pixel [m].

    Raises
    ------
    ValueError
        Fewer than one pixel along an axis, or a pixel size that is not positive.
    """

    ny: int
    nx: int
    pixel: float

    def __post_init__(self) -> None:
        if self.ny < 1 or self.nx < 1:
            raise ValueError(f"a grid needs at least one pixel along each axis, got {self.ny} x {self.nx}")
        if not self.pixel > 0:
            raise ValueError(f"pixel size must be positive, got {self.pixel} m")

    @property
    def shape(self) -> tuple[int, int]:
        """(ny, nx) [pixels]."""
        return self.ny, self.nx

    @property
    def extent(self) -> tuple[float, float]:
        """Height and width [m]."""
        return self.ny * self.pixel, self.nx * self.pixel

    def blocks(self, fine: Grid) -> tuple[int, int]:
        """Return how many frames of the grid `fine` fit along y and along x of this grid.

        Raises
        ------
        ValueError
            The pixel sizes differ, or the frames do not cover this grid exactly.
        """
        if abs(fine.pixel - self.pixel) > 1e-6 * self.pixel:
            raise ValueError(f"pixel sizes differ: {self.pixel} m and {fine.pixel} m; resample one of them")
        if self.ny % fine.ny or self.nx % fine.nx:
            raise ValueError(f"{fine.ny} x {fine.nx} does not tile {self.ny} x {self.nx}")
        return self.ny // fine.ny, self.nx // fine.nx


def check_frame(ny: int, nx: int, multiple: int = FRAME_MULTIPLE) -> None:
    """Check that both sides of a frame (in pixels) are positive multiples of a number.

    Raises
    ------
    ValueError
        They are not; the message names a size that would fit.
    """
    if ny < 1 or nx < 1 or ny % multiple or nx % multiple:
        up = tuple(-(-max(n, 1) // multiple) * multiple for n in (ny, nx))
        raise ValueError(
            f"frame of {ny} x {nx} pixels: both sides must be multiples of {multiple}; "
            f"pad to {up[0]} x {up[1]} or crop"
        )


MICRO_SHAPE = (160, 256)
MESO_SHAPE = (320, 480)
WALL_SHAPE = (64, 160)  # halo and patch
WALL_MICRO_SHAPE = (32, 64)
