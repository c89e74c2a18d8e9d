"""Trajectory files on disk: a lazy reader, and the two HDF5 writers that the case store is made of.

Why: fields are compressed one frame to a chunk, so a window costs its own frames and no more, and a finished
case is moved into the final file as compressed bytes.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mld_closure import __version__
from mld_closure.data.curves import CURVES, GROUP, shapes
from mld_closure.data.layout import (
    DATASET_NAME,
    FORMAT,
    FORMAT_VERSION,
    INTEGER_SCALARS,
    SCALAR_UNITS,
    SPATIAL_DIMS,
    VELOCITY,
    TrajectorySpec,
    datasets,
)
from mld_closure.fields import FIELDS

_FILTERS = {"shuffle": True, "compression": "gzip", "compression_opts": 1, "dtype": "f4"}
_TEXT = h5py.string_dtype()


class Trajectories:
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
    times: np.ndarray
    shape: tuple[int, int]
    fields: tuple[str, ...]
    n_cases: int
    scalars: dict[str, np.ndarray]
    cases: np.ndarray
    failures: list[tuple[int, str]]
    provenance: dict[str, Any]

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._file = open_file(self.path)
        try:
            self._read_header()
        except (KeyError, AttributeError, OSError, RuntimeError, TypeError) as err:
            self._file.close()
            raise ValueError(f"{self.path}: damaged trajectory file ({err})") from None

    def _read_header(self) -> None:
        attrs = self._file.attrs
        self.pixel = float(attrs["pixel"])
        self.times = np.asarray(attrs["frame_times"], dtype=np.float64)  # (time,) s
        ny, nx = (int(self._file[f"dimensions/{d}"].shape[0]) for d in SPATIAL_DIMS)
        self.shape = (ny, nx)
        self.fields = stored_fields(self._file)
        self.n_cases = int(attrs["n_trajectories"])
        self.scalars = {
            name: self._file[f"scalars/{name}"][:].astype(np.float64)
            for name in _names(self._file["scalars"])
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
        """Curves of one case by name, float32 (curve time, part) in SI units, and `arrival` (part,) in s.

        Part 0 is the whole patch. Empty where the file holds no curves. Raises ValueError for a case that is
        not there.
        """
        case = self._check_case(case)
        return {
            name: self._file[f"{GROUP}/{name}"][case] for name in shapes(len(self.curve_times), self.parts)
        }

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
            There is no such case.
        """
        return json.loads(self._file["descriptions"].asstr()[self._check_case(case)])

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
            dataset = self._file[path]
            for k, frame in enumerate(numbers):
                try:
                    values = dataset[case, frame]  # (y, x) or (y, x, component)
                except OSError as err:
                    raise ValueError(f"{self.path}: {path}, case {case}, frame {frame}: {err}") from None
                for component, name in enumerate(held):
                    if name in names:
                        out[k, names.index(name)] = values if values.ndim == 2 else values[..., component]
        return out

    def raw(self, where: str) -> h5py.Dataset:
        """The dataset at a path inside the file, unread."""
        return self._file[where]

    def __contains__(self, where: str) -> bool:
        """Whether the file has something at a path inside it."""
        return where in self._file

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
    if not path.exists():
        raise FileNotFoundError(f"no such trajectory file: {path}")
    try:
        file = h5py.File(path, "r", locking="best-effort")
    except OSError as err:
        why = "truncated" if "truncated" in str(err) else "no HDF5 file, or damaged"
        raise ValueError(f"{path}: not a readable trajectory file ({why})") from None
    name, version = file.attrs.get("format"), file.attrs.get("format_version")
    if name != FORMAT:
        file.close()
        raise ValueError(f"{path}: HDF5, but not a trajectory file (attribute format is {name!r})")
    if version != FORMAT_VERSION:
        file.close()
        raise ValueError(f"{path}: format version {version}, this package reads version {FORMAT_VERSION}")
    return file


def _curve_axes(file: h5py.File) -> tuple[np.ndarray, int]:
    """(curve times in s, parts besides the whole patch) of an open file; no times where it has no curves."""
    if GROUP not in file:
        return np.zeros(0), 0
    return file[f"{GROUP}/time"][:].astype(np.float64), int(file[GROUP].attrs["parts"])


def stored_fields(file: h5py.File) -> tuple[str, ...]:
    """Names of the fields in an open file, velocity as two components, in the order of `fields.FIELDS`."""
    held = set(_names(file["t0_fields"]))
    if "velocity" in _names(file["t1_fields"]):
        held |= set(VELOCITY)
    return tuple(n for n in FIELDS if n in held)


def write_shard(
    path: Path,
    index: int,
    arrays: Mapping[str, np.ndarray],
    scalars: Mapping[str, float],
    description: Mapping[str, Any],
) -> None:
    """Write one case as a small HDF5 file of its own; arrays by name are float32, fields (time, y, x)."""
    with h5py.File(path, "w") as file:
        file.attrs["index"] = index
        file.attrs["scalars"] = json.dumps({k: float(v) for k, v in scalars.items()})
        file.attrs["description"] = json.dumps(description)
        for where, held in datasets(tuple(arrays)).items():
            parts = [arrays[name] for name in held]
            values = parts[0] if len(parts) == 1 else np.stack(parts, axis=-1)
            file.create_dataset(where, data=values, chunks=(1, *values.shape[1:]), **_FILTERS)


def assemble(
    path: Path, spec: TrajectorySpec, shards: Sequence[Path], failures: Sequence[tuple[int, str]]
) -> None:
    """Write a trajectory file from one file per case, in the order given; frames stay compressed."""
    indices, scalars, descriptions = [], [], []
    with h5py.File(path, "w") as file:
        write_header(file, spec, len(shards), failures)
        for slot, shard in enumerate(shards):
            with h5py.File(shard, "r") as source:
                indices.append(int(source.attrs["index"]))
                scalars.append(json.loads(source.attrs["scalars"]))
                descriptions.append(source.attrs["description"])
                for where in datasets(spec.fields):
                    _copy_chunks(source[where], file[where], slot, spec.n_frames)
                for name in shapes(len(spec.curve_times), spec.parts):
                    file[f"{GROUP}/{name}"][slot] = source[f"{GROUP}/{name}"][:]
        names = ["case", *dict.fromkeys(k for s in scalars for k in s)]
        columns = {}
        for name in names:
            values = indices if name == "case" else [s.get(name, np.nan) for s in scalars]
            whole = name in INTEGER_SCALARS and np.all(np.isfinite(values))
            columns[name] = np.asarray(values, "i8" if whole else "f4")
        write_columns(file, columns, descriptions, SCALAR_UNITS)


def write_columns(
    file: h5py.File,
    columns: Mapping[str, np.ndarray],
    descriptions: Sequence[Any],
    units: Mapping[str, str],
) -> None:
    """Write the scalars (case,) of all cases by name, and their descriptions, JSON text or JSON-ready."""
    texts = [d if isinstance(d, (str, bytes)) else json.dumps(d) for d in descriptions]
    file.create_dataset("descriptions", data=texts, dtype=_TEXT)
    file["scalars"].attrs["field_names"] = _text(list(columns))
    for name, values in columns.items():
        dataset = file.create_dataset(f"scalars/{name}", data=values)
        unit = "1" if name == "case" else units.get(name, "unknown")
        dataset.attrs.update(sample_varying=True, time_varying=False, units=unit)


def _copy_chunks(source: h5py.Dataset, target: h5py.Dataset, slot: int, frames: int) -> None:
    rest = (0,) * (source.ndim - 1)
    for frame in range(frames):
        mask, raw = source.id.read_direct_chunk((frame, *rest))
        target.id.write_direct_chunk((slot, frame, *rest), raw, mask)


def write_header(
    file: h5py.File, spec: TrajectorySpec, n_stored: int, failures: Sequence[tuple[int, str]]
) -> None:
    """Write all of a file but its values: attributes, dimensions, and empty fields of n_stored cases."""
    file.attrs.update(
        format=FORMAT,
        format_version=FORMAT_VERSION,
        dataset_name=DATASET_NAME,
        grid_type="cartesian",
        n_spatial_dims=len(SPATIAL_DIMS),
        n_trajectories=n_stored,
        simulation_parameters=_text([]),
        pixel=spec.pixel,
        frame_times=np.asarray(spec.times, dtype=np.float64),
        boundaries=json.dumps(spec.boundaries),
        failures=json.dumps(failures),
        configuration=json.dumps(spec.configuration),
        version=__version__,
        platform=f"{platform.platform()}, Python {platform.python_version()}",
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )
    dimensions = file.create_group("dimensions")
    dimensions.attrs["spatial_dims"] = _text(SPATIAL_DIMS)
    time = dimensions.create_dataset("time", data=np.asarray(spec.times, dtype=np.float32))
    time.attrs.update(sample_varying=False, units="s")
    for name, size, kind in zip(SPATIAL_DIMS, spec.shape, spec.boundaries, strict=True):
        centres = ((np.arange(size) + 0.5) * spec.pixel).astype(np.float32)
        dimension = dimensions.create_dataset(name, data=centres)
        dimension.attrs.update(sample_varying=False, time_varying=False, units="m")
        _write_boundary(file, name, size, kind)
    file.create_group("scalars")
    for order in range(3):
        file.create_group(f"t{order}_fields").attrs["field_names"] = _text([])
    for where, held in datasets(spec.fields).items():
        group, name = where.split("/")
        shape = (n_stored, spec.n_frames, *spec.shape, *([len(held)] if len(held) > 1 else []))
        dataset = file.create_dataset(
            where, shape=shape, chunks=(1, 1, *shape[2:]), fillvalue=np.nan, **_FILTERS
        )
        dataset.attrs.update(
            dim_varying=[True, True], sample_varying=True, time_varying=True, units=FIELDS[held[0]].units
        )
        file[group].attrs["field_names"] = _text([*_names(file[group]), name])
    _write_curve_header(file, spec, n_stored)


def _write_curve_header(file: h5py.File, spec: TrajectorySpec, n_stored: int) -> None:
    wanted = shapes(len(spec.curve_times), spec.parts)
    if not wanted:
        return
    group = file.create_group(GROUP)
    group.attrs.update(parts=spec.parts, field_names=_text(list(wanted)))
    group.create_dataset("time", data=np.asarray(spec.curve_times, np.float64)).attrs["units"] = "s"
    for name, shape in wanted.items():
        dataset = group.create_dataset(
            name, (n_stored, *shape), "f4", chunks=(1, *shape), fillvalue=np.nan, compression="gzip"
        )
        dataset.attrs.update(
            sample_varying=True,
            time_varying=len(shape) > 1,
            dim_varying=[False] * len(SPATIAL_DIMS),
            units=CURVES[name].units,
        )


def _write_boundary(file: h5py.File, dim: str, size: int, kind: str) -> None:
    group = file.create_group(f"boundary_conditions/{dim}_{kind}")
    group.attrs.update(
        associated_dims=_text([dim]),
        associated_fields=_text([]),
        bc_type=kind,
        sample_varying=False,
        time_varying=False,
    )
    mask = np.zeros(size, dtype=bool)
    mask[[0, -1]] = True
    group.create_dataset("mask", data=mask)
    group.create_dataset("values", data=np.zeros(int(mask.sum()), dtype=np.float32))


def _names(group: h5py.Group) -> list[str]:
    return [str(n) for n in group.attrs["field_names"]]


def _text(names: Sequence[str]) -> np.ndarray:
    return np.array(list(names), dtype=_TEXT)
