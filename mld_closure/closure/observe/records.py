"""The file of cells that needed a policy: which they are, and what went in and came out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...fields import MODEL_FIELDS, QUANTITIES
from ...surrogate.frame0 import LoadTable
from ..cells import Cells
from ..policies import BURNED, names
from ..step import Flagged, OpenStep

if TYPE_CHECKING:
    from .capture import Capture

NAMES = tuple(QUANTITIES)
log: logging.Logger = logging.getLogger("mld_closure")


class PolicyRecords:
    """Writes cells that needed a policy to a capture file.

    A file that cannot be written is given up with a warning: the run matters more.

    Parameters
    ----------
    path
        The file.
    facts
        facts(): JSON-ready facts about the run, asked for once.
    pixel
        Size of a pixel (m).
    """

    def __init__(
        self, path: str | Path, facts: Callable[[], Mapping[str, Any]], pixel: float, table: LoadTable
    ) -> None:
        check_parent(path)
        self._path: str | Path | None = path
        self._facts, self._pixel, self._table = facts, pixel, table
        self._file: Capture | None = None

    def write(
        self,
        step: OpenStep,
        cells: Cells,
        patches: Callable[[np.ndarray], np.ndarray],
        flagged: list[Flagged],
    ) -> None:
        """Append cells that newly needed a policy in a step; patches(rows): their solid fractions."""
        for found in flagged if self._path is not None else []:
            try:
                mu = patches(found.rows)
                if self._file is None:
                    from .capture import Capture

                    self._file = Capture(self._path, mu.shape[1:], self._pixel, self._facts())
                self._append(step, cells, mu, found)
            except (OSError, ValueError) as err:
                log.warning("capture file %s given up: %s", self._path, err)
                self._path = None
                return

    def close(self) -> None:
        """Put all cells into the one file; harmless where there are none."""
        try:
            if self._file is not None:
                self._file.close()
        except OSError as err:
            log.warning("capture file %s is not complete: %s", self._path, err)

    def _append(self, step: OpenStep, cells: Cells, mu: np.ndarray, found: Flagged) -> None:
        state, old, table = found.state, found.old, self._table
        up = state.load.copy()
        scalars = {
            "piston_speed": up,
            "shock_pressure": table.shock_pressure(up),
            "shock_speed": table.shock_speed(up),
            "porosity": 1.0 - mu.mean(axis=(1, 2), dtype=np.float64),
            "cell": cells.ids[found.rows],
            "status": state.flags,
            "time": np.full(len(up), step.t + step.dt),
            "clock": state.tau,
            "macro_pressure": cells.state.pressure[found.rows],
            "burned_fraction": state.value[:, BURNED],
            "burn_rate": (state.value[:, BURNED] - old.value[:, BURNED]) / step.dt,
        }
        descriptions = [
            {
                "why": names(int(state.flags[i])),
                "load_served": float(state.up[i]),
                "P_s": float(state.peak[i]),
                "load": float(state.load[i]),
                "arrival": float(state.arrival[i]),
                "step": [step.t, step.dt],
                "before": dict(zip(NAMES, _plain(old.value[i]), strict=True)),
                "after": dict(zip(NAMES, _plain(state.value[i]), strict=True)),
            }
            for i in range(len(up))
        ]
        self._file.append(table.frame0(mu, up, MODEL_FIELDS), scalars, descriptions)


def check_parent(path: str | Path) -> None:
    """ValueError unless the folder that is to hold this path exists."""
    if not Path(path).absolute().parent.is_dir():
        raise ValueError(f"no such folder: {Path(path).absolute().parent}")


def _plain(values: np.ndarray) -> list[float | None]:
    return [float(v) if np.isfinite(v) else None for v in values]
