"""Latent states of many cells from frame to frame: what a server of latent states does."""

from __future__ import annotations

import numpy as np
import torch

from .. import fields as field_table
from ..fields import QUANTITIES
from ..grids import LATENT_FACTOR
from ..models.dynamics import Latent
from ..models.settings import ModelConfig
from .blocks import Block, StepBlocks
from .engine import Engine
from .frame0 import LoadTable
from .messages import DRAWS, FINISHED, Answers, Requests
from .own_material import of_own, own_burned, own_share
from .pool import Pool
from .shadow import ReadoutShadow

BURNED = list(QUANTITIES).index("burned_fraction")
_CHUNK = 64  # cells copied together


class Rollout(StepBlocks):
    """Brings cells to the frames that their owners want, from the pool or from frame 0.

    Parameters
    ----------
    engine
        The networks at work, with the reader that serves.
    table
        Loads and frame 0.
    config
        Of the model: its fields and the scale of its loads.
    frame_step
        Time between frames that are read (s).
    length
        Length of a patch along the shock (m).
    pool
        Latent states that are kept from step to step.
    shadow
        A second reader, or None.
    """

    def __init__(
        self,
        engine: Engine,
        table: LoadTable,
        config: ModelConfig,
        frame_step: float,
        length: float,
        pool: Pool,
        shadow: ReadoutShadow | None = None,
    ) -> None:
        self.engine: Engine = engine
        self.table: LoadTable = table
        self.config: ModelConfig = config
        super().__init__(pool)
        self.shadow: ReadoutShadow | None = shadow
        self.frame_step: float = frame_step
        self.length: float = length

    def _compute(self, asked: Requests, which: np.ndarray) -> Block:
        """Frames of the requests `which` (k,), sorted by id."""
        ids, up, wanted = asked.id[which], asked.up[which], asked.wanted[which]
        frame, counts = asked.frame[which].astype(np.int64), asked.counts[which]
        first = np.cumsum(counts) - counts
        latents = self._kept(frame, asked.slot[which])
        loads = self.config.scale_load(up)
        values = np.full((int(counts.sum()), len(QUANTITIES)), np.nan)
        draws = np.full((len(values), DRAWS), np.nan)
        solid, done = np.full(len(which), np.nan), np.zeros(len(which), bool)
        known = self.engine.reader.known

        def take(go: np.ndarray, read: np.ndarray, drawn: np.ndarray) -> None:
            frame[go] += 1
            share = own_share(self.table, up[go], solid_of[go], frame[go] * self.frame_step, self.length)
            row = first[go] + frame[go] - asked.frame[which[go]] - 1
            values[row], draws[row] = own_burned(read, share), of_own(drawn, share)
            done[go] = (values[row, BURNED] >= FINISHED) | ~np.isfinite(values[row][:, known]).all(axis=1)

        starts = np.flatnonzero(frame < 0)
        solid_of = asked.solid[which].copy()
        if len(starts):

            def frames(positions: np.ndarray) -> np.ndarray:
                chosen = starts[positions]
                patches = asked.patches(which[chosen])
                solid[chosen] = solid_of[chosen] = patches.mean(axis=(1, 2), dtype=np.float64)
                return self._frame0(patches, up[chosen])

            take(starts, *self.engine.encode(latents, starts, loads[starts], ids[starts], frames))
        while len(go := np.flatnonzero((frame < wanted) & ~done)):
            read, drawn = self.engine.advance(latents, go, loads[go], ids[go])
            take(go, read, drawn)
            if self.shadow is not None:
                model_frames = frame[go] * self.engine.steps
                self.shadow.see(self.engine, latents, go, loads[go], ids[go], model_frames, read)
        nowhere = np.full(len(which), -1)
        answers = Answers(nowhere, nowhere, frame, solid, values, draws)
        return Block(ids, wanted, up, first, answers, latents)

    def _frame0(self, patches: np.ndarray, up: np.ndarray) -> np.ndarray:
        """Scaled frame 0, float32 (k, field, y, x), of patches (k, y, x) under loads (k,)."""
        frames = self.table.frame0(patches, up, self.config.fields)
        for i, name in enumerate(self.config.fields):
            frames[:, i] = field_table.get(name).scale(frames[:, i])
        return frames

    def _kept(self, frame: np.ndarray, slots: np.ndarray) -> Latent:
        """Copies of the latent states that cells (k,) have in the pool, zeros for those that start."""
        known = np.flatnonzero(frame >= 0)
        if len(known) == len(frame):
            return self.pool.read(slots)
        latents = self.engine.empty(len(frame), tuple(LATENT_FACTOR * n for n in self.pool.shape[1:]))
        with torch.inference_mode():
            for first in range(0, len(known), _CHUNK):
                chunk = known[first : first + _CHUNK]
                there, index = self.pool.read(slots[chunk]), torch.from_numpy(chunk)
                latents.mean[index.to(self.pool.device)] = there.mean
                if self.pool.with_logvar:
                    latents.logvar[index.to(self.pool.device)] = there.logvar
        return latents
