"""Which part of which movie a training sample is: split into cases, windows in time, crops in space.

A window starts at frame t of one case and holds the frames t + 1 ... t + horizon to be predicted. Samples are
numbered 0, 1, 2, ... without end. Everything about sample k depends only on (seed, k), so a restarted run
draws the same samples as an uninterrupted one, and the ranks of a parallel run need no common state.
Why: there is no iterator and no random state to save, and no window can contain two simulations.
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
    """Numbers of the cases for training, and of the cases used only for validation.

    Raises
    ------
    ValueError
        A case is in both parts, or none is left for training.
    """

    train: tuple[int, ...]
    validation: tuple[int, ...]

    def __post_init__(self) -> None:
        if both := set(self.train) & set(self.validation):
            raise ValueError(f"cases {sorted(both)} are in training and in validation; keep a case in one")
        if not self.train:
            raise ValueError("no case is left for training; set fewer aside for validation")


def split_cases(n_cases: int, validation: int, seed: int) -> Split:
    """Choose the validation cases at random, with a seed, so that no simulation is in both parts.

    Parameters
    ----------
    n_cases : int
        Number of simulations in the file.
    validation : int
        Number of simulations to keep for validation.
    seed : int
        Seed of the choice.

    Returns
    -------
    Split

    Raises
    ------
    ValueError
        No case would be left for training.
    """
    if not 0 <= validation < n_cases:
        raise ValueError(f"{validation} of {n_cases} cases for validation: leave at least one for training")
    order = np.random.default_rng((seed, 1)).permutation(n_cases)
    return Split(tuple(sorted(map(int, order[validation:]))), tuple(sorted(map(int, order[:validation]))))


class Windows(Dataset[tuple[int, int]]):
    """All windows of `horizon` steps in the given cases; item i is (case, first frame).

    Parameters
    ----------
    cases : sequence of int
        Case numbers.
    n_frames : int
        Frames per case.
    horizon : int
        Steps of a window; a window has horizon + 1 frames.

    Raises
    ------
    ValueError
        A negative horizon, or movies that are too short for it.
    """

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
        """Return the window of sample k; each epoch visits every window once, in a new seeded order."""
        epoch, place = divmod(k, len(self))
        return self[int(_shuffle(seed, epoch, len(self))[place])]


@lru_cache(maxsize=8)
def _shuffle(seed: int, epoch: int, n: int) -> np.ndarray:
    """Order of the windows in one epoch."""
    return np.random.default_rng((seed, 2, epoch)).permutation(n)


def sample_rng(seed: int, k: int) -> np.random.Generator:
    """Return a random generator that belongs to sample k alone."""
    return np.random.default_rng((seed, 3, k))


def noise(shape: Sequence[int], samples: Sequence[int], seed: int) -> torch.Tensor:
    """Return standard normal noise that does not depend on how samples are spread over ranks.

    Parameters
    ----------
    shape : sequence of int
        Shape for one sample.
    samples : sequence of int
        Sample numbers; each has its own seed.
    seed : int
        Seed of the run.

    Returns
    -------
    float32 tensor (len(samples), *shape)
    """
    draws = [np.random.default_rng((seed, 4, k)).standard_normal(shape, dtype=np.float32) for k in samples]
    return torch.from_numpy(np.stack(draws))


def place_crop(
    weight: np.ndarray, size: tuple[int, int], rng: np.random.Generator, *, centred: float, align: int = 1
) -> tuple[int, int]:
    """Choose the corner of a crop inside a frame.

    Parameters
    ----------
    weight : array (y, x)
        How likely a pixel is to become the centre; where it is zero everywhere the crop is placed uniformly.
    size : (int, int)
        Height and width of the crop [pixels].
    rng : numpy Generator
        Source of the choice.
    centred : float
        Probability that the crop is centred on a pixel drawn with `weight` (and moved inside the frame where
        necessary); otherwise it is placed uniformly.
    align : int
        Corners are multiples of this.

    Returns
    -------
    (y, x) : (int, int)
        First row and column of the crop.

    Raises
    ------
    ValueError
        The crop is larger than the frame.
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
