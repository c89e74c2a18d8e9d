"""Files of a macro run that people open: its time history in HDF5, and the same for ParaView as VTKHDF.

Layout of a history: `time` (s, frame), `step`, `x`, `y` (m, cell centres), `fields/NAME` (frame, y, x) with
their units, `series/NAME` (step) with theirs, and attributes: format, version, configuration (JSON).
Source of the other: VTKHDF format 2.0, temporal ImageData, https://docs.vtk.org (VTK File Formats).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

HISTORY_FORMAT = "mld_closure history"
HISTORY_VERSION = 1


def write_history(
    path: str | Path,
    times: np.ndarray,
    steps: np.ndarray,
    fields: Mapping[str, np.ndarray],
    cell_size: float,
    *,
    units: Mapping[str, str],
    series: Mapping[str, np.ndarray],
    configuration: Mapping[str, Any],
) -> Path:
    """Write a run's history; what was at `path` stays whole until it is replaced.

    times (s) and steps: (frame,); fields: (frame, y, x) each, arrays or memory maps; series: (step,) each;
    units: of every field and series; cell_size: m. Raises ValueError for shapes that differ and units that
    are missing.
    """
    shape = _common_shape(times, fields)
    if missing := [name for name in (*fields, *series) if name not in units]:
        raise ValueError(f"no units given for {', '.join(missing)}")
    with _replacing(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs.update(
            format=HISTORY_FORMAT, format_version=HISTORY_VERSION, configuration=json.dumps(configuration)
        )
        file.create_dataset("time", data=np.asarray(times, float)).attrs["units"] = "s"
        file.create_dataset("step", data=np.asarray(steps, np.int64)).attrs["units"] = "1"
        for name, n in zip(("y", "x"), shape, strict=True):
            file.create_dataset(name, data=(np.arange(n) + 0.5) * cell_size).attrs["units"] = "m"
        for name, values in fields.items():
            file.create_dataset(f"fields/{name}", data=values).attrs["units"] = units[name]
        for name, values in series.items():
            file.create_dataset(f"series/{name}", data=values).attrs["units"] = units[name]
    return Path(path)


def write_vtkhdf(
    path: str | Path, times: np.ndarray, fields: Mapping[str, np.ndarray], cell_size: float
) -> Path:
    """Write cell fields (frame, y, x) over times (s) as one file that ParaView plays back; lengths in m.

    The cells form an image one cell thick. What was at `path` stays whole until it is replaced. Raises
    ValueError for shapes that differ.
    """
    ny, nx = _common_shape(times, fields)
    with _replacing(path) as temporary, h5py.File(temporary, "w") as file:
        root = file.create_group("VTKHDF")
        root.attrs["Version"] = np.array([2, 0], np.int64)
        root.attrs.create("Type", b"ImageData", dtype=h5py.string_dtype("ascii", len("ImageData")))
        root.attrs["WholeExtent"] = np.array([0, nx, 0, ny, 0, 1], np.int64)
        root.attrs["Origin"] = np.zeros(3)
        root.attrs["Spacing"] = np.full(3, float(cell_size))
        root.attrs["Direction"] = np.eye(3).ravel()
        data, steps = root.create_group("CellData"), root.create_group("Steps")
        steps.attrs["NSteps"] = np.int64(len(times))
        steps["Values"] = np.asarray(times, float)
        for name, values in fields.items():
            thick = values[:, None]  # (frame, z, y, x)
            data.create_dataset(name, data=thick)
            steps[f"CellDataOffsets/{name}"] = np.arange(len(times))
    return Path(path)


class _replacing:
    """A temporary name beside `path`, renamed to it on success and removed on failure."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.temporary = self.path.with_name(f".{self.path.name}.tmp")

    def __enter__(self) -> Path:
        return self.temporary

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            os.replace(self.temporary, self.path)
        else:
            self.temporary.unlink(missing_ok=True)


def _common_shape(times: np.ndarray, fields: Mapping[str, np.ndarray]) -> tuple[int, int]:
    shapes = {name: np.shape(values) for name, values in fields.items()}
    first = next(iter(shapes.values()), ())
    if len(first) != 3 or first[0] != len(times) or set(shapes.values()) != {first}:
        raise ValueError(f"fields need one shape ({len(times)}, ny, nx), got {shapes}")
    return first[1], first[2]
