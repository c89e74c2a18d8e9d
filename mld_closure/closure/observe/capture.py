"""The capture file: cells that needed a policy, as a trajectory file of one frame each.

Each case holds frame 0 of the cell (temperature, pressure, microstructure), its load among the scalars, and
in its description what went in and came out: enough to simulate it and to learn from it.
Why: the layout is written here a second time, because files are the only link between the rooms.
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

from ... import __version__
from ...fields import MODEL_FIELDS, get

_TEXT = h5py.string_dtype()
_UNITS = {
    "piston_speed": "m/s",
    "shock_pressure": "Pa",
    "shock_speed": "m/s",
    "porosity": "1",
    "cell": "1",
    "status": "1",
    "time": "s",
    "clock": "s",
    "macro_pressure": "Pa",
    "burned_fraction": "1",
    "burn_rate": "1/s",
}
_INTEGERS = ("case", "cell", "status")


class Capture:
    """Appends cells to a capture file; the file is opened for each append and closed again.

    shape: (ny, nx) of the patches; pixel in m; configuration: JSON-ready facts about the run. Raises
    ValueError where the file exists with other patches or is not a capture file.
    """

    def __init__(
        self, path: str | Path, shape: tuple[int, int], pixel: float, configuration: Mapping[str, Any]
    ) -> None:
        self.path, self.shape, self.pixel = Path(path), tuple(shape), pixel
        if self.path.exists():
            self._check()
            return
        with h5py.File(self.path, "w") as file:
            self._write_header(file, configuration)

    def append(
        self,
        frames: np.ndarray,
        scalars: Mapping[str, np.ndarray],
        descriptions: Sequence[Mapping[str, Any]],
    ) -> None:
        """Add k cells: frames float32 (k, field, y, x) of MODEL_FIELDS, scalars (k,), descriptions."""
        if set(scalars) != set(_UNITS):
            raise ValueError(
                f"a captured cell needs the scalars {', '.join(_UNITS)}, got {', '.join(scalars)}"
            )
        with h5py.File(self.path, "r+") as file:
            first = int(file.attrs["n_trajectories"])
            last = first + len(frames)
            columns = {f"scalars/{n}": v for n, v in scalars.items()}
            columns["scalars/case"] = np.arange(first, last)
            columns["descriptions"] = [json.dumps(d) for d in descriptions]
            columns |= {f"t0_fields/{n}": frames[:, None, i] for i, n in enumerate(MODEL_FIELDS)}
            for name, values in columns.items():
                file[name].resize(last, axis=0)
                file[name][first:last] = values
            file.attrs["n_trajectories"] = last

    def _check(self) -> None:
        try:
            with h5py.File(self.path, "r") as file:
                shape = file["t0_fields/temperature"].shape[2:]
                fits = shape == self.shape and abs(file.attrs["pixel"] / self.pixel - 1) < 1e-6
                complete = {f"scalars/{name}" for name in _UNITS} <= {f"scalars/{n}" for n in file["scalars"]}
        except (OSError, KeyError) as err:
            raise ValueError(f"{self.path} is no capture file ({err}); choose another name") from None
        if not fits or not complete:
            raise ValueError(
                f"{self.path} holds patches of {shape[0]} x {shape[1]} pixels or another layout, "
                f"this run has {self.shape[0]} x {self.shape[1]}; choose another name"
            )

    def _write_header(self, file: h5py.File, configuration: Mapping[str, Any]) -> None:
        file.attrs.update(
            format="mld_closure trajectories",
            format_version=1,
            dataset_name="pore_collapse",
            grid_type="cartesian",
            n_spatial_dims=2,
            n_trajectories=0,
            simulation_parameters=_text([]),
            pixel=self.pixel,
            frame_times=np.zeros(1),
            boundaries=json.dumps(["wall", "open"]),
            failures=json.dumps([]),
            configuration=json.dumps(configuration),
            version=__version__,
            platform=f"{platform.platform()}, Python {platform.python_version()}",
            created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        )
        dimensions = file.create_group("dimensions")
        dimensions.attrs["spatial_dims"] = _text(["y", "x"])
        dimensions.create_dataset("time", data=np.zeros(1, np.float32)).attrs.update(
            sample_varying=False, units="s"
        )
        for name, size, kind in zip(("y", "x"), self.shape, ("wall", "open"), strict=True):
            centres = ((np.arange(size) + 0.5) * self.pixel).astype(np.float32)
            dimensions.create_dataset(name, data=centres).attrs.update(
                sample_varying=False, time_varying=False, units="m"
            )
            self._write_boundary(file, name, size, kind)
        for order in range(3):
            held = MODEL_FIELDS if order == 0 else ()
            file.create_group(f"t{order}_fields").attrs["field_names"] = _text(held)
        for name in MODEL_FIELDS:
            dataset = file.create_dataset(
                f"t0_fields/{name}",
                shape=(0, 1, *self.shape),
                maxshape=(None, 1, *self.shape),
                chunks=(1, 1, *self.shape),
                dtype="f4",
                shuffle=True,
                compression="gzip",
                compression_opts=1,
            )
            dataset.attrs.update(
                dim_varying=[True, True], sample_varying=True, time_varying=True, units=get(name).units
            )
        names = ["case", *_UNITS]
        file.create_group("scalars").attrs["field_names"] = _text(names)
        for name in names:
            kind = "i8" if name in _INTEGERS else "f8"
            dataset = file.create_dataset(f"scalars/{name}", shape=(0,), maxshape=(None,), dtype=kind)
            dataset.attrs.update(sample_varying=True, time_varying=False, units=_UNITS.get(name, "1"))
        file.create_dataset("descriptions", shape=(0,), maxshape=(None,), dtype=_TEXT)

    @staticmethod
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
