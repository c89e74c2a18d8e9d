"""A trajectory file that takes more cases while it is in use, and survives a kill at any moment.

Cases are written to small files beside it first, each whole or not at all, in `<name>.waiting/`. When those
have grown to a share of the file, or the file is small, all are put together in a new file that takes the
place of the old one. What a killed program left waiting is taken in when the file is next opened here.
Why: HDF5 files cannot be changed in place so that a kill does no harm, and rewriting a large file for each
case would take longer than the run.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mld_closure.config import ConfigError
from mld_closure.data.layout import TrajectorySpec, datasets
from mld_closure.data.store import check_case
from mld_closure.data.trajectories import Trajectories, open_file
from mld_closure.data.writing import write_columns, write_header
from mld_closure.durable import published

SMALL = 8 * 2**20  # bytes of a file that may be rewritten for each case
SHARE = 0.5  # of the file that may be waiting


@dataclass(frozen=True)
class Scalar:
    """A number of each case: its units, and whether it is an integer; others are stored as float64."""

    units: str
    integer: bool = False


class GrowingTrajectories:
    """Appends cases to a trajectory file.

    Between calls no file is open. The file appears with the first cases.

    Parameters
    ----------
    path : path
        The file, new or begun before.
    spec : TrajectorySpec
        What all cases share; its `n_cases` counts for nothing.
    scalars : dict
        Scalars of a case by name, besides `case`, its number in the file.

    Raises
    ------
    ConfigError
        Where the file holds other fields, frames or scalars.
    ValueError
        Where it is no trajectory file.
    """

    def __init__(self, path: str | Path, spec: TrajectorySpec, scalars: Mapping[str, Scalar]) -> None:
        self.path: Path = Path(path)
        self.spec: TrajectorySpec = spec
        self.scalars: dict[str, Scalar] = dict(scalars)
        self._in_file = 0
        if self.path.exists():
            self._check()
        self._waiting = self._recovered()
        self.n_cases: int = self._in_file + sum(count for _, count in self._waiting)
        if self._waiting:
            self.fold()

    def append(
        self,
        arrays: Mapping[str, np.ndarray],
        scalars: Mapping[str, np.ndarray],
        descriptions: Sequence[Mapping[str, Any]],
    ) -> None:
        """Add k cases; they are on disk when this returns.

        Parameters
        ----------
        arrays : dict
            Field name -> float32 (k, time, y, x), SI units: exactly the fields of the spec.
        scalars : dict
            Name -> (k,): exactly those named at the beginning.
        descriptions : sequence of dict
            k JSON-ready descriptions.

        Raises
        ------
        ValueError
            For wrong names, shapes or types, and values that are not finite.
        OSError
            Where the disk takes no more; what was there before stays.
        """
        if set(scalars) != set(self.scalars):
            raise ValueError(
                f"{self.path}: a case needs the scalars {', '.join(self.scalars)}, got {', '.join(scalars)}"
            )
        k = len(descriptions)
        for i in range(k):
            check_case(self.n_cases + i, {name: values[i] for name, values in arrays.items()}, self.spec)
        self._folder.mkdir(exist_ok=True)
        part = self._folder / f"from_{self.n_cases:09d}.h5"
        columns = {"case": np.arange(self.n_cases, self.n_cases + k, dtype=np.int64)}
        columns |= {n: np.asarray(scalars[n], "i8" if s.integer else "f8") for n, s in self.scalars.items()}
        with published(part) as temporary, h5py.File(temporary, "w") as file:
            write_header(file, self.spec, k, [])
            for where, held in datasets(self.spec.fields).items():
                parts = [arrays[name] for name in held]
                file[where][...] = parts[0] if len(parts) == 1 else np.stack(parts, axis=-1)
            self._write_columns(file, columns, descriptions)
        self._waiting.append((part, k))
        self.n_cases += k
        size = self.path.stat().st_size if self.path.exists() else 0
        if size < SMALL or sum(p.stat().st_size for p, _ in self._waiting) > SHARE * size:
            self.fold()

    def fold(self) -> None:
        """Put the cases that wait into the file; harmless where none do."""
        if not self._waiting:
            return
        sources = [*([self.path] if self._in_file else []), *(part for part, _ in self._waiting)]
        with published(self.path) as temporary:
            self._join(sources, temporary)
        self._in_file, self._waiting = self.n_cases, []
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _folder(self) -> Path:
        return self.path.with_name(self.path.name + ".waiting")

    def _write_columns(
        self, file: h5py.File, columns: Mapping[str, np.ndarray], descriptions: Sequence[Any]
    ) -> None:
        write_columns(file, columns, descriptions, {n: s.units for n, s in self.scalars.items()})

    def _join(self, sources: Sequence[Path], target: Path) -> None:
        """Write the cases of all sources, as compressed bytes, into a new file."""
        names, descriptions = ["case", *self.scalars], []
        columns: dict[str, list[np.ndarray]] = {name: [] for name in names}
        with h5py.File(target, "w") as file:
            write_header(file, self.spec, self.n_cases, [])
            first = 0
            for path in sources:
                with open_file(path) as source:
                    if first == 0:
                        for name in ("created", "version", "platform", "configuration"):
                            file.attrs[name] = source.attrs[name]
                    count = int(source.attrs["n_trajectories"])
                    for name in names:
                        columns[name].append(source[f"scalars/{name}"][:])
                    descriptions += list(source["descriptions"][:])
                    for where in datasets(self.spec.fields):
                        _copy_cases(source[where], file[where], first)
                    first += count
            joined = {name: np.concatenate(values) for name, values in columns.items()}
            self._write_columns(file, joined, descriptions)

    def _check(self) -> None:
        with Trajectories(self.path) as file:
            here = (file.fields, file.shape, tuple(file.times), set(file.scalars))
            there = (self.spec.fields, self.spec.shape, self.spec.times, {"case", *self.scalars})
            if here != there or abs(file.pixel / self.spec.pixel - 1) > 1e-6:
                there, mine = ("{} x {}".format(*shape) for shape in (file.shape, self.spec.shape))
                raise ConfigError(
                    f"{self.path} holds patches of {there} pixels or another layout, this run has {mine}; "
                    "choose another name"
                )
            self._in_file = file.n_cases

    def _recovered(self) -> list[tuple[Path, int]]:
        """Cases that a killed program left waiting: (file, how many); what is in the file already goes."""
        found, expected = [], self._in_file
        for part in sorted(self._folder.glob("from_*.h5")):
            first = int(part.stem.removeprefix("from_"))
            if first < self._in_file:
                continue
            if first != expected:
                raise ConfigError(f"{part} does not continue {self.path}; choose another name")
            with Trajectories(part) as file:
                found.append((part, file.n_cases))
            expected += found[-1][1]
        if not found:
            shutil.rmtree(self._folder, ignore_errors=True)
        return found


def _copy_cases(source: h5py.Dataset, target: h5py.Dataset, first: int) -> None:
    rest = (0,) * (source.ndim - 2)
    for case in range(source.shape[0]):
        for frame in range(source.shape[1]):
            mask, raw = source.id.read_direct_chunk((case, frame, *rest))
            target.id.write_direct_chunk((first + case, frame, *rest), raw, mask)
