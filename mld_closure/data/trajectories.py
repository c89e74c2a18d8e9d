"""Reading trajectory files: nothing but the frames that are asked for is read.

Why: fields are compressed one frame per chunk, so a window costs its own frames and no more.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mld_closure.data.curves import GROUP, shapes
from mld_closure.data.layout import (
    FORMAT,
    FORMAT_VERSION,
    SPATIAL_DIMS,
    VELOCITY,
    TrajectorySpec,
    datasets,
)
from mld_closure.data.shapes import Header, faulty_shapes, leads_outside
from mld_closure.fields import FIELDS
from mld_closure.intake import reason, require_regular

# What h5py, numpy and json raise where a file is not as it should be
DAMAGE = (
    *(KeyError, AttributeError, OSError, RuntimeError, TypeError, ValueError, IndexError),
    *(MemoryError, RecursionError, OverflowError),
)


class Trajectories(Header):
    """A trajectory file, opened for reading; frames are read only when `read` is called.

    As a context manager it closes the file at the end. It can be pickled; a copy opens the file again.

    Parameters
    ----------
    path
        The file, in the layout of The Well.

    Attributes
    ----------
    path : pathlib.Path
        The file.
    pixel : float
        Side of a pixel (m).
    times : numpy.ndarray
        Time of each frame (s), float64 (time,).
    shape : tuple[int, int]
        Size of a frame (ny, nx) in pixels.
    fields : tuple[str, ...]
        Names of the fields, in the order in which `read` returns them.
    n_cases : int
        Number of cases in the file.
    scalars : dict[str, numpy.ndarray]
        Values (case,) by name, such as `piston_speed` (m/s); SI units.
    cases : numpy.ndarray
        Index of each case in its campaign, int64 (case,).
    curve_times : numpy.ndarray
        Times of the curves (s), float64 (curve time,); empty where the file has none.
    parts : int
        Parts of a patch that have curves of their own, besides the whole patch.
    failures : list[tuple[int, str]]
        Campaign index and reason of each case that failed and is not in the file.
    provenance : dict
        Version, date, platform and configuration that made the file.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        The file is damaged, of another kind or of an unknown format version.

    References
    ----------
    The layout is that of The Well, https://github.com/PolymathicAI/the_well (docs/data_format.md).

    Examples
    --------
    >>> from mld_closure import Trajectories
    >>> with Trajectories("heldout.h5") as data:
    ...     data
    ...     temperature = data.read(0, ["temperature"])  # K
    Trajectories 'heldout.h5': 3 cases
      4 frames of 32 x 64 pixels of 50 nm, 0 to 1.032 ns
      fields temperature, pressure, microstructure
      piston speeds 700 to 900 m/s
    >>> temperature.shape
    (4, 1, 32, 64)
    """

    path: Path
    pixel: float
    failures: list[tuple[int, str]]
    provenance: dict[str, Any]

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._file = open_file(self.path)
        try:
            if (elsewhere := leads_outside(self._file)) is not None:
                raise ValueError(f"{elsewhere} leads out of the file")
            self._read_header()
            if (fault := next(faulty_shapes(self), None)) is not None:
                raise ValueError(fault)
        except DAMAGE as err:
            self._file.close()
            raise ValueError(f"{self.path}: damaged trajectory file ({reason(err)})") from None

    def _read_header(self) -> None:
        attrs = self._file.attrs
        self.pixel = float(attrs["pixel"])
        self.times = np.asarray(attrs["frame_times"], dtype=np.float64)  # (time,) s
        ny, nx = (int(self._file[f"dimensions/{d}"].shape[0]) for d in SPATIAL_DIMS)
        self.shape = (ny, nx)
        self.fields = stored_fields(self._file)
        self.n_cases = int(attrs["n_trajectories"])
        self.scalars = {
            name: _real(self._file[f"scalars/{name}"]) for name in field_names(self._file["scalars"])
        }
        self.cases = self._file["scalars/case"][:].astype(np.int64)  # the campaign's case indices
        self.curve_times, self.parts = _curve_axes(self._file)  # (curve time,) s
        self.failures = [(int(i), str(why)) for i, why in json.loads(attrs["failures"])]
        self.provenance = {
            "version": str(attrs["version"]),
            "created": str(attrs["created"]),
            "platform": str(attrs["platform"]),
            "configuration": json.loads(attrs["configuration"]),
        }

    @property
    def n_frames(self) -> int:
        """Frames of each case."""
        return len(self.times)

    @property
    def spec(self) -> TrajectorySpec:
        """What the file was made to hold, failed cases included."""
        return TrajectorySpec(
            n_cases=self.n_cases + len(self.failures),
            shape=self.shape,
            pixel=self.pixel,
            times=tuple(self.times),
            configuration=self.provenance["configuration"],
            fields=self.fields,
            boundaries=tuple(json.loads(self._file.attrs["boundaries"])),
            curve_times=tuple(self.curve_times),
            parts=self.parts,
        )

    def curves(self, case: int) -> dict[str, np.ndarray]:
        """Curves of one case.

        Parameters
        ----------
        case
            Position of the case in the file, from 0.

        Returns
        -------
        dict
            float32 (curve time, part) by name in SI units, and `arrival` (part,) in s; part 0 is the whole
            patch. Empty where the file has no curves.

        Raises
        ------
        ValueError
            There is no such case, or it cannot be read.
        """
        case = self._check_case(case)
        names = shapes(len(self.curve_times), self.parts)
        with self._naming(f"curves, case {case}"):
            return {name: self._file[f"{GROUP}/{name}"][case] for name in names}

    def description(self, case: int) -> dict[str, Any]:
        """What was recorded about a case, such as its voids.

        Parameters
        ----------
        case
            Position of the case in the file, from 0.

        Returns
        -------
        dict
            JSON-ready facts by name.

        Raises
        ------
        ValueError
            There is no such case, or it cannot be read.
        """
        case = self._check_case(case)
        with self._naming(f"descriptions, case {case}"):
            return json.loads(self._file["descriptions"].asstr()[case])

    def read(
        self, case: int, fields: Sequence[str] | None = None, frames: slice | Sequence[int] = slice(None)
    ) -> np.ndarray:
        """Frames of one case; nothing else is read from the file.

        Parameters
        ----------
        case
            Position of the case in the file, from 0.
        fields
            Names of the fields; all by default.
        frames
            A slice, or frame numbers in any order; all by default.

        Returns
        -------
        numpy.ndarray
            float32 (time, field, y, x), SI units.

        Raises
        ------
        ValueError
            There is no such case or frame, or it cannot be read.
        KeyError
            The file has no such field.
        """
        case = self._check_case(case)
        names = tuple(self.fields if fields is None else fields)
        for name in names:
            if name not in self.fields:
                raise KeyError(f"{self.path} has no field '{name}'; it holds {', '.join(self.fields)}")
        numbers = self._frame_numbers(frames)
        out = np.empty((len(numbers), len(names), *self.shape), dtype=np.float32)
        whole = {*names, *VELOCITY} if set(VELOCITY) & set(names) else names
        for path, held in datasets(whole).items():
            for k, frame in enumerate(numbers):
                with self._naming(f"{path}, case {case}, frame {frame}"):
                    values = self._file[path][case, frame]  # (y, x) or (y, x, component)
                for component, name in enumerate(held):
                    if name in names:
                        out[k, names.index(name)] = values if values.ndim == 2 else values[..., component]
        return out

    def close(self) -> None:
        """Close the file; closing twice is harmless."""
        self._file.close()

    def __enter__(self) -> Trajectories:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return Trajectories, (self.path,)

    def __repr__(self) -> str:
        ny, nx = self.shape
        lines = [
            f"Trajectories {str(self.path)!r}: {self.n_cases} cases"
            + (f", {len(self.failures)} failed" if self.failures else ""),
            f"  {self.n_frames} frames of {ny} x {nx} pixels of {1e9 * self.pixel:.4g} nm, "
            f"{1e9 * self.times[0]:.4g} to {1e9 * self.times[-1]:.4g} ns",
            f"  fields {', '.join(self.fields)}",
        ]
        speeds = self.scalars.get("piston_speed")
        if speeds is not None and len(speeds):
            lines.append(f"  piston speeds {speeds.min():.4g} to {speeds.max():.4g} m/s")
        return "\n".join(lines)

    @contextmanager
    def _naming(self, what: str) -> Iterator[None]:
        """Raise ValueError that names the file and what was read of it, where that is damaged."""
        try:
            yield
        except DAMAGE as err:
            raise ValueError(f"{self.path}: {what}: {reason(err)}") from None

    def _check_case(self, case: int) -> int:
        if not 0 <= case < self.n_cases:
            raise ValueError(f"{self.path} holds cases 0 to {self.n_cases - 1}, got {case}")
        return int(case)

    def _frame_numbers(self, frames: slice | Sequence[int]) -> list[int]:
        if isinstance(frames, slice):
            return list(range(self.n_frames)[frames])
        numbers = [int(f) for f in frames]
        for f in numbers:
            if not 0 <= f < self.n_frames:
                raise ValueError(f"{self.path} holds frames 0 to {self.n_frames - 1}, got {f}")
        return numbers


def open_file(path: str | Path) -> h5py.File:
    """The HDF5 file, opened for reading; ValueError unless it is a trajectory file of this version."""
    path = Path(path)
    try:
        require_regular(path)
    except FileNotFoundError:
        raise FileNotFoundError(f"no such trajectory file: {path}") from None
    try:
        file = h5py.File(path, "r", locking="best-effort")
        name, version = file.attrs.get("format"), file.attrs.get("format_version")
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as err:
        why = "truncated" if "truncated" in str(err) else "no HDF5 file, or damaged"
        raise ValueError(f"{path}: not a readable trajectory file ({why})") from None
    if not isinstance(name, str) or name != FORMAT:
        file.close()
        raise ValueError(f"{path}: HDF5, but not a trajectory file (attribute format is {name!r})")
    if not np.isscalar(version) or version != FORMAT_VERSION:
        file.close()
        raise ValueError(f"{path}: format version {version}, this package reads version {FORMAT_VERSION}")
    return file


def _curve_axes(file: h5py.File) -> tuple[np.ndarray, int]:
    """(curve times in s, parts besides the whole patch) of an open file; no times where it has no curves."""
    if GROUP not in file:
        return np.zeros(0), 0
    return _real(file[f"{GROUP}/time"]), int(file[GROUP].attrs["parts"])


def _real(dataset: h5py.Dataset) -> np.ndarray:
    """All of a dataset as float64; ValueError unless it holds real numbers."""
    if dataset.dtype.kind not in "fiu":
        raise ValueError(f"{dataset.name} holds {dataset.dtype}, not real numbers")
    return dataset[:].astype(np.float64)


def stored_fields(file: h5py.File) -> tuple[str, ...]:
    """Names of the fields in an open file, velocity as two components, in the order of `fields.FIELDS`."""
    held = set(field_names(file["t0_fields"]))
    if "velocity" in field_names(file["t1_fields"]):
        held |= set(VELOCITY)
    return tuple(n for n in FIELDS if n in held)


def field_names(group: h5py.Group) -> list[str]:
    """The names that a group of fields, scalars or curves says it holds."""
    return [str(n) for n in group.attrs["field_names"]]
