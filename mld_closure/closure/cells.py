"""What the owner of cells remembers of them: one dataclass of arrays, and the way from ids to rows.

Each quantity is declared once, with its type, unit, meaning, and how it travels: `to_server` with a request
for model frames, `from_server` with the answer. All of them go into restarts and to a new owner when a cell
migrates. Messages, restart files and sizes are made from this declaration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from enum import IntEnum
from typing import Any

import numpy as np

from ..errors import ClosureError, name_cells
from ..fields import QUANTITIES
from ..surrogate.messages import DRAWS, NO_SLOT, WHOLE_PATCH
from .policies import Status

NO_SERVER = -1


class Stage(IntEnum):
    """What a cell is doing."""

    IDLE = 0
    LOADING = 1
    ACTIVE = 2
    BURNED = 3
    BEYOND_HORIZON = 4


STAGE_STATUS = np.array(
    [Status.IDLE, Status.LOADING, Status.ACTIVE, Status.BURNED, Status.BEYOND_HORIZON], np.int64
)


def _column(
    dtype: str,
    initial: Any,
    unit: str,
    meaning: str,
    *,
    shape: tuple[int, ...] = (),
    to_server: bool = False,
    from_server: bool = False,
) -> Any:
    return field(
        metadata={
            "dtype": dtype, "initial": initial, "unit": unit, "meaning": meaning, "shape": shape,
            "to_server": to_server, "from_server": from_server,
        }
    )  # fmt: skip


_SIX = (len(QUANTITIES),)


@dataclass
class CellState:
    """State of cells (n,): one array per quantity, SI units."""

    pressure: np.ndarray = _column("f8", 0.0, "Pa", "pressure at the end of the last committed step")
    porosity: np.ndarray = _column("f8", np.nan, "1", "porosity of the patch; NaN while not known")
    novelty: np.ndarray = _column(
        "f8", np.nan, "1", "distance of the patch from those trained on, above 1 outside; NaN while not known"
    )
    tau: np.ndarray = _column("f8", 0.0, "s", "the cell's own clock: model time since frame 0")
    burned_mass: np.ndarray = _column("f8", 0.0, "kg", "material burned since the cell was registered")
    arrival: np.ndarray = _column("f8", 0.0, "s", "time at which the pressure crossed p_arrival")
    age: np.ndarray = _column("f8", 0.0, "s", "time since then, summed from the lengths of steps")
    peak: np.ndarray = _column(
        "f8", 0.0, "Pa", "running maximum of the pressure, then the shock pressure P_s"
    )
    load: np.ndarray = _column(
        "f8", 0.0, "m/s", "running maximum of the load that the macro state stands for"
    )
    sample_age: np.ndarray = _column("f8", 0.0, "s", "ages at two samples of a rising load", shape=(2,))
    sample_load: np.ndarray = _column("f8", 0.0, "m/s", "the load at those ages", shape=(2,))
    solid: np.ndarray = _column(
        "f8", 0.0, "1", "mean solid fraction of the patch at rest, seen with frame 0",
        to_server=True, from_server=True,
    )  # fmt: skip
    part: np.ndarray = _column(
        "i4", WHOLE_PATCH, "", "column part of the patch that the cell is a point of; -1 for the whole patch",
        to_server=True,
    )  # fmt: skip
    up: np.ndarray = _column(
        "f8", 0.0, "m/s", "load that the model or the fallback was given", to_server=True
    )
    relax: np.ndarray = _column("f8", 0.0, "1/s", "mean specific burn rate of the last frames")
    spread: np.ndarray = _column("f8", 0.0, "1/s", "uncertainty of the burn rate between the two frames")
    left: np.ndarray = _column("f8", 0.0, "SI", "reading of the frame before `frame`", shape=_SIX)
    right: np.ndarray = _column("f8", 0.0, "SI", "reading of `frame`", shape=_SIX)
    value: np.ndarray = _column("f8", 0.0, "SI", "what was last returned", shape=_SIX)
    draws: np.ndarray = _column("f4", 0.0, "1", "burned fractions of latent samples", shape=(DRAWS,))
    flags: np.ndarray = _column("i8", 0, "", "`Status` without the stage")
    server: np.ndarray = _column("i4", NO_SERVER, "", "rank that holds the latent state")
    slot: np.ndarray = _column(
        "i4", NO_SLOT, "", "slot of the latent state in that rank's pool", to_server=True
    )
    frame: np.ndarray = _column(
        "i4", -1, "", "last frame read, of those that are; -1 before the first", to_server=True
    )
    stage: np.ndarray = _column("u1", Stage.IDLE, "", "`Stage`")
    relaxing: np.ndarray = _column("?", False, "", "burned fraction relaxes to 1, past the model's frames")
    seeking: np.ndarray = _column("?", False, "", "the load may still rise")

    def __len__(self) -> int:
        return len(self.stage)

    @classmethod
    def new(cls, count: int) -> CellState:
        """Cells at rest."""
        return cls(*(np.full((count, *m["shape"]), m["initial"], m["dtype"]) for m in COLUMNS.values()))

    @classmethod
    def join(cls, parts: Sequence[CellState]) -> CellState:
        """The cells of several states, one after the other."""
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in COLUMNS))

    def take(self, index: np.ndarray) -> CellState:
        """Copies of the cells at an index array or mask."""
        return CellState(*(getattr(self, name)[index] for name in COLUMNS))

    def put(self, index: np.ndarray, cells: CellState) -> None:
        """Write cells (k,) to index (k,)."""
        for name in COLUMNS:
            getattr(self, name)[index] = getattr(cells, name)

    def pack(self) -> np.ndarray:
        """The cells as a structured array (n,), for messages."""
        out = np.empty(len(self), columns_dtype(COLUMNS))
        for name in COLUMNS:
            out[name] = getattr(self, name)
        return out

    @classmethod
    def unpack(cls, packed: np.ndarray) -> CellState:
        """Inverse of `pack`."""
        return cls(*(np.ascontiguousarray(packed[name]) for name in COLUMNS))


COLUMNS: dict[str, dict[str, Any]] = {f.name: dict(f.metadata) for f in fields(CellState)}
TO_SERVER = tuple(name for name, m in COLUMNS.items() if m["to_server"])
FROM_SERVER = tuple(name for name, m in COLUMNS.items() if m["from_server"])


def columns_dtype(names: Any) -> np.dtype:
    """Structured type of these columns."""
    return np.dtype([(n, COLUMNS[n]["dtype"], COLUMNS[n]["shape"]) for n in names])


BYTES_PER_CELL = columns_dtype(COLUMNS).itemsize
NO_CELLS: CellState = CellState.new(0)


class Cells:
    """The cells that this rank owns: `ids` (n,), their `state`, and the row of each id."""

    def __init__(self) -> None:
        self._set(np.empty(0, np.int64), CellState.new(0))

    def __len__(self) -> int:
        return len(self.ids)

    def check_new(self, ids: np.ndarray) -> None:
        """ClosureError where an id repeats or is registered already."""
        values, counts = np.unique(ids, return_counts=True)
        if (counts > 1).any():
            twice = values[counts > 1]
            raise ClosureError(f"{name_cells(twice)} named twice; every id stands for one cell", twice)
        there = np.isin(ids, self.ids)
        if there.any():
            raise ClosureError(f"{name_cells(ids[there])} already registered; choose new ids", ids[there])

    def add(self, ids: np.ndarray, state: CellState) -> None:
        """Add cells (k,) behind those that are there."""
        self._set(np.concatenate([self.ids, ids]), CellState.join([self.state, state]))

    def remove(self, rows: np.ndarray) -> np.ndarray:
        """Forget the cells in these rows; returns the rows kept, in their order."""
        keep = np.ones(len(self), bool)
        keep[rows] = False
        self._set(self.ids[keep], self.state.take(keep))
        return np.flatnonzero(keep)

    def replace(self, state: CellState) -> None:
        """Take another state of the same cells."""
        self._set(self.ids, state)

    def rows(self, ids: np.ndarray) -> np.ndarray:
        """Row of each id; ClosureError naming unknown or repeated ones."""
        if np.array_equal(ids, self._last_ids):
            return self._last_rows
        place = np.searchsorted(self._sorted, ids)
        place[place == len(self._sorted)] = 0
        known = self._sorted[place] == ids if len(self) else np.zeros(len(ids), bool)
        if not known.all():
            raise ClosureError(f"unknown {name_cells(ids[~known])}; register them first", ids[~known])
        rows = self._order[place]
        last = np.empty(len(self), np.int64)
        last[rows] = np.arange(len(rows))
        again = last[rows] != np.arange(len(rows))
        if again.any():
            raise ClosureError(f"{name_cells(ids[again])} named twice in one call", ids[again])
        self._last_ids, self._last_rows = ids.copy(), rows
        return rows

    def _set(self, ids: np.ndarray, state: CellState) -> None:
        self.ids: np.ndarray = ids
        self.state: CellState = state
        self.ids.setflags(write=False)  # responses show it to the host
        self.all_rows: np.ndarray = np.arange(len(ids))
        self._order = np.argsort(ids, kind="stable")
        self._sorted = ids[self._order]
        self._last_ids, self._last_rows = ids, self.all_rows
