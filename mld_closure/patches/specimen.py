"""The microstructure of a whole sample, as an image of solid fraction that need not fit in memory.

Why: every source is read by windows, so a generated sample, a file and an array look the same to a plan.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mld_closure.intake import reason, require_regular
from mld_closure.patches.edges import check_edge, runs
from mld_closure.patches.image_files import grey_picture, image_dataset
from mld_closure.patches.voids import VoidPlane, VoidRules

PIXEL_TOLERANCE = 1e-3
BOUND_TOLERANCE = 1e-6  # how far beyond 0 and 1 stored solid fractions may lie
CHUNK_CACHE = 64 * 2**20  # bytes of an HDF5 file kept unpacked

_Reader = Callable[[int, int, int, int], Any]


def same_pixel(a: float, b: float) -> bool:
    """Whether two pixel sizes (m) agree within 0.1 %."""
    return abs(a - b) <= PIXEL_TOLERANCE * abs(b)


class Specimen:
    """Solid fraction of a sample, 1 in solid and 0 in a void, read window by window.

    Made by `generate`, `open` or `from_array`. As a context manager it closes its file at the end.

    Parameters
    ----------
    shape
        Size of the sample (ny, nx) in pixels.
    pixel
        Side of a pixel (m).
    read
        Function of (x0, y0, nx, ny) that returns solid fractions (ny, nx) inside the sample.
    edge
        What a window shows beyond the sample: `reflect` (the edge pixel is not repeated) or `wrap`
        (periodic), as in `numpy.pad`.
    array
        The whole image (ny, nx) where it is in memory.
    close
        Called by `close`, to close the file.

    Attributes
    ----------
    shape : tuple[int, int]
        Size (ny, nx) in pixels.
    pixel : float
        Side of a pixel (m).
    edge : str
        `reflect` or `wrap`.
    array : numpy.ndarray or None
        The whole image (ny, nx) where it is in memory.

    Raises
    ------
    ValueError
        The shape is not that of an image, the pixel is not positive, or the edge rule is unknown.

    Examples
    --------
    >>> from mld_closure import Specimen
    >>> sample = Specimen.generate((2000, 4000), pixel=50e-9, seed=1, porosity=0.08)
    >>> sample
    Specimen of 2000 x 4000 pixels of 50 nm: 0.1 x 0.2 mm, edge reflect, read by windows
    >>> sample.window(x0=1000, y0=500, nx=64, ny=32).shape
    (32, 64)
    """

    def __init__(
        self,
        shape: tuple[int, int],
        pixel: float,
        read: _Reader,
        *,
        edge: str = "reflect",
        array: np.ndarray | None = None,
        close: Callable[[], None] | None = None,
    ) -> None:
        if len(shape) != 2 or min(shape) < 1:
            raise ValueError(f"a specimen is an image (ny, nx) of at least one pixel, got {tuple(shape)}")
        if not pixel > 0:
            raise ValueError(f"pixel size must be positive, got {pixel} m")
        self.shape: tuple[int, int] = (int(shape[0]), int(shape[1]))
        self.pixel: float = float(pixel)
        self.edge: str = check_edge(edge)
        self.array: np.ndarray | None = array
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
        """A sample of randomly placed elliptic voids, computed only in the windows that are read.

        Parameters
        ----------
        shape
            Size of the sample (ny, nx) in pixels.
        pixel
            Side of a pixel (m).
        seed
            Equal seed, porosity and rules give equal voids at any shape and pixel size.
        porosity
            Area fraction of the voids, above 0 and at most 0.25.
        rules
            Sizes, aspect ratios and least distance of the voids (m).
        edge
            What a window shows beyond the sample: `reflect` or `wrap`.

        Returns
        -------
        Specimen
            The sample.

        Raises
        ------
        ValueError
            A value is out of range, or the voids cannot be placed as close as asked.
        """
        plane = VoidPlane(seed, porosity, rules)
        return cls(
            shape, pixel, lambda x, y, nx, ny: plane.solid_fraction(x, y, nx, ny, float(pixel)), edge=edge
        )

    @classmethod
    def from_array(cls, mu: Any, pixel: float, *, edge: str = "reflect") -> Specimen:
        """A sample from an array in memory, or from a memory map, of which only windows are read.

        Parameters
        ----------
        mu
            Solid fractions (ny, nx), 1 in solid and 0 in a void.
        pixel
            Side of a pixel (m).
        edge
            What a window shows beyond the sample: `reflect` or `wrap`.

        Returns
        -------
        Specimen
            The sample.

        Raises
        ------
        ValueError
            The array is not an image, or holds values outside [0, 1].

        Examples
        --------
        >>> import numpy as np
        >>> from mld_closure import Specimen
        >>> sample = Specimen.from_array(np.ones((64, 96)), pixel=50e-9)
        >>> [round(1e6 * side, 3) for side in sample.extent]  # um
        [3.2, 4.8]
        """
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
        """A sample from a file: HDF5 or .npy, read by windows, or a grey picture, read at once.

        In a picture black is void and white is solid.

        Parameters
        ----------
        path
            The file: .h5, .hdf5, .hdf, .npy, or a picture that Pillow reads.
        dataset
            Name of a two-dimensional HDF5 dataset; needed where the file has several.
        pixel
            Side of a pixel (m). An HDF5 file may give it as an attribute `pixel` of the dataset or of the
            file; both must then agree within 0.1 %.
        edge
            What a window shows beyond the sample: `reflect` or `wrap`.

        Returns
        -------
        Specimen
            The sample; `close` it, or use it as a context manager.

        Raises
        ------
        FileNotFoundError
            There is no such file.
        ValueError
            The file is not such an image, or does not say how large a pixel is.
        ImportError
            A picture is read without Pillow.

        Examples
        --------
        >>> import numpy as np
        >>> from mld_closure import Specimen
        >>> np.save("sample.npy", np.ones((64, 96), np.float32))
        >>> with Specimen.open("sample.npy", pixel=50e-9) as sample:
        ...     sample.shape
        (64, 96)
        """
        path = Path(path)
        try:
            require_regular(path)
        except FileNotFoundError:
            raise FileNotFoundError(f"no specimen file {path}") from None
        if path.suffix.lower() in (".h5", ".hdf5", ".hdf"):
            return cls._open_hdf5(path, dataset, pixel, edge)
        if dataset is not None:
            raise ValueError(f"{path} is not an HDF5 file (.h5, .hdf5), so it has no dataset '{dataset}'")
        if pixel is None:
            raise ValueError(f"{path} does not say how large a pixel is; give pixel= in m")
        if path.suffix.lower() == ".npy":
            try:
                image = np.load(path, mmap_mode="r", allow_pickle=False)
            except (OSError, ValueError, EOFError, SyntaxError, MemoryError, OverflowError) as err:
                raise ValueError(f"{path} cannot be read as .npy: {reason(err)}") from None
            return cls.from_array(image, pixel, edge=edge)
        return cls.from_array(grey_picture(path), pixel, edge=edge)

    @classmethod
    def _open_hdf5(cls, path: Path, dataset: str | None, pixel: float | None, edge: str) -> Specimen:
        import h5py

        try:
            file = h5py.File(path, "r", rdcc_nbytes=CHUNK_CACHE)
        except OSError as err:
            raise ValueError(f"{path} cannot be read as HDF5: {reason(err)}") from None
        try:
            data = image_dataset(file, dataset, path)
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
        """Height and width of the sample (m)."""
        return self.shape[0] * self.pixel, self.shape[1] * self.pixel

    def window(
        self, x0: int, y0: int, nx: int, ny: int, *, edge: str | None = None, out: np.ndarray | None = None
    ) -> np.ndarray:
        """Solid fraction in a window of the sample.

        Parameters
        ----------
        x0, y0
            First column and first row, in pixels; they may lie outside the sample.
        nx, ny
            Columns and rows of the window.
        edge
            What the window shows beyond the sample, where not the sample's own rule.
        out
            Array float32 (ny, nx) to fill.

        Returns
        -------
        numpy.ndarray
            Solid fractions, float32 (ny, nx).

        Raises
        ------
        ValueError
            The window is larger than the sample, or its values are outside [0, 1].
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
        """Close the file, if there is one; windows cannot be read afterwards."""
        if self._close is not None:
            self._close()
            self._read = _closed

    def __repr__(self) -> str:
        height, width = (1e3 * side for side in self.extent)
        where = "read by windows" if self.array is None else "in memory"
        return (
            f"Specimen of {self.shape[0]} x {self.shape[1]} pixels of {1e9 * self.pixel:.4g} nm: "
            f"{height:.3g} x {width:.3g} mm, edge {self.edge}, {where}"
        )

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
