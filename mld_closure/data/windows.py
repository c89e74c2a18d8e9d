"""Which part of which movie a training sample is: the split by simulation, windows in time, crops in space.

A window is (frame t) -> (frames t + 1 ... t + horizon) of one case. Samples are numbered 0, 1, 2, ...
without end; everything about sample k is a function of (seed, k), so that a restarted run draws what the
uninterrupted one would have drawn and ranks of a parallel run need no common state.
Why: no iterator and no random state to save, and no window can touch two simulations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch.utils.data import Dataset


@dataclass(frozen=True)
class Split:
    """Case numbers for training and, set aside whole, for validation."""

    train: tuple[int, ...]
    validation: tuple[int, ...]

    def __post_init__(self) -> None:
        if both := set(self.train) & set(self.validation):
            raise ValueError(f"cases {sorted(both)} are in training and in validation; keep a case in one")
        if not self.train:
            raise ValueError("no case is left for training; set fewer aside for validation")


def split_cases(n_cases: int, validation: int, seed: int) -> Split:
    """Set `validation` of `n_cases` simulations aside by a seeded choice, so that no movie is in both parts.

    Raises ValueError when fewer than one case would be left for training.
    """
    if not 0 <= validation < n_cases:
        raise ValueError(f"{validation} of {n_cases} cases for validation: leave at least one for training")
    order = np.random.default_rng((seed, 1)).permutation(n_cases)
    return Split(tuple(sorted(map(int, order[validation:]))), tuple(sorted(map(int, order[:validation]))))


class Windows(Dataset[tuple[int, int]]):
    """Windows of `horizon` steps inside the given cases of `n_frames` frames; item i is (case, frame t)."""

    def __init__(self, cases: Sequence[int], n_frames: int, horizon: int) -> None:
        if horizon < 0:
            raise ValueError(f"horizon must not be negative, got {horizon}")
        if n_frames <= horizon:
            raise ValueError(
                f"movies of {n_frames} frames hold no window of {horizon} steps; shorten the horizon"
            )
        self.cases: tuple[int, ...] = tuple(cases)
        self.n_frames: int = n_frames
        self.horizon: int = horizon
        self.per_case: int = n_frames - horizon

    def __len__(self) -> int:
        return len(self.cases) * self.per_case

    def __getitem__(self, i: int) -> tuple[int, int]:
        if not 0 <= i < len(self):
            raise IndexError(f"window {i} of {len(self)}")
        return self.cases[i // self.per_case], i % self.per_case

    def sample(self, k: int, seed: int) -> tuple[int, int]:
        """The window of sample number k: every run through all windows is a new seeded shuffle of them."""
        epoch, place = divmod(k, len(self))
        return self[int(_shuffle(seed, epoch, len(self))[place])]


@lru_cache(maxsize=8)
def _shuffle(seed: int, epoch: int, n: int) -> np.ndarray:
    return np.random.default_rng((seed, 2, epoch)).permutation(n)


def sample_rng(seed: int, k: int) -> np.random.Generator:
    """Random numbers belonging to sample k alone."""
    return np.random.default_rng((seed, 3, k))


def noise(shape: Sequence[int], samples: Sequence[int], seed: int) -> torch.Tensor:
    """Normal noise (len(samples), *shape), each sample's from its own seed: the same on one rank or many."""
    draws = [np.random.default_rng((seed, 4, k)).standard_normal(shape, dtype=np.float32) for k in samples]
    return torch.from_numpy(np.stack(draws))


def place_crop(
    weight: np.ndarray, size: tuple[int, int], rng: np.random.Generator, *, centred: float, align: int = 1
) -> tuple[int, int]:
    """Corner (y, x) of a crop of `size` inside a map `weight` (y, x).

    With probability `centred` the crop is centred on a pixel drawn in proportion to `weight` (moved inside
    where it would stick out), else anywhere. Corners are multiples of `align`. Where `weight` is zero
    everywhere the crop is anywhere.
    """
    limit = np.array(weight.shape) - np.array(size)
    if (limit < 0).any():
        raise ValueError(f"crop of {size} pixels does not fit into a frame of {weight.shape}")
    total = float(weight.sum())
    if rng.random() < centred and total > 0:
        flat = np.searchsorted(
            np.cumsum(weight.ravel(), dtype=np.float64), rng.random() * total, side="right"
        )
        centre = np.array(np.unravel_index(min(int(flat), weight.size - 1), weight.shape))
        corner = np.clip(centre - np.array(size) // 2, 0, limit)
    else:
        corner = np.array([rng.integers(0, n + 1) for n in limit])
    corner = corner // align * align
    return int(corner[0]), int(corner[1])
