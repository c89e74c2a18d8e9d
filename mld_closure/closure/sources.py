"""Where the patches of cells come from: arrays given directly, or windows of a specimen; checked at once."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np

from ..errors import ClosureError, name_cells
from ..ids import mixed
from ..patches.plan import PatchPlan
from ..patches.specimen import Specimen, same_pixel

SLACK = 1e-6  # solid fractions may leave [0, 1] by so much
_CHUNK = 64  # patches looked at together


class DirectPatches:
    """Patches (n, ny, nx) given as one array, which is borrowed, not copied: leave it as it is."""

    def __init__(self, patches: Any) -> None:
        array = np.asarray(patches)
        if array.ndim != 3:
            raise ClosureError(f"patches of shape {array.shape}; expected (cells, ny, nx)")
        self._array = array
        self.count: int = len(array)
        self.shape: tuple[Any, ...] = array.shape[1:]

    def subset(self, numbers: np.ndarray) -> DirectPatches:
        """A source of some of the patches, which keeps nothing of the others."""
        return DirectPatches(self._array[numbers])

    def gather(self, numbers: np.ndarray) -> np.ndarray:
        """Patches (k, ny, nx), float32."""
        return self._array[numbers].astype(np.float32, copy=False)


class SpecimenPatches:
    """Windows of a specimen at offsets (n, 2) as (x, y) in m, cut by an index plan.

    Raises ValueError for offsets outside the specimen, unless it repeats.
    """

    def __init__(self, specimen: Specimen, offsets: Any, shape: tuple[int, int]) -> None:
        self.specimen = specimen
        self.offsets: np.ndarray = np.asarray(offsets, np.float64)
        self._plan = PatchPlan(specimen.shape, offsets, shape, specimen.edge, pixel=specimen.pixel)
        self.count: int = len(self._plan)
        self.shape: tuple[int, int] = shape

    def subset(self, numbers: np.ndarray) -> SpecimenPatches:
        """A source of some of the patches."""
        return SpecimenPatches(self.specimen, self.offsets[numbers], self.shape)

    def gather(self, numbers: np.ndarray) -> np.ndarray:
        """Patches (k, ny, nx), float32."""
        return self._plan.gather(self.specimen, cells=numbers)


def make_source(
    patches: Any,
    specimen: Specimen | None,
    offsets: Any,
    pixel: float | None,
    wanted_pixel: float,
    shape: tuple[int, int] | None,
) -> DirectPatches | SpecimenPatches:
    """The source a host describes: patches, or a specimen with offsets, of `shape` where that is known.

    Raises ClosureError for both or neither, and where pixel or shape are not those of the model.
    """
    if (patches is None) == (specimen is None):
        raise ClosureError("give either patches or a specimen with offsets")
    pixel = specimen.pixel if specimen is not None else pixel
    if pixel is not None and not same_pixel(pixel, wanted_pixel):
        raise ClosureError(
            f"pixels of {pixel:g} m, but the bundle was trained on {wanted_pixel:g} m; resample the "
            "microstructure or use another bundle"
        )
    if specimen is not None:
        if shape is None:
            raise ClosureError("a specimen needs the size of its patches: open with patch_shape=(ny, nx)")
        return SpecimenPatches(specimen, offsets, shape)
    source = DirectPatches(patches)
    if shape is not None and source.shape != tuple(shape):
        raise ClosureError(
            f"patches of {source.shape[0]} x {source.shape[1]} pixels; this closure serves "
            f"{shape[0]} x {shape[1]}"
        )
    return source


class Sources:
    """The patches of all registered cells, by row."""

    def __init__(self) -> None:
        self._sources: list[Any] = []
        self._source = np.empty(0, np.int32)
        self._number = np.empty(0, np.int64)

    def add(self, source: Any) -> None:
        """Add a source whose patches are the next rows."""
        self._source = np.append(self._source, np.full(source.count, len(self._sources), np.int32))
        self._number = np.append(self._number, np.arange(source.count))
        self._sources.append(source)

    def keep(self, rows: np.ndarray) -> None:
        """Forget all rows but these, and the patches that no row needs any more.

        A source of which no row is left is dropped; one of which less than half is left is cut down to that.
        """
        source, number = self._source[rows], self._number[rows]
        left = np.bincount(source, minlength=len(self._sources))
        kept = np.flatnonzero(left)
        new = np.zeros(len(self._sources), np.int32)
        new[kept] = np.arange(len(kept))
        for s in kept:
            if 2 * left[s] < self._sources[s].count:
                mine = source == s
                self._sources[s] = self._sources[s].subset(number[mine])
                number[mine] = np.arange(left[s])
        self._sources = [self._sources[s] for s in kept]
        self._source, self._number = new[source], number

    def gather(self, rows: np.ndarray) -> np.ndarray:
        """Patches (k, ny, nx), float32, of these rows."""
        which = self._source[rows]
        if len(rows) and (which == which[0]).all():
            return self._sources[which[0]].gather(self._number[rows])
        out = None
        for s in np.unique(which):
            part = self._sources[s].gather(self._number[rows[which == s]])
            out = np.empty((len(rows), *part.shape[1:]), np.float32) if out is None else out
            out[which == s] = part
        return out

    def origins(self, rows: np.ndarray) -> tuple[list[Specimen | None], np.ndarray, np.ndarray]:
        """Where the patches of these rows (k,) come from: the specimen of every source, None for patches
        given directly; the number (k,) of each row's source; and the offset (k, 2) in m of its patch in the
        specimen, NaN without one."""
        which, offsets = self._source[rows], np.full((len(rows), 2), np.nan)
        for s in np.unique(which):
            if isinstance(self._sources[s], SpecimenPatches):
                offsets[which == s] = self._sources[s].offsets[self._number[rows[which == s]]]
        return [getattr(source, "specimen", None) for source in self._sources], which, offsets

    def in_use(self, specimen: Specimen) -> bool:
        """Whether a row's patch is cut from this specimen."""
        return any(getattr(source, "specimen", None) is specimen for source in self._sources)

    def fingerprint(self, ids: np.ndarray) -> dict[str, int]:
        """CRC-32 of the patches of up to 64 cells, by id, from the ids (n,) of all rows: tells other patches
        from these. Which cells they are depends on the ids alone."""
        rows = chosen(ids)
        return {
            str(i): zlib.crc32(np.ascontiguousarray(self.gather(rows[k : k + 1])))
            for k, i in enumerate(ids[rows])
        }


def chosen(ids: np.ndarray) -> np.ndarray:
    """Places of up to 64 ids (n,) that stand for all, whatever their order."""
    return np.argsort(mixed(ids), kind="stable")[:_CHUNK]


def measure(source: DirectPatches | SpecimenPatches, ids: np.ndarray) -> np.ndarray:
    """Porosity (n,) of every patch; NaN (not known yet) for a specimen that is read or made by windows, since
    looking at all of it would cost more than most runs.

    ClosureError naming cells whose solid fraction is not within [0, 1].
    """
    porosity = np.full(source.count, np.nan)
    if isinstance(source, SpecimenPatches) and source.specimen.array is None:
        return porosity
    for first in range(0, source.count, _CHUNK):
        numbers = np.arange(first, min(first + _CHUNK, source.count))
        mu = source.gather(numbers)
        good = ((mu >= -SLACK) & (mu <= 1 + SLACK)).all(axis=(1, 2))
        if not good.all():
            bad = ids[numbers[~good]]
            raise ClosureError(f"patch of {name_cells(bad)} holds solid fractions outside [0, 1] or NaN", bad)
        porosity[numbers] = 1.0 - mu.mean(axis=(1, 2), dtype=np.float64)
    return porosity
