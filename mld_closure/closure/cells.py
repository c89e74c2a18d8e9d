"""What a closure remembers: one small record a cell, and a pool of latent states for the cells that react.

Memory: `CELL` is 275 bytes a registered cell, beside its id, its pressure and its way to the patch (45
bytes). A reacting cell has one latent state besides (means, and log-variances where the model evolves them);
while a step is open, the cells that take a model step in it have a second one, and one more for each further
call in it that asks for other frames. The pool grows by half its size, so up to a third of it may be unused.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
import torch

from ..models.dynamics import Latent
from ..models.readout_head import QUANTITIES
from .policies import ClosureError, Status, cells

DRAWS = 4  # latent samples behind an uncertainty
NO_SLOT = -1
_N = len(QUANTITIES)


class Life(IntEnum):
    """Where a cell is in its life."""

    IDLE = 0
    LOADING = 1
    ACTIVE = 2
    BURNED = 3
    BEYOND_HORIZON = 4


LIFE_STATUS = np.array(
    [Status.IDLE, Status.LOADING, Status.ACTIVE, Status.BURNED, Status.BEYOND_HORIZON], np.int64
)

CELL = np.dtype(
    [
        ("tau", "f8"),  # s, the cell's own clock: model time since frame 0
        ("arrival", "f8"),  # s, time at which the pressure crossed p_ignite
        ("peak", "f8"),  # Pa, running maximum of the pressure, then P_s
        ("load", "f8"),  # m/s, running maximum of the load that the macro state stands for
        ("seen_time", "f8", (2,)),  # s, of two earlier samples of a rising load
        ("seen_load", "f8", (2,)),  # m/s
        ("solid", "f8"),  # solid fraction of the patch at rest, seen with frame 0
        ("up", "f8"),  # m/s, the load the model (or the fallback) was given, within its range
        ("relax", "f8"),  # 1/s, mean specific burn rate of the last frames, kept past the horizon
        ("spread", "f8"),  # 1/s, uncertainty of the burn rate between the two frames
        ("left", "f8", (_N,)),  # readout of the frame before `frame`
        ("right", "f8", (_N,)),  # readout of `frame`
        ("value", "f8", (_N,)),  # what was last returned
        ("draws", "f4", (DRAWS,)),  # burned fractions of latent samples at `frame`
        ("flags", "i8"),  # Status without the life
        ("slot", "i4"),
        ("frame", "i4"),  # model frame of the latent state; -1 before the first
        ("life", "u1"),
        ("relaxing", "?"),
        ("seeking", "?"),  # the load may still rise
    ],
    align=False,
)
NEW = np.zeros((), CELL)
NEW["slot"], NEW["frame"] = NO_SLOT, -1


class Cells:
    """The registered cells: ids to rows, records (n,), pressures (n,) of the last committed step."""

    def __init__(self) -> None:
        self.ids = np.empty(0, np.int64)
        self.record = np.empty(0, CELL)
        self.pressure = np.empty(0, np.float64)
        self.life = np.empty(0, np.uint8)  # copy of record["life"], contiguous
        self._index()

    def __len__(self) -> int:
        return len(self.ids)

    def add(self, ids: np.ndarray, porosity: np.ndarray, rest_temperature: float) -> None:
        """Register cells at rest; ClosureError where an id repeats or is registered already."""
        values, counts = np.unique(ids, return_counts=True)
        if (counts > 1).any():
            twice = values[counts > 1]
            raise ClosureError(f"{cells(twice)} named twice; every id stands for one cell", twice)
        there = np.isin(ids, self.ids)
        if there.any():
            raise ClosureError(f"{cells(ids[there])} already registered; choose new ids", ids[there])
        fresh = np.full(len(ids), NEW)
        names = list(QUANTITIES)
        fresh["value"][:, names.index("mean_temperature")] = rest_temperature
        fresh["value"][:, names.index("porosity")] = porosity
        self.take_over(ids, fresh, np.zeros(len(ids)))

    def take_over(self, ids: np.ndarray, record: np.ndarray, pressure: np.ndarray) -> None:
        """Add cells (k,) that are not there yet, with their records and pressures."""
        self._set(
            np.concatenate([self.ids, ids]),
            np.concatenate([self.record, record]),
            np.concatenate([self.pressure, pressure]),
        )

    def remove(self, rows: np.ndarray) -> np.ndarray:
        """Forget the cells in these rows; returns the rows kept, in their order."""
        keep = np.ones(len(self), bool)
        keep[rows] = False
        self._set(self.ids[keep], self.record[keep], self.pressure[keep])
        return np.flatnonzero(keep)

    def restore(self, record: np.ndarray, pressure: np.ndarray) -> None:
        """Replace all records and pressures."""
        self._set(self.ids, record, pressure)

    def rows(self, ids: np.ndarray) -> np.ndarray:
        """Row of each id; ClosureError naming unknown or repeated ones."""
        if np.array_equal(ids, self._last_ids):
            return self._last_rows
        place = np.searchsorted(self._sorted, ids)
        place[place == len(self._sorted)] = 0
        known = self._sorted[place] == ids if len(self) else np.zeros(len(ids), bool)
        if not known.all():
            raise ClosureError(f"unknown {cells(ids[~known])}; register them first", ids[~known])
        rows = self._order[place]
        last = np.empty(len(self), np.int64)
        last[rows] = np.arange(len(rows))
        again = last[rows] != np.arange(len(rows))
        if again.any():
            raise ClosureError(f"{cells(ids[again])} named twice in one call", ids[again])
        self._last_ids, self._last_rows = ids.copy(), rows
        return rows

    def write(self, rows: np.ndarray, record: np.ndarray) -> None:
        """Commit records (k,) of rows (k,)."""
        self.record[rows] = record
        self.life[rows] = record["life"]

    def _set(self, ids: np.ndarray, record: np.ndarray, pressure: np.ndarray) -> None:
        self.ids, self.record, self.pressure = ids, record, pressure
        self.ids.setflags(write=False)  # responses show it to the host
        self.life = record["life"].copy()
        self._index()

    def _index(self) -> None:
        self.all_rows = np.arange(len(self.ids))
        self._order = np.argsort(self.ids, kind="stable")
        self._sorted = self.ids[self._order]
        self._last_ids, self._last_rows = self.ids, self.all_rows


class Pool:
    """Latent states on the device, (slot, channel, y, x), contiguous; log-variances where they evolve."""

    def __init__(self, shape: tuple[int, int, int], with_logvar: bool, device: torch.device) -> None:
        self.shape, self.device, self.with_logvar = shape, device, with_logvar
        self._free = np.empty(0, np.int32)
        self.mean = torch.empty((0, *shape), device=device)
        self.logvar = torch.empty((0, *shape) if with_logvar else (1, 1, 1, 1), device=device).zero_()

    @property
    def used(self) -> int:
        """Slots taken."""
        return len(self.mean) - len(self._free)

    @property
    def bytes_per_cell(self) -> int:
        """Size of one latent state."""
        return 4 * (1 + self.with_logvar) * int(np.prod(self.shape))

    @torch.inference_mode()
    def read(self, slots: np.ndarray) -> Latent:
        """Copies of the latent states in these slots."""
        index = torch.from_numpy(slots.astype(np.int64)).to(self.device)
        mean = self.mean[index]
        return Latent(mean, self.logvar[index] if self.with_logvar else self.logvar.expand_as(mean))

    @torch.inference_mode()
    def write(self, slots: np.ndarray, latent: Latent, index: np.ndarray) -> None:
        """Store rows `index` of latents in these slots."""
        to = torch.from_numpy(slots.astype(np.int64)).to(self.device)
        source = torch.from_numpy(index.astype(np.int64)).to(self.device)
        self.mean[to] = latent.mean[source]
        if self.with_logvar:
            self.logvar[to] = latent.logvar[source]

    def reserve(self, count: int) -> None:
        """Make sure of that many free slots; the pool grows where it has too few."""
        if count > len(self._free):
            self._grow(max(len(self.mean) + count - len(self._free), int(1.5 * len(self.mean)), 4))

    def take(self, count: int) -> np.ndarray:
        """That many free slots."""
        self.reserve(count)
        slots, self._free = self._free[:count], self._free[count:]
        return slots

    def release(self, slots: np.ndarray) -> None:
        """Give slots back."""
        self._free = np.concatenate([self._free, slots.astype(np.int32)])

    def reset(self, count: int) -> None:
        """Forget everything and make room for `count` cells."""
        self._free = np.arange(len(self.mean), dtype=np.int32)
        self.reserve(count)

    @torch.inference_mode()
    def load(self, slots: np.ndarray, mean: np.ndarray, logvar: np.ndarray | None) -> None:
        """Store latent states (k, channel, y, x) given as arrays."""
        to = torch.from_numpy(slots.astype(np.int64)).to(self.device)
        self.mean[to] = torch.from_numpy(mean).to(self.device)
        if self.with_logvar:
            self.logvar[to] = torch.from_numpy(logvar).to(self.device)

    @torch.inference_mode()
    def _grow(self, capacity: int) -> None:
        old = len(self.mean)
        for name in ("mean", "logvar") if self.with_logvar else ("mean",):
            grown = torch.zeros((capacity, *self.shape), device=self.device)
            grown[:old] = getattr(self, name)
            setattr(self, name, grown)
        self._free = np.concatenate([self._free, np.arange(old, capacity, dtype=np.int32)])
