"""The curriculum: a list of phases (horizon, length), followed by steps or by share of the time.

The progress of a stage runs from 0 to 1. Without a time budget it is steps / total steps, so phases, learning
rate and validations fall on exact steps. With a budget it is the larger of that and the used share of the
time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Phase:
    """One part of a stage: how many steps a rollout has, and how long the phase lasts.

    Attributes
    ----------
    horizon : int
        Steps of a rollout.
    steps, epochs : int, float
        Length of the phase; exactly one of them is given.
    crop : int or None
        Side of the crop in pixels (VAE) or latent pixels (dynamics); 0 for whole frames, None for the value
        of the stage.
    decode_every : int or None
        Steps from one loss on decoded fields to the next; 0 for never, None for the value of the stage.

    Raises
    ------
    ValueError
        A horizon below 1, or not exactly one length.
    """

    horizon: int = 1
    steps: int = 0
    epochs: float = 0.0
    crop: int | None = None
    decode_every: int | None = None

    def __post_init__(self) -> None:
        if self.horizon < 1:
            raise ValueError(f"horizon must be at least 1, got {self.horizon}")
        if (self.steps > 0) == (self.epochs > 0):
            raise ValueError(
                f"a phase needs steps or epochs, exactly one, got {self.steps} and {self.epochs}"
            )

    def length(self, windows: int, batch: int) -> int:
        """Return the steps of this phase if an epoch has `windows` samples in batches of `batch`."""
        return self.steps or max(1, math.ceil(self.epochs * windows / batch))


class Curriculum:
    """Phases one after the other.

    Parameters
    ----------
    phases : sequence of Phase
        At least one.
    windows : callable
        Samples per epoch in a phase.
    batch : int
        Samples per step over all processes.

    Attributes
    ----------
    lengths : tuple of int
        Steps of each phase.
    total : int
        Steps of all phases.

    Raises
    ------
    ValueError
        There is no phase.
    """

    def __init__(self, phases: Sequence[Phase], windows: Callable[[Phase], int], batch: int) -> None:
        if not phases:
            raise ValueError("a stage needs at least one phase")
        self.phases: tuple[Phase, ...] = tuple(phases)
        self.lengths: tuple[int, ...] = tuple(phase.length(windows(phase), batch) for phase in phases)
        self.total: int = sum(self.lengths)

    def at(self, progress: float) -> int:
        """Return the number of the phase at `progress`, 0 to 1."""
        done, place = 0, progress * self.total
        for i, length in enumerate(self.lengths):
            done += length
            if place < done - 1e-6:
                return i
        return len(self.phases) - 1


def learning_rate(progress: float, start: float, end: float, warmup: float = 0.0) -> float:
    """Return the learning rate: a linear rise, then a cosine decay.

    Parameters
    ----------
    progress : float
        0 to 1.
    start, end : float
        Largest and last learning rate.
    warmup : float
        Share of the progress in which the rate rises.

    Returns
    -------
    float
    """
    if progress < warmup:
        return start * (progress + 1e-3) / (warmup + 1e-3)
    part = (progress - warmup) / (1.0 - warmup)
    return end + (start - end) * 0.5 * (1.0 + math.cos(math.pi * min(1.0, part)))
