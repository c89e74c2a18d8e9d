"""Patches of one image for many cells: their places are computed once, then patches are copied many times.

Why: the kernels, and with them numba, are loaded when patches are copied, so that a host that gives patches
directly need not hold them in memory.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mld_closure.patches.edges import check_edge, source_indices
from mld_closure.patches.specimen import Specimen, same_pixel

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


class PatchPlan:
    """The places of n patches of one shape in an image, one patch per cell.

    `gather` and `scatter_add` are transposes of each other: <gather(x), y> = <x, scatter_add(y)>.

    Parameters
    ----------
    image_shape : (int, int)
        (ny, nx) [pixels].
    offsets : array (n, 2)
        x and y of the corner with the smallest x and y of each patch, in whole pixels; or in m if `pixel` is
        given, then rounded to the nearest pixel.
    patch_shape : (int, int)
        (h, w) [pixels].
    edge : {"reflect", "wrap"}
        What stands beyond the edge of the image, as in `numpy.pad`. With "reflect" a patch must overlap the
        image.
    pixel : float, optional
        Side of a pixel [m].

    Raises
    ------
    ValueError
        Impossible shapes, offsets or edge rule, or an image that is smaller than a patch.
    """

    def __init__(
        self,
        image_shape: tuple[int, int],
        offsets: Any,
        patch_shape: tuple[int, int],
        edge: str = "reflect",
        *,
        pixel: float | None = None,
    ) -> None:
        self.image_shape: tuple[int, int] = _shape("image_shape", image_shape)
        self.patch_shape: tuple[int, int] = _shape("patch_shape", patch_shape)
        self.edge: str = check_edge(edge)
        self.pixel = pixel
        (ny, nx), (h, w) = self.image_shape, self.patch_shape
        if h > ny or w > nx:
            raise ValueError(
                f"image of {ny} x {nx} pixels is smaller than a patch of {h} x {w}: "
                f"take a larger specimen or a smaller patch"
            )
        corners = _pixels(offsets, pixel)
        if edge == "wrap":
            corners %= (nx, ny)
        else:
            _check_touching(corners, self.image_shape, self.patch_shape)
        x, y = corners[:, 0], corners[:, 1]
        self.offsets = corners
        self.interior: np.ndarray = (x >= 0) & (y >= 0) & (x + w <= nx) & (y + h <= ny)
        self._ranks = np.empty(len(corners), np.int64)
        self._ranks[np.lexsort((x, y))] = np.arange(len(corners))
        self._rows = source_indices(-h, ny + 2 * h, ny, edge)
        self._columns = source_indices(-w, nx + 2 * w, nx, edge)
        self._all = np.arange(len(corners))
        self._no_weights = np.zeros((1, 1, 1), np.float32)

    def __len__(self) -> int:
        return len(self.offsets)

    def gather(self, image: Any, out: np.ndarray | None = None, cells: Any = None) -> np.ndarray:
        """Copy patches out of an image.

        Parameters
        ----------
        image : array (ny, nx) or Specimen
            Real numbers; may be a memory map.
        out : array (m, h, w), optional
            float32 or float64, with contiguous rows. Allocated as float32 by default; if it is given, almost
            nothing is allocated.
        cells : int array (m,), optional
            Numbers of the cells wanted; all n by default.

        Returns
        -------
        array (m, h, w)
            `out`, with patch k of cell cells[k].

        Raises
        ------
        ValueError
            Wrong shapes, types or cell numbers, or a specimen that does not fit this plan.
        """
        cells = self._cells(cells)
        shape = (len(cells), *self.patch_shape)
        if out is None:
            out = np.empty(shape, np.float32)
        _check_array("out", out, shape)
        if isinstance(image, Specimen):
            self._check_specimen(image)
            if image.array is None:
                self._gather_windows(image, out, cells)
                return out
            image = image.array
        image = np.asarray(image)
        _check_image(image, self.image_shape)
        if len(cells):
            from mld_closure.patches import kernels

            kernels.gather(
                image, self.offsets, self.interior, self._ranks, self._rows, self._columns, cells, out
            )
        return out

    def scatter_add(
        self, patches: np.ndarray, out: np.ndarray, weights: np.ndarray | None = None, cells: Any = None
    ) -> np.ndarray:
        """Add patches to an image at the places from which `gather` takes them: out += weight * patch.

        Parameters
        ----------
        patches : array (m, h, w)
            float32 or float64.
        out : array (ny, nx)
            float32 or float64; changed in place.
        weights : array (h, w) or (n, h, w), optional
            Factors for all cells, or by cell (for all n cells also where `cells` is given).
        cells : int array (m,), optional
            Cells to which the patches belong; all n by default.

        Returns
        -------
        array (ny, nx)
            `out`.

        Raises
        ------
        ValueError
            Wrong shapes, types or cell numbers.
        """
        cells = self._cells(cells)
        _check_array("patches", patches, (len(cells), *self.patch_shape))
        _check_array("out", out, self.image_shape)
        shared, weighted = True, weights is not None
        if weights is None:
            weights = self._no_weights
        else:
            shared = weights.ndim == 2
            _check_array("weights", weights, self.patch_shape if shared else (len(self), *self.patch_shape))
            weights = weights.reshape(-1, *self.patch_shape)
        if len(cells):
            from mld_closure.patches import kernels

            kernels.scatter_add(
                patches, weights, weighted, shared, self.offsets, self.interior, self._ranks, self._rows,
                self._columns, cells, out,
            )  # fmt: skip
        return out

    def partition_of_unity(self, window: np.ndarray | None = None) -> np.ndarray:
        """Return weights with which overlapping patches sum to 1 wherever there is a patch.

        Needs memory for one float64 image.

        Parameters
        ----------
        window : array (h, w), optional
            Positive weights before they are normalised; ones by default.

        Returns
        -------
        float32 array (n, h, w)

        Raises
        ------
        ValueError
            A window of another shape, or with values that are not positive.
        """
        window = np.ones(self.patch_shape) if window is None else np.asarray(window, float)
        if window.shape != self.patch_shape or not window.min() > 0:
            raise ValueError(f"window must be {self.patch_shape} and positive, got {window.shape}")
        total = np.zeros(self.image_shape)
        for k in self._all:
            self.scatter_add(window[None], total, cells=self._all[k : k + 1])
        weights = self.gather(np.divide(1.0, total, out=total, where=total > 0))
        weights *= window.astype(np.float32)
        return weights

    def _cells(self, cells: Any) -> np.ndarray:
        """Checked cell numbers as int64; all cells for None."""
        if cells is None:
            return self._all
        cells = np.asarray(cells)
        if cells.size == 0:
            return self._all[:0]
        if cells.ndim != 1 or cells.dtype.kind not in "iu":
            raise ValueError(f"cells must be a list of integers, got {cells.dtype} {cells.shape}")
        cells = cells.astype(np.int64, copy=False)
        from mld_closure.patches import kernels

        wrong = kernels.first_outside(cells, len(self))
        if wrong >= 0:
            raise ValueError(f"cell {cells[wrong]} at place {wrong}: the plan has cells 0 to {len(self) - 1}")
        return cells

    def _check_specimen(self, specimen: Specimen) -> None:
        """Raise ValueError for a specimen of another shape or pixel size."""
        if specimen.shape != self.image_shape:
            raise ValueError(f"specimen is {specimen.shape}, the plan was made for {self.image_shape}")
        if self.pixel is not None and not same_pixel(specimen.pixel, self.pixel):
            raise ValueError(
                f"specimen has pixels of {specimen.pixel:g} m, the plan {self.pixel:g} m: more than 0.1 % "
                f"apart; resample the specimen"
            )

    def _gather_windows(self, specimen: Specimen, out: np.ndarray, cells: np.ndarray) -> None:
        """Copy patches of a specimen that is generated on demand."""
        h, w = self.patch_shape
        for k, cell in enumerate(cells):
            x, y = self.offsets[cell]
            out[k] = specimen.window(int(x), int(y), w, h, edge=self.edge)


def _shape(name: str, shape: tuple[int, int]) -> tuple[int, int]:
    """`shape` as two ints; ValueError unless it has two positive entries."""
    if len(shape) != 2 or min(shape) < 1:
        raise ValueError(f"{name} must be (ny, nx) with at least one pixel each, got {tuple(shape)}")
    return int(shape[0]), int(shape[1])


def _pixels(offsets: Any, pixel: float | None) -> np.ndarray:
    """Offsets as a new (n, 2) int64 array of pixels."""
    given = np.asarray(offsets)
    if given.size == 0:
        return np.zeros((0, 2), np.int64)
    if given.ndim != 2 or given.shape[1] != 2:
        raise ValueError(f"offsets must be (n, 2) as (x, y), got {given.shape}")
    if not np.isfinite(given).all():
        raise ValueError(f"offset of cell {int((~np.isfinite(given)).any(axis=1).argmax())} is not finite")
    if pixel is not None:
        if not pixel > 0:
            raise ValueError(f"pixel size must be positive, got {pixel} m")
        return np.rint(given / pixel).astype(np.int64)
    corners = np.rint(given).astype(np.int64)
    if (corners != given).any():
        wrong = int((corners != given).any(axis=1).argmax())
        raise ValueError(
            f"offset {tuple(given[wrong].tolist())} of cell {wrong} is not a whole number of pixels; "
            f"pass pixel= if the offsets are in m"
        )
    return corners


def _check_touching(corners: np.ndarray, image: tuple[int, int], patch: tuple[int, int]) -> None:
    """Raise ValueError for a patch that does not overlap the image."""
    low, high = (-patch[1], -patch[0]), (image[1], image[0])
    outside = ((corners <= low) | (corners >= high)).any(axis=1)
    if outside.any():
        k = int(outside.argmax())
        raise ValueError(
            f"patch of cell {k} at (x, y) = {tuple(corners[k].tolist())} px lies outside the image of "
            f"{image[0]} x {image[1]}: move it, or make the image periodic with edge='wrap'"
        )


def _check_array(name: str, array: np.ndarray, shape: tuple[int, ...]) -> None:
    """Raise ValueError for a wrong shape or type, or a target that is read-only."""
    if array.shape != shape or array.dtype not in FLOATS:
        raise ValueError(
            f"{name} must be {shape} of float32 or float64, got {array.shape} of {array.dtype.name}"
        )
    if name == "out" and not array.flags.writeable:
        raise ValueError("out is read-only; pass a writable array")


def _check_image(image: np.ndarray, shape: tuple[int, int]) -> None:
    """Raise ValueError for an image of wrong shape, type or byte order."""
    if image.shape != shape:
        raise ValueError(f"image is {image.shape}, the plan was made for {shape}")
    if image.dtype.kind not in "biu" and image.dtype.newbyteorder("=") not in FLOATS:
        raise ValueError(f"image holds {image.dtype.name}; it must hold integers, float32 or float64")
    if not image.dtype.isnative:
        raise ValueError(f"image holds {image.dtype.str} in non-native byte order; store it as float32")
