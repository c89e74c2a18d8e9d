"""The journal of a run: frames and rows of steps, appended while it goes and cut back at a restart."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

FRAMES, STEPS = "frames.bin", "steps.csv"
FULL = "free space there, or choose another folder"


class Journal:
    """Frames and rows of numbers, appended to two files in `folder`.

    Parameters
    ----------
    folder : Path
        Where they lie.
    names : list of str
        Fields of a frame, each float32 (y, x).
    shape : tuple of int
        (ny, nx) of a field.
    columns : list of str
        Columns of a row.
    sizes : tuple of int
        (frames, bytes of rows) to cut back to before going on; (0, 0) starts anew.
    """

    def __init__(
        self,
        folder: Path,
        names: list[str],
        shape: tuple[int, int],
        columns: list[str],
        sizes: tuple[int, int],
    ) -> None:
        self.folder, self.names, self.columns = folder, names, columns
        self.dtype = np.dtype([("time", "f8"), ("step", "i8"), ("fields", "f4", (len(names), *shape))])
        self.frames = sizes[0]
        self._frames = _cut(folder / FRAMES, sizes[0] * self.dtype.itemsize)
        self._steps = _cut(folder / STEPS, sizes[1])
        if not sizes[1]:
            self._append(self._steps, (",".join(columns) + "\n").encode())

    def frame(self, time: float, step: int, fields: Mapping[str, np.ndarray]) -> None:
        """Append a frame."""
        record = np.empty((), self.dtype)
        record["time"], record["step"] = time, step
        record["fields"] = [fields[name] for name in self.names]
        self._append(self._frames, record.tobytes())
        self.frames += 1

    def row(self, numbers: Mapping[str, float]) -> None:
        """Append a row of `columns`, floats to the last bit."""
        self._append(self._steps, (",".join(repr(numbers[c]) for c in self.columns) + "\n").encode())

    def flush(self) -> tuple[int, int]:
        """Make sure that all is on disk; returns its sizes."""
        for file in (self._frames, self._steps):
            os.fsync(file.fileno())
        return self.frames, os.fstat(self._steps.fileno()).st_size

    def read(self) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """All frames as a memory map of records, and the rows by column."""
        rows = np.loadtxt(self.folder / STEPS, delimiter=",", skiprows=1, ndmin=2)
        columns = rows.reshape(-1, len(self.columns)).T
        frames = np.memmap(self.folder / FRAMES, self.dtype, "r", shape=(self.frames,))
        return frames, dict(zip(self.columns, columns, strict=True))

    def close(self) -> None:
        """Close the files; harmless a second time."""
        self._frames.close()
        self._steps.close()

    @staticmethod
    def _append(file: Any, data: bytes) -> None:
        try:
            file.write(data)
        except OSError as err:
            raise OSError(err.errno, f"{err.strerror}; {FULL}", file.name) from None


def _cut(path: Path, size: int) -> Any:
    file = open(path, "ab", buffering=0)  # noqa: SIM115 (the journal closes it)
    file.truncate(size)
    return file
