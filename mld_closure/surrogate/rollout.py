"""Model steps of many cells at once: from committed latents, or from frame 0, to the frames they need.

Nothing here changes what is committed. What a call has computed is kept until its step ends, so that a
corrector that asks the same cells for the same frames gets them again for nothing, with the same bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from .. import fields as field_table
from ..closure import clock as life
from ..closure.cells import Life, Pool
from ..closure.options import Settings
from ..closure.policies import BURNED, ClosureError, Status, cells, check_frames, names
from ..closure.sources import Sources
from ..models.dynamics import Latent
from .engine import Engine
from .frame0 import LoadTable
from .own_material import of_own, own_burned, own_share

_BAD = Status.NOT_FINITE | Status.OUT_OF_BOUNDS | Status.NOT_MONOTONE
_CHUNK = 64  # cells copied together
_EVOLVED = ("solid", "left", "right", "draws", "spread", "frame", "life", "relax", "relaxing")


@dataclass(frozen=True)
class Block:
    """Cells (k,) that took model steps in one call: rows (rising), what was asked, records and latents."""

    rows: np.ndarray
    wanted: np.ndarray
    record: np.ndarray
    latents: Latent

    def find(self, rows: np.ndarray, wanted: np.ndarray, up: np.ndarray) -> np.ndarray:
        """Position in this block of cells asked for the same frames under the same load; -1 for others."""
        place = np.minimum(np.searchsorted(self.rows, rows), len(self.rows) - 1)
        same = (self.rows[place] == rows) & (self.wanted[place] == wanted) & (self.record["up"][place] == up)
        return np.where(same, place, -1)


@dataclass
class Evolution:
    """The parts that take cells from frame to frame. shadow: a second reader, or None."""

    engine: Engine
    table: LoadTable
    sources: Sources
    settings: Settings
    clock: life.Clock
    config: Any
    default_spread: float
    shadow: Any = None

    def frames(self, rows: np.ndarray, record: np.ndarray, where: np.ndarray) -> np.ndarray:
        """Scaled frame 0, float32 (k, field, y, x), of cells `rows` (k,) under the loads of records `where`
        (k,), which learn their solid fractions."""
        patches = self.sources.gather(rows)
        record["solid"][where] = patches.mean(axis=(1, 2), dtype=np.float64)
        physical = self.table.frame0(patches, record["up"][where], self.config.fields)
        for i, name in enumerate(self.config.fields):
            physical[:, i] = field_table.get(name).scale(physical[:, i])
        return physical

    def run(
        self,
        rows: np.ndarray,
        ids: np.ndarray,
        record: np.ndarray,
        wanted: np.ndarray,
        pool: Pool,
        blocks: list[Block],
    ) -> tuple[np.ndarray, np.ndarray]:
        """Bring records (k,), in place, to the frames wanted (k,); returns block and position of each latent.

        A block is added to `blocks` where cells had to be computed. Cells stop early where they burn out or
        leave the model (retired, or handed to the fallback). Raises ClosureError by policy.
        """
        block, place = np.full(len(rows), -1), np.full(len(rows), -1)
        for number, earlier in enumerate(blocks):
            found = earlier.find(rows, wanted, record["up"])
            hit = (found >= 0) & (block < 0)
            for name in _EVOLVED:
                record[name][hit] = earlier.record[name][found[hit]]
            record["flags"][hit] |= earlier.record["flags"][found[hit]]
            block[hit], place[hit] = number, found[hit]
        todo = np.flatnonzero(block < 0)
        if len(todo):
            todo = todo[np.argsort(rows[todo], kind="stable")]
            part = record[todo]
            latents = self._compute(rows[todo], ids[todo], part, wanted[todo], pool)
            record[todo] = part
            block[todo], place[todo] = len(blocks), np.arange(len(todo))
            blocks.append(Block(rows[todo], wanted[todo], part, latents))
        return block, place

    def _compute(
        self, rows: np.ndarray, ids: np.ndarray, record: np.ndarray, wanted: np.ndarray, pool: Pool
    ) -> Latent:
        latents = self._committed(record, pool)
        loads = self.config.scale_load(record["up"])
        first = np.flatnonzero(record["frame"] < 0)
        if len(first):
            values, draws = self.engine.encode(
                latents, first, loads[first], ids[first],
                lambda positions: self.frames(rows[first[positions]], record, first[positions]),
            )  # fmt: skip
            self._accept(ids, record, first, values, draws)
        while True:
            go = (record["frame"] >= 0) & (record["frame"] < wanted) & (record["life"] == Life.ACTIVE)
            go &= (record["flags"] & Status.FALLBACK) == 0
            go = np.flatnonzero(go & (record["right"][:, BURNED] < life.DONE))
            if not len(go):
                return latents
            values, draws = self.engine.advance(latents, go, loads[go], ids[go])
            self._accept(ids, record, go, values, draws)
            if self.shadow is not None:
                self.shadow(self.engine, latents, go, loads[go], ids[go], record["frame"][go], values)

    def _committed(self, record: np.ndarray, pool: Pool) -> Latent:
        """Copies of the latents that records (k,) have in the pool, zeros for those that have none."""
        known = np.flatnonzero(record["frame"] >= 0)
        if len(known) == len(record):
            return pool.read(record["slot"])
        latents = self.engine.empty(len(record), self.settings.patch_shape)
        with torch.inference_mode():
            for first in range(0, len(known), _CHUNK):
                chunk = known[first : first + _CHUNK]
                there, index = pool.read(record["slot"][chunk]), torch.from_numpy(chunk)
                latents.mean[index.to(pool.device)] = there.mean
                if pool.with_logvar:
                    latents.logvar[index.to(pool.device)] = there.logvar
        return latents

    def _accept(
        self, ids: np.ndarray, record: np.ndarray, index: np.ndarray, values: np.ndarray, draws: np.ndarray
    ) -> None:
        """Take one more frame into records `index`, or do what policy says where it is no good."""
        part, ids = record[index], ids[index]
        first = part["frame"] < 0
        if self.settings.burned == "own material":
            time = (part["frame"] + 1) * self.clock.step
            length = self.settings.patch_shape[1] * self.table.pixel
            share = own_share(self.table, part["up"], part["solid"], time, length)
            values, draws = own_burned(values, share), of_own(draws, share)
        before = np.where(first, 0.0, part["right"][:, BURNED])
        usable, reasons = check_frames(values, before, self.engine.reader.known)
        change = (draws - np.where(first[:, None], draws, part["draws"])) / self.clock.step
        spread = change.std(axis=1, ddof=1)
        spread = np.where(np.isnan(spread), self.default_spread, spread)
        if self.settings.max_uncertainty is not None:
            reasons[spread > self.settings.max_uncertainty] |= Status.UNCERTAIN
        part["flags"] |= reasons
        leave = np.zeros(len(part), bool)
        for kind, policy in (
            (_BAD, self.settings.on_bad_result),
            (Status.UNCERTAIN, self.settings.on_uncertain),
        ):
            hit = (reasons & kind) != 0
            if policy == "error" and hit.any():
                raise ClosureError(
                    f"result of the model for {cells(ids[hit])}: {names(int(reasons[hit][0]))}; "
                    "choose policy 'clamp' or 'fallback' to go on",
                    ids[hit],
                )
            if policy == "fallback":
                leave |= hit
        part["flags"][leave] |= Status.FALLBACK | Status.REJECTED
        part["frame"][leave] = -1
        lost = ((reasons & Status.NOT_FINITE) != 0) & ~leave
        if lost.any():
            gone = part[lost]
            gone["flags"] |= Status.REJECTED
            never = gone["frame"] < 0
            for side in ("left", "right"):
                gone[side][never] = gone["value"][never]
            life.retire(gone)
            part[lost] = gone
        good = ~lost & ~leave
        part["left"][good] = np.where(first[:, None], usable, part["right"])[good]
        part["right"][good] = usable[good]
        part["draws"][good] = draws[good]
        part["spread"][good] = spread[good]
        part["frame"][good] += 1
        moved = part[good]
        life.remember_rate(moved, self.clock)
        part[good] = moved
        record[index] = part
