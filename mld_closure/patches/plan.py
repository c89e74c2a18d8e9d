"""Patches of one image for many cells: where they lie is worked out once, then they are copied often."""

from __future__ import annotations

from typing import Any

import numpy as np

from mld_closure.patches import kernels
from mld_closure.patches.edges import check_edge, source_indices
from mld_closure.patches.specimen import Specimen, same_pixel

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


class PatchPlan:
    """The places of n patches of equal shape in an image, one a cell.

    image_shape: (ny, nx) in pixels. offsets: (n, 2), the x and y of each patch's corner of least x and y, in
    pixels (whole numbers) or, where `pixel` (m) is given, in m, taken to the nearest pixel. patch_shape:
    (h, w) in pixels. edge: what stands beyond the image, "reflect" or "wrap" as in `numpy.pad`. Under
    "reflect" a patch must touch the image.

    `gather` and `scatter_add` are transposes of each other: <gather(x), y> = <x, scatter_add(y)>.

    Raises ValueError for shapes, offsets and edges that make no sense, and for an image smaller than a patch.
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
        """Copy patches out of an image; given `out` (and integer `cells`), only their order is allocated.

        image: (ny, nx) array or memory map of real numbers, or a Specimen. cells: (m,) numbers of the cells
        wanted, all n by default. out: (m, h, w), float32 or float64, rows contiguous; made as float32 by
        default. Returns out. Raises ValueError for wrong shapes, types, cells or specimens.
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
            kernels.gather(
                image, self.offsets, self.interior, self._ranks, self._rows, self._columns, cells, out
            )
        return out

    def scatter_add(
        self, patches: np.ndarray, out: np.ndarray, weights: np.ndarray | None = None, cells: Any = None
    ) -> np.ndarray:
        """Add patches to an image where `gather` takes them from: out += sum of weight * patch. Returns out.

        patches: (m, h, w); out: (ny, nx), changed in place; both float32 or float64. weights: none, (h, w)
        for all, or (n, h, w) by cell (also where only some `cells` are added). cells: (m,) as in `gather`.
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
            kernels.scatter_add(
                patches, weights, weighted, shared, self.offsets, self.interior, self._ranks, self._rows,
                self._columns, cells, out,
            )  # fmt: skip
        return out

    def partition_of_unity(self, window: np.ndarray | None = None) -> np.ndarray:
        """Weights (n, h, w), float32, with which overlapping patches sum to 1 wherever a patch lies.

        window: (h, w) positive weights before normalisation, ones by default. Takes an image of float64.
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
        if cells is None:
            return self._all
        cells = np.asarray(cells)
        if cells.size == 0:
            return self._all[:0]
        if cells.ndim != 1 or cells.dtype.kind not in "iu":
            raise ValueError(f"cells must be a list of whole numbers, got {cells.dtype} {cells.shape}")
        cells = cells.astype(np.int64, copy=False)
        wrong = kernels.first_outside(cells, len(self))
        if wrong >= 0:
            raise ValueError(f"cell {cells[wrong]} at place {wrong}: the plan has cells 0 to {len(self) - 1}")
        return cells

    def _check_specimen(self, specimen: Specimen) -> None:
        if specimen.shape != self.image_shape:
            raise ValueError(f"specimen is {specimen.shape}, the plan was made for {self.image_shape}")
        if self.pixel is not None and not same_pixel(specimen.pixel, self.pixel):
            raise ValueError(
                f"specimen has pixels of {specimen.pixel:g} m, the plan {self.pixel:g} m: more than 0.1 % "
                f"apart; resample the specimen"
            )

    def _gather_windows(self, specimen: Specimen, out: np.ndarray, cells: np.ndarray) -> None:
        h, w = self.patch_shape
        for k, cell in enumerate(cells):
            x, y = self.offsets[cell]
            out[k] = specimen.window(int(x), int(y), w, h, edge=self.edge)


def _shape(name: str, shape: tuple[int, int]) -> tuple[int, int]:
    if len(shape) != 2 or min(shape) < 1:
        raise ValueError(f"{name} must be (ny, nx) with at least one pixel each way, got {tuple(shape)}")
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
            f"offset {tuple(given[wrong].tolist())} of cell {wrong} is no whole number of pixels; "
            f"give pixel= where offsets are in m"
        )
    return corners


def _check_touching(corners: np.ndarray, image: tuple[int, int], patch: tuple[int, int]) -> None:
    low, high = (-patch[1], -patch[0]), (image[1], image[0])
    outside = ((corners <= low) | (corners >= high)).any(axis=1)
    if outside.any():
        k = int(outside.argmax())
        raise ValueError(
            f"patch of cell {k} at (x, y) = {tuple(corners[k].tolist())} px lies outside the image of "
            f"{image[0]} x {image[1]}: move it, or repeat the image with edge='wrap'"
        )


def _check_array(name: str, array: np.ndarray, shape: tuple[int, ...]) -> None:
    if array.shape != shape or array.dtype not in FLOATS:
        raise ValueError(
            f"{name} must be {shape} of float32 or float64, got {array.shape} of {array.dtype.name}"
        )
    if name == "out" and not array.flags.writeable:
        raise ValueError("out is read-only; give an array that may be written")


def _check_image(image: np.ndarray, shape: tuple[int, int]) -> None:
    if image.shape != shape:
        raise ValueError(f"image is {image.shape}, the plan was made for {shape}")
    if image.dtype.kind not in "biu" and image.dtype.newbyteorder("=") not in FLOATS:
        raise ValueError(f"image holds {image.dtype.name}; give whole numbers, float32 or float64")
    if not image.dtype.isnative:
        raise ValueError(f"image holds {image.dtype.str} in foreign byte order; store it as float32")
