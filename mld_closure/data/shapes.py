"""Whether the parts of a trajectory file have the shapes that its header promises, and lie in the file.

Looked at when a file is opened, before anything of it is read: what is announced decides what is allocated.
"""

from __future__ import annotations

from collections.abc import Iterator

import h5py
import numpy as np

from mld_closure.data.curves import GROUP, shapes
from mld_closure.data.layout import VELOCITY, datasets

MOST_CASES, MOST_FRAMES, MOST_PIXELS = 10**7, 10**6, 1 << 28


class Header:
    """What the header of a trajectory file says; `trajectories.Trajectories` reads and explains it."""

    times: np.ndarray
    shape: tuple[int, int]
    fields: tuple[str, ...]
    n_cases: int
    scalars: dict[str, np.ndarray]
    cases: np.ndarray
    curve_times: np.ndarray
    parts: int
    _file: h5py.File

    def raw(self, where: str) -> h5py.Dataset:
        """The dataset at a path inside the file, unread."""
        return self._file[where]

    def __contains__(self, where: str) -> bool:
        """Whether the file has something at a path inside it."""
        return where in self._file


def faulty_shapes(trajectories: Header) -> Iterator[str]:
    """Faults of number, shape and type of all that a file holds, one sentence each."""
    n, frames, (ny, nx) = trajectories.n_cases, trajectories.times, trajectories.shape
    if not 0 <= n <= MOST_CASES or frames.ndim != 1 or not 1 <= len(frames) <= MOST_FRAMES:
        yield f"{n} cases with frame_times of shape {frames.shape}"
        return
    if min(ny, nx) < 1 or ny * nx > MOST_PIXELS:
        yield f"frames of {ny} x {nx} pixels"
        return
    for name, values in trajectories.scalars.items():
        if values.shape != (n,):
            yield f"scalars/{name}: expected shape ({n},), got {values.shape}"
    if trajectories.cases.shape != (n,):
        yield f"scalars/case: expected shape ({n},), got {trajectories.cases.shape}"
    if getattr(trajectories.raw("descriptions"), "shape", None) != (n,):
        yield f"descriptions: expected one for each of {n} cases"
    for where, held in datasets(trajectories.fields).items():
        components = (len(VELOCITY),) if len(held) > 1 else ()
        yield from _faulty_dataset(trajectories, where, (n, len(frames), ny, nx, *components))
    if trajectories.curve_times.ndim != 1 or not 0 <= trajectories.parts <= nx:
        yield f"{GROUP}: times of shape {trajectories.curve_times.shape} with {trajectories.parts} parts"
        return
    for name, one in shapes(len(trajectories.curve_times), trajectories.parts).items():
        yield from _faulty_dataset(trajectories, f"{GROUP}/{name}", (n, *one))


def leads_outside(file: h5py.File) -> str | None:
    """The path, in a file, of something that lies in another file; None where all of it lies in this one."""
    found: list[str] = []

    def look(group: h5py.Group, path: str, depth: int) -> None:
        for name in group:
            where, link = f"{path}{name}", group.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                found.append(where)
                continue
            item = group[name]
            if isinstance(item, h5py.Dataset) and (item.external or item.is_virtual):
                found.append(where)
            elif isinstance(item, h5py.Group) and depth < 4:
                look(item, f"{where}/", depth + 1)

    look(file, "", 0)
    return found[0] if found else None


def _faulty_dataset(trajectories: Header, where: str, expected: tuple[int, ...]) -> Iterator[str]:
    dataset = trajectories.raw(where) if where in trajectories else None
    if not isinstance(dataset, h5py.Dataset):
        yield f"{where} is missing"
        return
    if dataset.shape != expected:
        yield f"{where}: expected shape {expected}, got {dataset.shape}"
    if dataset.dtype != np.float32:
        yield f"{where}: expected float32, got {dataset.dtype}"
    if dataset.chunks is not None and np.prod(dataset.chunks, dtype=float) > 4 * MOST_PIXELS:
        yield f"{where}: chunks of {dataset.chunks}"
