"""A call that failed, as it is written down to be made again without the hydrocode."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..cells import Cells, Stage
from ..ranks import Restarts
from ..sources import Sources


@dataclass(frozen=True)
class Failure:
    """A call to `advance` that failed: step (s), what came in (n,), and the error."""

    t: float
    dt: float
    ids: np.ndarray
    pressure: np.ndarray
    velocity: np.ndarray | None
    entropy: np.ndarray | None
    error: Exception

    @property
    def facts(self) -> dict[str, Any]:
        """What is said of it besides what a restart says."""
        text = f"{type(self.error).__name__}: {self.error}"
        return {"patches": {}, "t": self.t, "dt": self.dt, "error": text}

    def at_work(self, cells: Cells, p_arrival: float) -> np.ndarray:
        """Places (k,) of the cells that are not idle, or not any more, or whose pressure is wrong."""
        stage = cells.state.stage[cells.rows(self.ids)]
        return np.flatnonzero((stage != Stage.IDLE) | ~((self.pressure >= 0) & (self.pressure < p_arrival)))

    def write(
        self,
        call: Any,
        restarts: Restarts,
        failures: Path,
        cells: Cells,
        sources: Sources,
        p_arrival: float,
        shape: tuple[int, int],
        *,
        told: tuple[bool, ...],
        facts: dict[str, Any],
    ) -> None:
        """Write the call to a folder of its own under `failures`. Collective.

        p_arrival: pressure (Pa) that marks an arrival; shape: (ny, nx) of patches; told: whether any rank was
        given velocities, and entropies; facts: those of a restart.
        """
        work = self.at_work(cells, p_arrival)
        restarts.record(
            call, failures, cells, self.ids[work],
            lambda: self.arrays(work, cells, sources, shape, told),
            facts | self.facts,
        )  # fmt: skip

    def arrays(
        self,
        work: np.ndarray,
        cells: Cells,
        sources: Sources,
        shape: tuple[int, int],
        told: tuple[bool, ...],
    ) -> dict[str, np.ndarray]:
        """What came in for the cells at these places (k,), and their patches.

        shape: (ny, nx) of patches. told: whether any rank was given velocities, and entropies.
        """
        found = {"call_pressure": self.pressure[work]}
        for name, any_rank in zip(("velocity", "entropy"), told, strict=True):
            if any_rank:
                given = getattr(self, name)
                found[f"call_{name}"] = np.zeros(len(work)) if given is None else given[work]
        rows = cells.rows(self.ids[work])
        found["patches"] = sources.gather(rows) if len(rows) else np.empty((0, *shape), np.float32)
        return found
