"""The clock is part of the plan: what is left of a time budget is shared among the stages still to come."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from . import checkpoints
from .loop import Progress
from .settings import StageConfig


class Clock:
    """Shares what is left of a budget among the stages that are not finished, by their `share`."""

    def __init__(self, budget: float, stages: Sequence[StageConfig], folder: Path, wanted: set[str]) -> None:
        self.budget: float = budget
        self.begun: float = time.monotonic()
        states = {s.name: checkpoints.load(folder / f"{s.name}.pt") for s in stages}
        progress = {name: state["progress"] for name, state in states.items() if state}
        self.finished: dict[str, bool] = {name: bool(p["finished"]) for name, p in progress.items()}
        self.spent: dict[str, float] = {name: p["seconds"] for name, p in progress.items()}
        self.earlier: float = sum(self.spent.values())
        self.open = [s for s in stages if s.name in wanted and not self.finished.get(s.name)]

    def limit(self, stage: StageConfig) -> float | None:
        """Seconds this stage may take over all sittings; None without a budget."""
        if not self.budget:
            return None
        left = max(0.0, self.budget - self.earlier - (time.monotonic() - self.begun))
        part = stage.share / sum(s.share for s in self.open)
        return self.spent.get(stage.name, 0.0) + left * part

    def passed(self, stage: StageConfig, progress: Progress) -> None:
        """Forget a stage that is over."""
        self.open: list[StageConfig] = [s for s in self.open if s.name != stage.name]
