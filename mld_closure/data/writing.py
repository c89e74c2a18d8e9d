"""Writing trajectory files: one small file per case, and the whole file that is assembled from them.

Why: fields are compressed one frame per chunk, so a finished case is moved into the whole file as compressed
bytes.
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
    TrajectorySpec,
    datasets,
)
from mld_closure.data.trajectories import field_names
from mld_closure.fields import FIELDS

_FILTERS = {"shuffle": True, "compression": "gzip", "compression_opts": 1, "dtype": "f4"}
_TEXT = h5py.string_dtype()


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
        file[group].attrs["field_names"] = _text([*field_names(file[group]), name])
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


def _text(names: Sequence[str]) -> np.ndarray:
    return np.array(list(names), dtype=_TEXT)
