"""The case store: a campaign writes each finished case as it comes, survives being killed, merges at the end.

While a campaign runs, `<out>.parts/` holds the spec, one HDF5 file a finished case and one JSON file a failed
one; each appears whole or not at all. `merge` puts them in case order into `<out>` and removes the folder.
"""

from __future__ import annotations

import glob
import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mld_closure.config import ConfigError
from mld_closure.data.curves import check_curves
from mld_closure.data.layout import TrajectorySpec
from mld_closure.data.trajectories import Trajectories, assemble, write_shard
from mld_closure.durable import published

Case = tuple[int, Mapping[str, np.ndarray], Mapping[str, float], Mapping[str, Any]]


class CaseStore:
    """Cases of one trajectory file in the making: resumable, and safe for many writing processes.

    Holds a path and a spec only, so it can be sent to other processes. Raises ConfigError where the file or
    its parts were begun with another spec, or cannot be written.
    """

    def __init__(self, out_path: str | Path, spec: TrajectorySpec) -> None:
        self.path, self.spec = Path(out_path), spec
        if self.path.exists():
            self._check_same(_spec_of(self.path), "choose another name, or remove the file")
            return
        if not self.path.absolute().parent.is_dir():
            raise ConfigError(f"no such folder: {self.path.absolute().parent}")
        self.parts.mkdir(exist_ok=True)
        if not self._spec_file.exists():
            with published(self._spec_file) as temporary:
                temporary.write_text(spec.to_json())
        begun = TrajectorySpec.from_json(self._spec_file.read_text())
        self._check_same(begun, f"choose another name, or remove {self.parts}")

    @property
    def parts(self) -> Path:
        """Folder of the cases written so far."""
        return self.path.with_name(self.path.name + ".parts")

    @property
    def _spec_file(self) -> Path:
        return self.parts / "spec.json"

    def done(self, *, retry_failures: bool = False) -> set[int]:
        """Indices of the cases that need no more work; failed ones count unless they are to be retried.

        Once merged, everything is done: the file is final.
        """
        if self.path.exists():
            return set(range(self.spec.n_cases))
        return set(self._stored()) | (set() if retry_failures else set(self._failed()))

    def write(
        self,
        index: int,
        arrays: Mapping[str, np.ndarray],
        scalars: Mapping[str, float],
        description: Mapping[str, Any],
    ) -> None:
        """Store a finished case durably; a failure recorded for it counts no more.

        arrays: field name -> float32 (time, y, x) and curve name -> float32 (curve time, part) or, of
        arrivals, (part,), in SI units: exactly the fields and curves of the spec. Raises ValueError for a
        wrong index, name, shape or type, for fields that are not finite and for impossible values of curves.
        """
        self._check_index(index)
        check_case(index, arrays, self.spec)
        with published(self._shard(index)) as temporary:
            write_shard(temporary, index, arrays, scalars, description)

    def fail(self, index: int, reason: str) -> None:
        """Record durably that a case failed, and why; it takes no place in the merged file."""
        self._check_index(index)
        with published(self.parts / f"failed_{index:06d}.json") as temporary:
            temporary.write_text(json.dumps({"index": index, "reason": str(reason)}))

    def merge(self) -> Path:
        """Assemble the trajectory file in case order and remove the parts; one process calls it, once.

        Does nothing where the file is there already. Raises RuntimeError while cases are missing, or where
        every case failed.
        """
        if not self.path.exists():
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
            for left_by_a_killed_merge in self.path.parent.glob(f".{glob.escape(self.path.name)}.*.tmp"):
                left_by_a_killed_merge.unlink()
            with published(self.path) as temporary:
                assemble(temporary, self.spec, [stored[i] for i in sorted(stored)], failures)
        shutil.rmtree(self.parts, ignore_errors=True)
        return self.path

    def _stored(self) -> dict[int, Path]:
        return {int(p.stem.removeprefix("case_")): p for p in self.parts.glob("case_*.h5")}

    def _failed(self) -> dict[int, str]:
        records = [json.loads(p.read_text()) for p in self.parts.glob("failed_*.json")]
        return {r["index"]: r["reason"] for r in records}

    def _shard(self, index: int) -> Path:
        return self.parts / f"case_{index:06d}.h5"

    def _check_index(self, index: int) -> None:
        if not 0 <= index < self.spec.n_cases:
            raise ValueError(f"{self.path} has cases 0 to {self.spec.n_cases - 1}, got {index}")

    def _check_same(self, other: TrajectorySpec, cure: str) -> None:
        different = other.differences(self.spec)
        if different:
            key, begun, now = different[0]
            raise ConfigError(f"{self.path} was begun with {key} = {begun}, now it is {now}; {cure}")


def write_trajectories(path: str | Path, spec: TrajectorySpec, cases: Iterable[Case]) -> Path:
    """Write a whole trajectory file from (index, arrays, scalars, description), case by case."""
    store = CaseStore(path, spec)
    for index, arrays, scalars, description in cases:
        store.write(index, arrays, scalars, description)
    return store.merge()


def check_case(index: int, arrays: Mapping[str, np.ndarray], spec: TrajectorySpec) -> None:
    """ValueError unless the arrays of a case are what the spec asks for, and finite."""
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
    try:
        with Trajectories(path) as file:
            return file.spec
    except ValueError as err:
        raise ConfigError(f"{err}; choose another name") from None
