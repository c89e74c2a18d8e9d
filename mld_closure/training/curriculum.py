"""The curriculum: a list of phases (horizon, length), walked through by steps taken or by share of the time.

A stage's progress runs from 0 to 1. Without a time budget it is steps / total steps, so that phases, learning
rate and validations fall on exact steps; with one it is the larger of that and the share of the time used.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Phase:
    """One part of a stage: how far ahead it looks and how long it lasts (steps or epochs, exactly one).

    `crop` (pixels for a VAE, latent pixels for dynamics; 0 = whole frame) and `decode_every` (steps between
    decoded losses; 0 = never) replace the stage's own values where given.
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
        """Steps this phase takes when an epoch is `windows` samples in batches of `batch`."""
        return self.steps or max(1, math.ceil(self.epochs * windows / batch))


class Curriculum:
    """Phases one after the other; `lengths` are their steps."""

    def __init__(self, phases: Sequence[Phase], windows: Callable[[Phase], int], batch: int) -> None:
        if not phases:
            raise ValueError("a stage needs at least one phase")
        self.phases: tuple[Phase, ...] = tuple(phases)
        self.lengths: tuple[int, ...] = tuple(phase.length(windows(phase), batch) for phase in phases)
        self.total: int = sum(self.lengths)

    def at(self, progress: float) -> int:
        """Number of the phase in force at `progress` in [0, 1)."""
        done, place = 0, progress * self.total
        for i, length in enumerate(self.lengths):
            done += length
            if place < done - 1e-6:
                return i
        return len(self.phases) - 1


def learning_rate(progress: float, start: float, end: float, warmup: float = 0.0) -> float:
    """Cosine decay from `start` to `end` over progress 0..1, after a linear rise over the first `warmup`."""
    if progress < warmup:
        return start * (progress + 1e-3) / (warmup + 1e-3)
    part = (progress - warmup) / (1.0 - warmup)
    return end + (start - end) * 0.5 * (1.0 + math.cos(math.pi * min(1.0, part)))
