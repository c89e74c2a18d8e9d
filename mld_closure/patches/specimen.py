"""The microstructure of a whole sample, as an image of solid fraction that need not fit in memory.

Why: every source is read by windows, so a generated sample, a file and an array look the same to a plan.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mld_closure.patches.edges import check_edge, runs
from mld_closure.patches.voids import VoidPlane, VoidRules

PIXEL_TOLERANCE = 1e-3
BOUND_TOLERANCE = 1e-6  # how far beyond 0 and 1 stored solid fractions may lie
CHUNK_CACHE = 64 * 2**20  # bytes of an HDF5 file kept unpacked
GREY_MODES = {"1": 1, "L": 255, "I;16": 65535, "F": 1}  # Pillow's names, and the value of solid

Reader = Callable[[int, int, int, int], Any]


def same_pixel(a: float, b: float) -> bool:
    """Whether two pixel sizes agree within 0.1 %."""
    return abs(a - b) <= PIXEL_TOLERANCE * abs(b)


class Specimen:
    """Solid fraction mu of a sample, 1 solid and 0 void, read window by window.

    Made by `generate`, `open` or `from_array`. shape: (ny, nx) in pixels; pixel: side in m; edge: what a
    window shows beyond the sample unless it says otherwise, "reflect" or "wrap" as in `numpy.pad`; array: the
    whole image where it lies in memory, else None. Usable as a context; `close` lets go of the file.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        pixel: float,
        read: Reader,
        *,
        edge: str = "reflect",
        array: np.ndarray | None = None,
        close: Callable[[], None] | None = None,
    ) -> None:
        if len(shape) != 2 or min(shape) < 1:
            raise ValueError(f"a specimen is an image (ny, nx) of at least one pixel, got {tuple(shape)}")
        if not pixel > 0:
            raise ValueError(f"pixel size must be positive, got {pixel} m")
        self.shape, self.pixel = (int(shape[0]), int(shape[1])), float(pixel)
        self.edge, self.array = check_edge(edge), array
        self._read, self._close = read, close

    @classmethod
    def generate(
        cls,
        shape: tuple[int, int],
        pixel: float,
        seed: int,
        *,
        porosity: float = 0.10,
        rules: VoidRules | None = None,
        edge: str = "reflect",
    ) -> Specimen:
        """A sample of randomly placed elliptic voids, made where it is looked at and never kept whole.

        shape: (ny, nx) in pixels of side `pixel` (m). Equal seed, porosity and rules give equal voids at
        any shape and pixel size. Raises ValueError for values out of range (see VoidPlane).
        """
        plane = VoidPlane(seed, porosity, rules)
        return cls(
            shape, pixel, lambda x, y, nx, ny: plane.solid_fraction(x, y, nx, ny, float(pixel)), edge=edge
        )

    @classmethod
    def from_array(cls, mu: Any, pixel: float, *, edge: str = "reflect") -> Specimen:
        """A sample held in an array (ny, nx) of solid fractions; memory maps are read lazily."""
        array, in_memory = np.asarray(mu), not isinstance(mu, np.memmap)
        if in_memory and array.dtype in (np.bool_, np.float16):
            array = array.astype(np.float32)
        if in_memory and array.ndim == 2 and array.size:
            _check_values(array, "the array")
        return cls(
            array.shape,
            pixel,
            lambda x, y, nx, ny: array[y : y + ny, x : x + nx],
            edge=edge,
            array=array if in_memory else None,
        )

    @classmethod
    def open(
        cls,
        path: str | Path,
        dataset: str | None = None,
        pixel: float | None = None,
        *,
        edge: str = "reflect",
    ) -> Specimen:
        """A sample kept in a file: HDF5 or .npy, read by windows, or a grey picture, read at once.

        dataset: name of a two-dimensional HDF5 dataset, needed where the file has several. pixel: side in m;
        an HDF5 file may state it as an attribute `pixel` of the dataset or the file, and must then agree
        within 0.1 %. In a picture black is void and white is solid.

        Raises FileNotFoundError, ValueError for what is no such image, ImportError without Pillow.
        """
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"no specimen file {path}")
        if path.suffix.lower() in (".h5", ".hdf5", ".hdf"):
            return cls._open_hdf5(path, dataset, pixel, edge)
        if dataset is not None:
            raise ValueError(f"{path} is no HDF5 file (.h5, .hdf5), so it has no dataset '{dataset}'")
        if pixel is None:
            raise ValueError(f"{path} does not say how large a pixel is; give pixel= in m")
        if path.suffix.lower() == ".npy":
            return cls.from_array(np.load(path, mmap_mode="r"), pixel, edge=edge)
        return cls.from_array(_grey_picture(path), pixel, edge=edge)

    @classmethod
    def _open_hdf5(cls, path: Path, dataset: str | None, pixel: float | None, edge: str) -> Specimen:
        import h5py

        try:
            file = h5py.File(path, "r", rdcc_nbytes=CHUNK_CACHE)
        except OSError as err:
            raise ValueError(f"{path} cannot be read as HDF5: {err}") from err
        try:
            data = _image_dataset(file, dataset, path)
            stated = data.attrs.get("pixel", file.attrs.get("pixel"))
            if pixel is None and stated is None:
                raise ValueError(f"{path} does not say how large a pixel is; give pixel= in m")
            if pixel is not None and stated is not None and not same_pixel(pixel, float(stated)):
                raise ValueError(
                    f"{path} has pixels of {float(stated):g} m, not {pixel:g} m: more than 0.1 % apart; "
                    f"resample the image or leave pixel= out"
                )
            return cls(
                data.shape,
                float(pixel if stated is None else stated),
                lambda x, y, nx, ny: data[y : y + ny, x : x + nx],
                edge=edge,
                close=file.close,
            )
        except Exception:
            file.close()
            raise

    @property
    def extent(self) -> tuple[float, float]:
        """Height and width in m."""
        return self.shape[0] * self.pixel, self.shape[1] * self.pixel

    def check_model(self, pixel: float, patch_shape: tuple[int, int]) -> None:
        """ValueError unless a model of this pixel size (m) and patch shape (h, w) can be served from here."""
        if not same_pixel(self.pixel, pixel):
            raise ValueError(
                f"specimen has pixels of {self.pixel:g} m, the model of {pixel:g} m: more than 0.1 % apart; "
                f"resample the specimen or use a model made for its pixels"
            )
        self._check_size(*patch_shape)

    def window(
        self, x0: int, y0: int, nx: int, ny: int, *, edge: str | None = None, out: np.ndarray | None = None
    ) -> np.ndarray:
        """Solid fraction (ny, nx), float32, from column x0 and row y0 on; `edge` rules beyond the sample.

        out: array to fill. Raises ValueError where the window is larger than the specimen, or its values
        are no solid fractions.
        """
        self._check_size(ny, nx)
        edge = self.edge if edge is None else check_edge(edge)
        if out is None:
            out = np.empty((ny, nx), np.float32)
        columns = list(runs(x0, nx, self.shape[1], edge))
        for rows, y, height, down in runs(y0, ny, self.shape[0], edge):
            for across, x, width, left in columns:
                part = self._read(x, y, width, height)
                out[rows, across] = part[:: -1 if down else 1, :: -1 if left else 1]
        if self.array is None:
            _check_values(out, f"the window at ({x0}, {y0})")
        return out

    def close(self) -> None:
        """Let go of the file, if there is one; windows cannot be read afterwards."""
        if self._close is not None:
            self._close()
            self._read = _closed

    def __enter__(self) -> Specimen:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check_size(self, ny: int, nx: int) -> None:
        if ny < 1 or nx < 1:
            raise ValueError(f"a window needs at least one pixel each way, got {ny} x {nx}")
        if ny > self.shape[0] or nx > self.shape[1]:
            raise ValueError(
                f"specimen of {self.shape[0]} x {self.shape[1]} pixels is too small for a patch of "
                f"{ny} x {nx}: use a larger specimen or a smaller patch"
            )


def _closed(*_: int) -> Any:
    raise ValueError("this specimen was closed; open it again to read windows")


def _check_values(mu: np.ndarray, where: str) -> None:
    low, high = mu.min(), mu.max()
    if not (low >= -BOUND_TOLERANCE and high <= 1 + BOUND_TOLERANCE):
        raise ValueError(f"{where} holds values from {low} to {high}; solid fractions lie between 0 and 1")


def _image_dataset(file: Any, name: str | None, path: Path) -> Any:
    found: list[str] = []
    file.visititems(lambda key, item: found.append(key) if len(getattr(item, "shape", ())) == 2 else None)
    if name is None and len(found) == 1:
        name = found[0]
    if name is None:
        raise ValueError(f"{path} has {len(found)} images ({', '.join(found) or 'none'}); name one: dataset=")
    if name.strip("/") not in found:
        raise ValueError(f"{path} has no image '{name}'; it has: {', '.join(found) or 'none'}")
    return file[name]


def _grey_picture(path: Path) -> np.ndarray:
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError as err:
        raise ImportError(
            f"reading {path} needs Pillow, which comes with matplotlib; "
            f"install it, or store the image as HDF5 or .npy"
        ) from err
    try:
        with Image.open(path) as picture:
            if picture.mode not in GREY_MODES:
                raise ValueError(f"{path} is a picture of mode {picture.mode}; save it in grey without alpha")
            return np.asarray(picture, np.float32) / GREY_MODES[picture.mode]
    except UnidentifiedImageError as err:
        raise ValueError(f"{path} is no picture; specimens are .h5, .npy or grey pictures") from err
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as err:
        raise ValueError(f"{path} is too large for a picture: {err}; store it as HDF5 or .npy") from err
