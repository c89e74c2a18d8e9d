"""What a macro run keeps on disk while it goes: a journal of frames and steps, and checkpoints.

The journal is appended to and cut back at a restart; a checkpoint is a folder that appears whole under its
name (written beside, flushed, renamed) and says how much of the journal belongs to it.
"""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..durable import sync
from ..runtime.agree import Attempt
from ..runtime.comm import SerialComm

FORMAT = 1
FRAMES, STEPS, CHECKPOINTS = "frames.bin", "steps.csv", "checkpoints"
STATE, FACTS, CLOSURE = "state.npz", "facts.json", "closure"
FULL = "free space there, or choose another --out"


class Journal:
    """Frames (float32 fields by name, (y, x) each) and rows of numbers, appended in `folder`.

    sizes: (frames, bytes of rows) to cut back to before going on; (0, 0) starts anew.
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


def save_checkpoint(
    out: Path,
    name: str,
    arrays: Mapping[str, np.ndarray],
    facts: Mapping[str, Any],
    save_closure: Callable[[Path], None] | None = None,
    comm: Any = None,
) -> Path:
    """Write OUT/checkpoints/NAME: arrays, JSON-ready facts, and what `save_closure(folder)` writes.

    comm: of all ranks that call this together; rank 0 writes, save_closure is called on all. Raises
    RuntimeError where the disk takes no more; earlier checkpoints are untouched.
    """
    comm = SerialComm() if comm is None else comm
    parent, attempt = out / CHECKPOINTS, Attempt(comm)
    final, temporary = parent / name, parent / f".{name}.tmp"
    try:
        if comm.rank == 0:
            attempt(_begin, temporary, arrays, facts)
        attempt.settle()
        if save_closure is not None:
            save_closure(temporary / CLOSURE)
        if comm.rank == 0:
            attempt(_finish, temporary, final)
        attempt.settle()
    except (OSError, ValueError) as err:
        if comm.rank == 0:
            shutil.rmtree(temporary, ignore_errors=True)
        whole = checkpoints(out)
        kept = f"the last whole one is {whole[-1]}" if whole else "there is no earlier one"
        why = getattr(err, "strerror", None) or err
        shared = RuntimeError(f"checkpoint {final} could not be written ({why}); {kept}; {FULL}")
        shared.everywhere = True
        raise shared from None
    return final


def _begin(temporary: Path, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> None:
    temporary.parent.mkdir(exist_ok=True)
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    with open(temporary / STATE, "wb") as file:
        np.savez(file, **arrays)
        _sync(file)
    with open(temporary / FACTS, "w") as file:
        json.dump({"format": FORMAT, **facts}, file, indent=1)
        _sync(file)


def _finish(temporary: Path, final: Path) -> None:
    sync(temporary)
    os.rename(temporary, final)
    sync(final.parent)


def load_checkpoint(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays and facts of a checkpoint; FileNotFoundError where there is none, ValueError where damaged."""
    if not (path / FACTS).is_file():
        known = [p.name for p in checkpoints(path.parent.parent)]
        there = f"there are {known[0]} to {known[-1]}" if known else "none is there"
        raise FileNotFoundError(f"no checkpoint {path}; {there}")
    try:
        facts = json.loads((path / FACTS).read_text())
        with np.load(path / STATE) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as err:
        raise ValueError(f"checkpoint {path} is damaged ({err}); use an earlier one") from None
    if facts.get("format") != FORMAT:
        raise ValueError(f"checkpoint {path} has format {facts.get('format')}, this version reads {FORMAT}")
    return arrays, facts


def checkpoints(out: Path) -> list[Path]:
    """The whole checkpoints of a run, oldest first."""
    return sorted(p for p in (out / CHECKPOINTS).glob("step-*") if p.is_dir())


def continue_in(out: Path, checkpoint: Path, frame_bytes: int, sizes: tuple[int, int]) -> None:
    """Make `out` ready to go on from a checkpoint: the journal of its run, none of its later checkpoints.

    Raises ValueError where the journal beside the checkpoint is gone or too short.
    """
    source = checkpoint.parent.parent
    wanted = {FRAMES: sizes[0] * frame_bytes, STEPS: sizes[1]}
    for name, size in wanted.items():
        have = (source / name).stat().st_size if (source / name).exists() else 0
        if have < size:
            raise ValueError(
                f"{source / name} holds {have} of the {size} bytes that {checkpoint.name} builds on; "
                "keep the files of a run together with its checkpoints"
            )
    if out.resolve() != source.resolve():
        for name, size in wanted.items():
            with open(source / name, "rb") as a, open(out / name, "wb") as b:
                shutil.copyfileobj(a, b)
                b.truncate(size)
        return
    for later in checkpoints(out):
        if later.name > checkpoint.name:
            shutil.rmtree(later)
    for torn in (out / CHECKPOINTS).glob(".step-*.tmp"):
        shutil.rmtree(torn, ignore_errors=True)


def _cut(path: Path, size: int) -> Any:
    file = open(path, "ab", buffering=0)  # noqa: SIM115 (the journal closes it)
    file.truncate(size)
    return file


def _sync(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())
