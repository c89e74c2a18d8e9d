"""Result files of a macro run: its history over time in HDF5, and the same for ParaView as VTKHDF.

A history file holds: `time` [s] and `step` (frame,); `x`, `y` [m], the cell centres; `fields/NAME` (frame, y,
x) and `series/NAME` (step,), each with its unit as the attribute `units`; and the file attributes format,
format_version and configuration (JSON).

References
----------
VTKHDF format 2.0, temporal ImageData: https://docs.vtk.org (VTK File Formats).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mld_closure.durable import published

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
    """Write the history of a run; an existing file at `path` stays complete until it is replaced.

    Parameters
    ----------
    path : path
        File to write.
    times, steps : array (frame,)
        Times [s] and step numbers of the frames.
    fields : mapping of str to array (frame, y, x)
        Cell fields; arrays or memory maps.
    cell_size : float
        Side of a cell [m].
    units : mapping of str to str
        Unit of every field and series.
    series : mapping of str to array (step,)
        Values over the steps.
    configuration : mapping
        The configuration of the run, ready for JSON.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    ValueError
        Shapes that differ, or units that are missing.
    """
    shape = _common_shape(times, fields)
    if missing := [name for name in (*fields, *series) if name not in units]:
        raise ValueError(f"no units given for {', '.join(missing)}")
    with published(Path(path)) as temporary, h5py.File(temporary, "w") as file:
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
    """Write cell fields over time as one file that ParaView plays as a movie.

    The cells form an image that is one cell thick. An existing file at `path` stays complete until it is
    replaced.

    Parameters
    ----------
    path : path
        File to write.
    times : array (frame,)
        Times [s].
    fields : mapping of str to array (frame, y, x)
        Cell fields.
    cell_size : float
        Side of a cell [m].

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    ValueError
        Shapes that differ.
    """
    ny, nx = _common_shape(times, fields)
    with published(Path(path)) as temporary, h5py.File(temporary, "w") as file:
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


def _common_shape(times: np.ndarray, fields: Mapping[str, np.ndarray]) -> tuple[int, int]:
    """(ny, nx) of all fields; ValueError unless every field is (len(times), ny, nx)."""
    shapes = {name: np.shape(values) for name, values in fields.items()}
    first = next(iter(shapes.values()), ())
    if len(first) != 3 or first[0] != len(times) or set(shapes.values()) != {first}:
        raise ValueError(f"fields need one shape ({len(times)}, ny, nx), got {shapes}")
    return first[1], first[2]
