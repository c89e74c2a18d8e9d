"""The time budget of a run: what is left of it is divided among the stages that are not finished."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from . import checkpoints
from .settings import StageConfig


class Budget:
    """Divides the time left among the unfinished stages, in proportion to their `share`.

    Parameters
    ----------
    budget : float
        Seconds for all stages together, earlier calls included; 0 for no limit.
    stages : sequence of StageConfig
        All stages.
    folder : Path
        Folder of the checkpoints, which tell how much time earlier calls took.
    wanted : set of str
        Names of the stages to run.
    """

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
        """Return the seconds that this stage may take, earlier calls included; None without a budget."""
        if not self.budget:
            return None
        left = max(0.0, self.budget - self.earlier - (time.monotonic() - self.begun))
        part = stage.share / sum(s.share for s in self.open)
        return self.spent.get(stage.name, 0.0) + left * part

    def close(self, stage: StageConfig) -> None:
        """Remove a stage that is over."""
        self.open: list[StageConfig] = [s for s in self.open if s.name != stage.name]
