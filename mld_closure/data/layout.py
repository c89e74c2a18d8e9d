"""What a trajectory file holds and where: names, shapes, units and the specification all its cases share.

The layout is that of The Well (PolymathicAI, docs/data_format.md), so its tools open these files unchanged:

    /            format, format_version, pixel, frame_times, failures, configuration, ... as attributes
    dimensions/  time (float32), y, x (pixel centres, m)
    boundary_conditions/, scalars/ (one value per case, units in `SCALAR_UNITS`), descriptions (JSON)
    t0_fields/   one dataset per scalar field, (case, time, y, x), SI units as in `fields.FIELDS`
    t1_fields/   velocity (m/s), (case, time, y, x, component), components in the order y, x
    curves/      where a case has them, series of the patch's own material with their own times: `curves.py`

Why: exact frame times are kept in float64 beside the float32 ones that the layout asks for.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mld_closure import fields as field_table
from mld_closure.config import ConfigError
from mld_closure.data.curves import CURVES, GROUP, shapes

FORMAT = "mld_closure trajectories"
FORMAT_VERSION = 1
DATASET_NAME = "pore_collapse"
SPATIAL_DIMS = ("y", "x")
VELOCITY = ("velocity_y", "velocity_x")  # components in the order of SPATIAL_DIMS
ALL_FIELDS = tuple(field_table.FIELDS)
BOUNDARY_TYPES = ("wall", "open", "periodic")
MAX_FRAMES = 8000  # frame times are stored as an attribute, which HDF5 limits to 64 KiB

SCALAR_UNITS = {
    "case": "1",
    "piston_speed": "m/s",
    "shock_pressure": "Pa",
    "shock_speed": "m/s",
    "shock_density": "kg/m3",
    "shock_temperature": "K",
    "seed": "1",
    "void_count": "1",
    "porosity": "1",
    "pore_median": "m",
    "pore_sigma": "1",
    "halo": "1",
    "tail": "1",
}
INTEGER_SCALARS = ("case", "seed", "void_count", "halo", "tail")


@dataclass(frozen=True)
class TrajectorySpec:
    """What all cases of one file share; two runs may write to one file only if they agree in all of it.

    Attributes
    ----------
    n_cases : int
        Number of cases requested.
    shape : (int, int)
        (ny, nx) [pixels].
    pixel : float
        Side of a pixel [m].
    times : tuple of float
        Times of the frames [s], increasing.
    configuration : mapping
        How the cases are made; ready for JSON.
    fields : tuple of str
        Names from `fields.FIELDS`; they are stored in that order.
    boundaries : (str, str)
        Boundary type across y and across x.
    curve_times : tuple of float
        Times of the curves [s]; empty where the cases have no curves.
    parts : int
        Column parts of a curve, in addition to the whole patch.

    Raises
    ------
    ConfigError
        A value that cannot be stored.
    """

    n_cases: int
    shape: tuple[int, int]
    pixel: float
    times: tuple[float, ...]
    configuration: Mapping[str, Any] = field(default_factory=dict)
    fields: tuple[str, ...] = ALL_FIELDS
    boundaries: tuple[str, str] = ("wall", "open")
    curve_times: tuple[float, ...] = ()
    parts: int = 0

    def __post_init__(self) -> None:
        for name, kind in (("shape", int), ("times", float), ("fields", str), ("boundaries", str),
                           ("curve_times", float)):  # fmt: skip
            object.__setattr__(self, name, tuple(kind(v) for v in getattr(self, name)))
        object.__setattr__(self, "pixel", float(self.pixel))
        object.__setattr__(self, "configuration", json.loads(json.dumps(self.configuration)))
        if self.n_cases < 1:
            raise ConfigError(f"a trajectory file needs at least one case, got {self.n_cases}")
        if len(self.shape) != 2 or min(self.shape) < 1:
            raise ConfigError(f"frames must be (ny, nx) with at least one pixel each way, got {self.shape}")
        if not (math.isfinite(self.pixel) and self.pixel > 0):
            raise ConfigError(f"pixel size must be positive, got {self.pixel} m")
        if not 1 <= len(self.times) <= MAX_FRAMES:
            raise ConfigError(f"a case has 1 to {MAX_FRAMES} frames, got {len(self.times)}")
        late = first_not_increasing(self.times)
        if late is not None:
            raise ConfigError(f"frame times must increase, got {self.times[late]} s at frame {late}")
        if len(self.curve_times) > MAX_FRAMES:
            raise ConfigError(f"curves have at most {MAX_FRAMES} times, got {len(self.curve_times)}")
        late = first_not_increasing(self.curve_times)
        if late is not None:
            raise ConfigError(f"curve times must increase, got {self.curve_times[late]} s at time {late}")
        if self.parts < 0 or (self.parts and not self.curve_times):
            raise ConfigError(f"{self.parts} parts without curve times; give both or neither")
        if len(self.boundaries) != 2 or not set(self.boundaries) <= set(BOUNDARY_TYPES):
            raise ConfigError(f"boundaries {self.boundaries}: two of {', '.join(BOUNDARY_TYPES)}")
        check_fields(self.fields)
        object.__setattr__(self, "fields", tuple(n for n in ALL_FIELDS if n in self.fields))

    @property
    def n_frames(self) -> int:
        """Frames of each case."""
        return len(self.times)

    @property
    def array_names(self) -> tuple[str, ...]:
        """Names of all arrays of a case: fields, then curves."""
        return self.fields + tuple(shapes(len(self.curve_times), self.parts))

    def to_json(self) -> str:
        """Return the specification as JSON; `from_json` returns an equal one."""
        return json.dumps({name: getattr(self, name) for name in self.__dataclass_fields__}, indent=1)

    @classmethod
    def from_json(cls, text: str) -> TrajectorySpec:
        """Return the specification written by `to_json`."""
        return cls(**json.loads(text))

    def differences(self, other: TrajectorySpec) -> list[tuple[str, str, str]]:
        """Return (key, value here, value in `other`) for every difference; nested keys are joined by dots."""
        mine, theirs = (dict(_flat(json.loads(s.to_json()))) for s in (self, other))
        keys = [k for k in {**mine, **theirs} if mine.get(k) != theirs.get(k)]
        return [(k, _short(mine.get(k)), _short(theirs.get(k))) for k in keys]


def check_fields(names: Sequence[str]) -> None:
    """Check that field names can be stored together in one file.

    They must be known and different, include temperature, pressure and microstructure, and include both
    components of the velocity or none.

    Raises
    ------
    ConfigError
        They cannot; the message names the field.
    """
    unknown = [n for n in names if n not in field_table.FIELDS]
    if unknown:
        raise ConfigError(f"unknown field '{unknown[0]}'; known fields: {', '.join(ALL_FIELDS)}")
    if len(set(names)) != len(names):
        raise ConfigError(f"a field is named twice: {', '.join(names)}")
    missing = [n for n in field_table.MODEL_FIELDS if n not in names]
    if missing:
        raise ConfigError(f"field '{missing[0]}' is missing; got {', '.join(names)}")
    if len(set(VELOCITY) & set(names)) == 1:
        raise ConfigError("velocity needs both components, velocity_x and velocity_y")


def datasets(names: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Return the array names of each dataset: one per field or curve, both components for velocity."""
    out = {f"{GROUP if n in CURVES else 't0_fields'}/{n}": (n,) for n in names if n not in VELOCITY}
    if set(VELOCITY) <= set(names):
        out["t1_fields/velocity"] = VELOCITY
    return out


def first_not_increasing(times: Sequence[float]) -> int | None:
    """Return the first frame whose time is not finite or not after the one before; None if there is none."""
    for i, t in enumerate(times):
        if not math.isfinite(t) or (i and not t > times[i - 1]):
            return i
    return None


def _flat(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for k, v in value.items():
            yield from _flat(v, f"{key}.{k}" if key else k)
    else:
        yield key, value


def _short(value: Any) -> str:
    text = json.dumps(value) if value is not None else "absent"
    return text if len(text) <= 60 else f"{text[:57]}..."
