"""The case store: writes each finished case of a campaign at once, and merges all cases at the end.

While a campaign runs, the folder `<out>.parts/` holds the specification, one HDF5 file per finished case and
one JSON file per failed case. Each file is written atomically, so a campaign may be killed at any time and
continued. `merge` writes the cases in order to the trajectory file `<out>` and removes the folder. A finished
file takes more cases later: it stays as it is until the longer one takes its place.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mld_closure import durable
from mld_closure.config import ConfigError
from mld_closure.data.curves import check_curves
from mld_closure.data.layout import TrajectorySpec
from mld_closure.data.trajectories import Trajectories
from mld_closure.data.writing import assemble, write_shard
from mld_closure.durable import published

Case = tuple[int, Mapping[str, np.ndarray], Mapping[str, float], Mapping[str, Any]]


class CaseStore:
    """The cases of one trajectory file while it is being made.

    Can be continued after a kill, and many processes may write at the same time. It holds only a path and a
    specification, so it can be pickled and sent to other processes.

    Parameters
    ----------
    out_path : path
        The trajectory file to be made.
    spec : TrajectorySpec
        What all cases share.

    Raises
    ------
    ConfigError
        The file or its parts were begun with another specification, or the folder does not exist.
    """

    def __init__(self, out_path: str | Path, spec: TrajectorySpec) -> None:
        self.path: Path = Path(out_path)
        self.spec: TrajectorySpec = spec
        finished = _spec_of(self.path) if self.path.exists() else None
        if finished is not None:
            shorter = replace(finished, n_cases=spec.n_cases) if self._more(finished) else finished
            self._check_same(shorter, "choose another name, or remove the file")
            if not finished.differences(spec):
                return
        if not self.path.absolute().parent.is_dir():
            raise ConfigError(f"no such folder: {self.path.absolute().parent}")
        durable.make_folder(self.parts.absolute())
        if not self._spec_file.exists():
            durable.write_text(self._spec_file, spec.to_json())
        begun = TrajectorySpec.from_json(self._spec_file.read_text())
        self._check_same(begun, f"choose another name, or remove {self.parts}")
        if finished is not None:
            self._take_back()

    @property
    def parts(self) -> Path:
        """Folder of the cases written so far."""
        return self.path.with_name(self.path.name + ".parts")

    @property
    def _spec_file(self) -> Path:
        return self.parts / "spec.json"

    def done(self, *, retry_failures: bool = False) -> set[int]:
        """Return the indices of the cases that need no more work.

        Parameters
        ----------
        retry_failures : bool
            Whether failed cases are to be computed again, and so are not done.

        Returns
        -------
        set of int
            All indices once the file is merged.
        """
        if self._complete:
            return set(range(self.spec.n_cases))
        return set(self._stored()) | (set() if retry_failures else set(self._failed()))

    def write(
        self,
        index: int,
        arrays: Mapping[str, np.ndarray],
        scalars: Mapping[str, float],
        description: Mapping[str, Any],
    ) -> None:
        """Store a finished case; an earlier failure of this case no longer counts.

        Parameters
        ----------
        index : int
            Index of the case in the campaign.
        arrays : mapping of str to float32 array
            Exactly the fields (time, y, x) and curves (curve time, part), arrivals (part,), of the
            specification, in SI units.
        scalars : mapping of str to float
            Values of the case, in SI units; units by name in `layout.SCALAR_UNITS`.
        description : mapping
            Any facts about the case that can be written as JSON, such as its microstructure.

        Raises
        ------
        ValueError
            A wrong index, name, shape or type, fields that are not finite, impossible values of curves.
        """
        self._check_index(index)
        check_case(index, arrays, self.spec)
        with published(self._shard(index)) as temporary:
            write_shard(temporary, index, arrays, scalars, description)

    def fail(self, index: int, reason: str) -> None:
        """Record that a case failed, and why. A failed case is not part of the merged file.

        Parameters
        ----------
        index : int
            Index of the case in the campaign.
        reason : str
            Kept in the attribute `failures` of the merged file.
        """
        self._check_index(index)
        record = json.dumps({"index": index, "reason": str(reason)})
        durable.write_text(self.parts / f"failed_{index:06d}.json", record)

    def merge(self) -> Path:
        """Write the trajectory file in case order and remove the parts. Only one process may call it.

        Does nothing if the file already holds all cases.

        Returns
        -------
        Path
            The trajectory file.

        Raises
        ------
        RuntimeError
            Cases are missing, or all cases failed.
        """
        if not self._complete:
            stored, failed = self._stored(), self._failed()
            missing = sorted(set(range(self.spec.n_cases)) - set(stored) - set(failed))
            if missing:
                raise RuntimeError(
                    f"{self.path}: {len(missing)} of {self.spec.n_cases} cases are not done yet, "
                    f"the first is case {missing[0]}"
                )
            failures = [(i, failed[i]) for i in sorted(set(failed) - set(stored))]
            if not stored:
                raise RuntimeError(f"{self.path}: all cases failed; case {failures[0][0]}: {failures[0][1]}")
            with published(self.path) as temporary:
                assemble(temporary, self.spec, [stored[i] for i in sorted(stored)], failures)
        begun = (
            TrajectorySpec.from_json(self._spec_file.read_text()) if self._spec_file.exists() else self.spec
        )
        if not begun.differences(self.spec):  # else they belong to a longer file that is being made
            shutil.rmtree(self.parts, ignore_errors=True)
        return self.path

    @property
    def _complete(self) -> bool:
        return self.path.exists() and not _spec_of(self.path).differences(self.spec)

    def _more(self, finished: TrajectorySpec) -> bool:
        """Whether more cases are wanted than a finished file was made to hold."""
        return self.spec.n_cases > finished.n_cases

    def _take_back(self) -> None:
        """Store the cases and failures of the finished file as parts of the longer one that is begun."""
        known = set(self._stored()) | set(self._failed())
        with Trajectories(self.path) as file:
            for slot, index in enumerate(map(int, file.scalars["case"])):
                if index in known:
                    continue
                fields = dict(zip(file.fields, file.read(slot).swapaxes(0, 1), strict=True))
                scalars = {name: float(v[slot]) for name, v in file.scalars.items() if name != "case"}
                with published(self._shard(index)) as temporary:
                    write_shard(temporary, index, fields | file.curves(slot), scalars, file.description(slot))
            for index, reason in file.failures:
                if index not in known:
                    self.fail(index, reason)

    def _stored(self) -> dict[int, Path]:
        """Files of the finished cases by index."""
        return {int(p.stem.removeprefix("case_")): p for p in self.parts.glob("case_*.h5")}

    def _failed(self) -> dict[int, str]:
        """Reasons of the failed cases by index."""
        records = [json.loads(p.read_text()) for p in self.parts.glob("failed_*.json")]
        return {r["index"]: r["reason"] for r in records}

    def _shard(self, index: int) -> Path:
        """File of one finished case."""
        return self.parts / f"case_{index:06d}.h5"

    def _check_index(self, index: int) -> None:
        if not 0 <= index < self.spec.n_cases:
            raise ValueError(f"{self.path} has cases 0 to {self.spec.n_cases - 1}, got {index}")

    def _check_same(self, other: TrajectorySpec, cure: str) -> None:
        """Raise ConfigError where this specification differs from `other`, naming the first difference."""
        different = other.differences(self.spec)
        if different:
            key, begun, now = different[0]
            raise ConfigError(f"{self.path} was begun with {key} = {begun}, now it is {now}; {cure}")


def write_trajectories(path: str | Path, spec: TrajectorySpec, cases: Iterable[Case]) -> Path:
    """Write a whole trajectory file, case by case.

    Parameters
    ----------
    path : path
        The trajectory file.
    spec : TrajectorySpec
        What all cases share.
    cases : iterable of (index, arrays, scalars, description)
        As the arguments of `CaseStore.write`.

    Returns
    -------
    Path
        The trajectory file.
    """
    store = CaseStore(path, spec)
    for index, arrays, scalars, description in cases:
        store.write(index, arrays, scalars, description)
    return store.merge()


def check_case(index: int, arrays: Mapping[str, np.ndarray], spec: TrajectorySpec) -> None:
    """Check the arrays of a case against the specification.

    Raises
    ------
    ValueError
        Missing or extra fields or curves, a wrong shape or type, or a value that is not finite.
    """
    if set(arrays) != set(spec.array_names):
        raise ValueError(
            f"case {index} has fields and curves {sorted(arrays)}, the file takes {sorted(spec.array_names)}"
        )
    check_curves(index, arrays, len(spec.curve_times), spec.parts)
    expected = (spec.n_frames, *spec.shape)
    for name in spec.fields:
        values = arrays[name]
        if values.shape != expected or values.dtype != np.float32:
            raise ValueError(
                f"case {index}, {name}: expected float32 {expected}, got {values.dtype} {values.shape}"
            )
        for frame, image in enumerate(values):
            if not np.isfinite(image).all():
                y, x = np.argwhere(~np.isfinite(image))[0]
                raise ValueError(f"case {index}, {name}: {image[y, x]} at frame {frame}, y {y}, x {x}")


def _spec_of(path: Path) -> TrajectorySpec:
    """Specification of an existing trajectory file."""
    try:
        with Trajectories(path) as file:
            return file.spec
    except ValueError as err:
        raise ConfigError(f"{err}; choose another name") from None
