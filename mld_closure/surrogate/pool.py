"""Latent states of cells in slots of one array on the device, ready to be batched.

A cell that reacts has one latent state (means, and log-variances where the model evolves them). The pool
grows by half its size, so up to a third of it may be unused."""

from __future__ import annotations

import numpy as np
import torch

from ..models.dynamics import Latent


class Pool:
    """Latent states on the device, (slot, channel, y, x), contiguous; log-variances where they evolve."""

    def __init__(self, shape: tuple[int, int, int], with_logvar: bool, device: torch.device) -> None:
        self.shape: tuple[int, int, int] = shape
        self.device: torch.device = device
        self.with_logvar: bool = with_logvar
        self._free = np.empty(0, np.int32)
        self.mean: torch.Tensor = torch.empty((0, *shape), device=device)
        self.logvar: torch.Tensor = torch.empty(
            (0, *shape) if with_logvar else (1, 1, 1, 1), device=device
        ).zero_()

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
