"""Whole burn curves of points: one evaluation for the life of a cell, kept in place of a latent state.

The microstructure of a patch is seen once; what was seen serves all its points, each under its own load and
with the curves of its own column part. Frames that are asked for later are read from the kept curves.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable

import numpy as np
import torch

from ..device import Device, torch_threads
from ..fields import QUANTITIES
from ..models.curve_net import CurveNet
from ..models.dynamics import Latent
from .blocks import Block, StepBlocks
from .cost import Cost
from .messages import DRAWS, FINISHED, WHOLE_PATCH, Answers, Requests
from .pool import Pool

REMEMBERED = 4096  # patches whose features are kept: 3 kB each
NAMES = {
    "hotspot_area_fraction": "hot_share",
    "hotspot_temperature": "hot_temperature",
    "burned_fraction": "burned_share",
    "mean_pressure": "mean_pressure",
}
KNOWN: np.ndarray = np.array([name in NAMES for name in QUANTITIES])
_BURNED = list(QUANTITIES).index("burned_fraction")
_COUNT, _KEPT = len(QUANTITIES), int(KNOWN.sum())


def kept_shape(steps: int) -> tuple[int, int, int]:
    """(quantity, 1, frame) of the curves, of so many intervals, that are kept of a cell."""
    return _KEPT, 1, steps + 1


class CurveEngine:
    """The network at work: features of patches that are new, curves of points.

    fitting: the largest batch; cost: time spent. In reproducible mode every batch holds `micro_batch`
    samples, padded with copies of its first, so that a cell's bits do not depend on its company.
    """

    def __init__(
        self, net: CurveNet, device: Device, *, micro_batch: int = 8, reproducible: bool = False
    ) -> None:
        self.net: CurveNet = net.to(device.torch)
        self.device: Device = device
        self.micro_batch: int = micro_batch
        self.reproducible: bool = reproducible
        self.fitting: int = micro_batch
        self.cost: Cost = Cost(device.torch)
        self._features: OrderedDict[bytes, np.ndarray] = OrderedDict()

    @property
    def shape(self) -> tuple[int, int, int]:
        """(quantity, 1, frame) of the curves that are kept of a cell."""
        return kept_shape(self.net.config.steps)

    def curves(self, patches: np.ndarray, part: np.ndarray, up: np.ndarray) -> np.ndarray:
        """What the network knows of `QUANTITIES` for points, (k, frame, 4).

        patches: solid fractions (k, y, x) of halo and patch. part: column part (k,), or WHOLE_PATCH. up:
        loads (k,) in m/s.
        """
        seen = self._seen(patches)
        found = np.empty((len(part), self.shape[2], _KEPT), np.float32)
        mine = part != WHOLE_PATCH
        one = seen[np.flatnonzero(mine), part[mine]][:, None]  # (k, 1, feature)
        for which, features in ((np.flatnonzero(mine), one), (np.flatnonzero(~mine), seen[~mine])):
            with self.cost.part("readout"):
                for first in range(0, len(which), self.fitting):
                    some = slice(first, first + self.fitting)
                    found[which[some]] = self._read(features[some], up[which[some]])
        return found

    def _seen(self, patches: np.ndarray) -> np.ndarray:
        """Features (k, part, feature) of patches, computed for those that are not remembered."""
        keys = [hashlib.blake2b(np.ascontiguousarray(p), digest_size=16).digest() for p in patches]
        new = list({key: i for i, key in enumerate(keys) if key not in self._features}.values())
        found: dict[bytes, np.ndarray] = {}
        with self.cost.part("encode"):
            for first in range(0, len(new), self.fitting):
                some = new[first : first + self.fitting]
                features = self._batch(self.net.features, patches[some])
                found |= {keys[i]: value for i, value in zip(some, features, strict=True)}
        for key in keys:
            if key in self._features:
                self._features.move_to_end(key)
        all_of_them = np.stack([found[key] if key in found else self._features[key] for key in keys])
        self._features.update(found)
        while len(self._features) > REMEMBERED:
            self._features.popitem(last=False)
        return all_of_them

    def _read(self, features: np.ndarray, up: np.ndarray) -> np.ndarray:
        """Curves (k, frame, 4) of features (k, part, feature), the mean over parts."""

        def curves(features: torch.Tensor, up: torch.Tensor) -> torch.Tensor:
            named = self.net.curves(features, up)
            hot = named["hot_share"]
            heat = (hot * named["hot_temperature"]).mean(dim=1)
            named = {name: values.mean(dim=1) for name, values in named.items()}
            named["hot_temperature"] = heat / named["hot_share"]
            return torch.stack([named[name] for name in NAMES.values()], dim=-1)

        return self._batch(curves, features, up.astype(np.float32))

    def _batch(self, network: Callable[..., torch.Tensor], *inputs: np.ndarray) -> np.ndarray:
        """What a network makes of inputs (k, ...), of which there are no more than fit."""
        count = len(inputs[0])
        missing = (self.micro_batch if self.reproducible else max(count, 2)) - count
        padded = [np.concatenate([values, np.repeat(values[:1], missing, axis=0)]) for values in inputs]
        with torch.inference_mode(), torch_threads(self.device.threads):
            given = [torch.from_numpy(np.ascontiguousarray(v)).to(self.device.torch) for v in padded]
            return network(*given)[:count].float().cpu().numpy()


class CurveRollout(StepBlocks):
    """Answers requests from whole curves, which are kept in the pool.

    Parameters
    ----------
    engine
        The network at work.
    every
        Intervals of the curves from one frame that is read to the next.
    pool
        Curves that are kept from step to step, (quantity, 1, frame).
    """

    shadow: None = None  # there is no second reader

    def __init__(self, engine: CurveEngine, every: int, pool: Pool) -> None:
        super().__init__(pool)
        self.engine: CurveEngine = engine
        self.every: int = every
        config = engine.net.config
        self.frame_step: float = every * config.duration / config.steps

    def store(self, slots: np.ndarray, block: np.ndarray, place: np.ndarray) -> None:
        """Write the curves of cells (k,) that have started, found by block and place, to slots (k,)."""
        for number, source in enumerate(self.blocks):
            mine = np.flatnonzero(block == number)
            row = source.row[place[mine]]
            new = row >= 0
            if new.any():
                self.pool.write(slots[mine[new]], source.latents, row[new])

    def _compute(self, asked: Requests, which: np.ndarray) -> Block:
        """Frames of the requests `which` (k,), sorted by id."""
        frame, counts = asked.frame[which].astype(np.int64), asked.counts[which]
        first = np.cumsum(counts) - counts
        each = np.repeat(np.arange(len(which)), counts)
        number = np.arange(len(each)) - np.repeat(first - frame - 1, counts)  # of the frame
        values = np.full((len(each), _COUNT), np.nan)
        starts, solid = np.flatnonzero(frame < 0), np.full(len(which), np.nan)
        row = np.full(len(which), -1)
        row[starts] = np.arange(len(starts))
        curves = np.empty((len(starts), self.pool.shape[2], _KEPT), np.float32)
        if len(starts):
            with self.engine.cost.part("gather"):
                patches = asked.patches(which[starts])
            solid[starts] = patches.mean(axis=(1, 2), dtype=np.float64)
            part = asked.part[which[starts]].astype(np.int64)
            curves[:] = self.engine.curves(patches, part, asked.up[which[starts]])
        new = row[each] >= 0
        values[np.ix_(new, KNOWN)] = curves[row[each[new]], number[new] * self.every]
        values[np.ix_(~new, KNOWN)] = self._kept(asked.slot[which][each[~new]], number[~new] * self.every)
        over = values[:, _BURNED] >= FINISHED  # frames after the first one that is burned out are not wanted
        reached = asked.wanted[which].astype(np.int64)
        np.minimum.at(reached, each[over], number[over])
        values[number > reached[each]] = np.nan
        nowhere = np.full(len(which), -1)
        draws = np.full((len(values), DRAWS), np.nan)
        answers = Answers(nowhere, nowhere, reached, solid, values, draws)
        mean = torch.from_numpy(np.ascontiguousarray(curves.transpose(0, 2, 1)[:, :, None]))
        mean = mean.to(self.pool.device)
        latents = Latent(mean, mean.new_zeros(1, 1, 1, 1).expand_as(mean))
        return Block(asked.id[which], asked.wanted[which], asked.up[which], first, answers, latents, row)

    @torch.inference_mode()
    def _kept(self, slots: np.ndarray, frames: np.ndarray) -> np.ndarray:
        """Columns (n, 4) of the curves in slots (n,) of the pool, at frames (n,)."""
        device = self.pool.device
        slot, frame = (torch.from_numpy(i.astype(np.int64)).to(device) for i in (slots, frames))
        return self.pool.mean[slot, :, 0, frame].cpu().numpy()
