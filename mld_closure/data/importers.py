"""Import arrays that other codes wrote: memory-mapped, one case at a time; can continue after a stop.

Two layouts are known: the single array (sample, y, x, field, time), scaled to [0, 1], of the reference
implementation, and the folder of PARC with one array (time, channel, y, x) per case.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mld_closure import fields as field_table
from mld_closure.config import ConfigError
from mld_closure.data.layout import TrajectorySpec, check_fields
from mld_closure.data.store import CaseStore
from mld_closure.intake import reason

PARC_FIELDS = (*field_table.MODEL_FIELDS, "velocity_x", "velocity_y")
REFERENCE_BOUNDS = {n: (field_table.get(n).low, field_table.get(n).high) for n in field_table.FIELDS}

Bounds = Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class ArraySource:
    """Cases stored as arrays of another code, still on disk.

    Attributes
    ----------
    names : tuple of str
        Name of each case in the source.
    shape : (int, int, int)
        (time, y, x).
    fields : tuple of str
        Field names in the order of the field axis.
    read : callable
        read(i) returns case i as an array (time, field, y, x), a memory map where possible.
    """

    names: tuple[str, ...]
    shape: tuple[int, int, int]
    fields: tuple[str, ...]
    read: Callable[[int], np.ndarray]


def reference_source(path: str | Path, fields: Sequence[str] = field_table.MODEL_FIELDS) -> ArraySource:
    """Open the .npy array (sample, y, x, field, time) of the reference implementation.

    Parameters
    ----------
    path : path
        The .npy file.
    fields : sequence of str
        Fields in the order of the field axis.

    Returns
    -------
    ArraySource

    Raises
    ------
    ConfigError
        Another number of axes or fields, an unknown field, or a file that is not .npy.
    """
    array = _memory_map(Path(path))
    if array.ndim != 5:
        raise ConfigError(f"{path}: expected 5 axes (sample, y, x, field, time), got shape {array.shape}")
    n, ny, nx, channels, n_t = array.shape
    _check_channels(path, channels, fields)

    def read(i: int) -> np.ndarray:
        return array[i].transpose(3, 2, 0, 1)  # (y, x, field, time) -> (time, field, y, x)

    return ArraySource(tuple(f"sample {i}" for i in range(n)), (n_t, ny, nx), tuple(fields), read)


def parc_source(folder: str | Path, fields: Sequence[str] = PARC_FIELDS) -> ArraySource:
    """Open a folder of .npy arrays (time, channel, y, x), one per case, in the order of the file names.

    Parameters
    ----------
    folder : path
        Folder with the .npy files.
    fields : sequence of str
        Fields in the order of the channel axis.

    Returns
    -------
    ArraySource

    Raises
    ------
    ConfigError
        No file, files of different shapes, another number of axes or fields, or an unknown field.
    """
    files = sorted(Path(folder).glob("*.npy"))
    if not files:
        raise ConfigError(f"{folder}: no .npy files; this layout is a folder with one array per case")
    first = _memory_map(files[0])
    if first.ndim != 4:
        raise ConfigError(f"{files[0]}: expected 4 axes (time, channel, y, x), got shape {first.shape}")
    for file in files[1:]:
        shape = _memory_map(file).shape
        if shape != first.shape:
            raise ConfigError(f"{file} has shape {shape}, {files[0].name} has {first.shape}")
    n_t, channels, ny, nx = first.shape
    _check_channels(files[0], channels, fields)
    return ArraySource(
        tuple(f.name for f in files), (n_t, ny, nx), tuple(fields), lambda i: _memory_map(files[i])
    )


def import_arrays(
    source: ArraySource,
    out: str | Path,
    *,
    pixel: float,
    frame_interval: float,
    bounds: Bounds,
    on_case: Callable[[int], None] | None = None,
) -> Path:
    """Write a trajectory file from arrays of another code; an interrupted import continues where it stopped.

    Parameters
    ----------
    source : ArraySource
        The cases.
    out : path
        Trajectory file to write.
    pixel : float
        Side of a pixel [m].
    frame_interval : float
        Time between two frames [s].
    bounds : mapping of str to (float, float)
        For each scaled field, the SI values that 0 and 1 stand for in the source. Fields without an entry are
        taken to be in SI units.
    on_case : callable, optional
        Called with the case number after each case.

    Returns
    -------
    Path
        The trajectory file.

    Raises
    ------
    ConfigError
        Bounds of an unknown field or without a range, or a frame interval that is not positive.
    ValueError
        A value that is not finite; the message names case, frame and pixel.
    """
    if not (math.isfinite(frame_interval) and frame_interval > 0):
        raise ConfigError(f"frame interval must be positive, got {frame_interval} s")
    for name, (low, high) in bounds.items():
        if name not in source.fields:
            raise ConfigError(f"bounds for '{name}', but the fields are {', '.join(source.fields)}")
        if not (math.isfinite(low) and math.isfinite(high) and low != high):
            raise ConfigError(f"bounds of {name}: need two different numbers, got {low} and {high}")
    n_t, ny, nx = source.shape
    spec = TrajectorySpec(
        n_cases=len(source.names),
        shape=(ny, nx),
        pixel=pixel,
        times=tuple(k * frame_interval for k in range(n_t)),
        configuration={"imported": {"cases": list(source.names), "bounds": dict(bounds)}},
        fields=source.fields,
        boundaries=("open", "open"),
    )
    store = CaseStore(out, spec)
    done = store.done()
    for i, name in enumerate(source.names):
        if i not in done:
            values = source.read(i)
            arrays = {f: to_si(values[:, k], bounds.get(f)) for k, f in enumerate(source.fields)}
            store.write(i, arrays, {}, {"source": name})
        if on_case:
            on_case(i)
    return store.merge()


def to_si(values: np.ndarray, bounds: tuple[float, float] | None) -> np.ndarray:
    """Convert to float32 in SI units; `bounds` are the SI values of 0 and 1, None means already SI."""
    if bounds is None:
        return np.ascontiguousarray(values, dtype=np.float32)
    low, high = bounds
    return np.ascontiguousarray(low + (high - low) * values.astype(np.float64), dtype=np.float32)


def _memory_map(path: Path) -> np.ndarray:
    """A .npy file as a memory map; ConfigError for another file."""
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as err:
        raise ConfigError(f"{path}: not a readable .npy array ({reason(err)})") from None


def _check_channels(path: str | Path, channels: int, fields: Sequence[str]) -> None:
    """Check that the number of channels is the number of named fields."""
    check_fields(fields)
    if channels != len(fields):
        raise ConfigError(
            f"{path} has {channels} fields; name them in their order, got {len(fields)}: {', '.join(fields)}"
        )
