"""What is written down as a run goes: cells that needed a policy, and calls that failed, to be replayed."""

from __future__ import annotations

import logging
import typing
from pathlib import Path
from typing import Any

import numpy as np

from ..config import to_dict
from ..fields import MODEL_FIELDS
from . import checkpoint
from .capture import Capture
from .cells import Life
from .policies import names
from .readout import NAMES
from .restart import snapshot
from .step import OpenStep

if typing.TYPE_CHECKING:
    from .closure import Closure

log = logging.getLogger("mld_closure")


class Recorder:
    """Writes the capture file and the folders of failed calls, where paths were given.

    A capture file that cannot be written is given up with a warning: the run matters more. failures: folder
    of failed calls, or None.
    """

    def __init__(self, capture: str | Path | None, failures: str | Path | None) -> None:
        for path in (capture, failures):
            if path is not None and not Path(path).absolute().parent.is_dir():
                raise ValueError(f"no such folder: {Path(path).absolute().parent}")
        self._path, self.failures = capture, None if failures is None else Path(failures)
        self._capture: Capture | None = None

    def policies(self, closure: Closure, step: OpenStep, flagged: list[Any]) -> None:
        """Capture cells (rows, records, old records, pressures) that newly needed a policy in this step."""
        if self._path is None:
            return
        for rows, record, old, pressure in flagged:
            try:
                if self._capture is None:
                    facts = {"closure": to_dict(closure.settings), "bundle": closure.hash}
                    self._capture = Capture(
                        self._path, closure.settings.patch_shape, closure.bundle.pixel, facts
                    )
                self._append(closure, step, rows, record, old, pressure)
            except (OSError, ValueError) as err:
                log.warning("capture file %s given up: %s", self._path, err)
                self._path = None
                return

    def _append(
        self,
        closure: Closure,
        step: OpenStep,
        rows: np.ndarray,
        record: np.ndarray,
        old: np.ndarray,
        pressure: np.ndarray,
    ) -> None:
        up = record["load"].copy()
        burned = NAMES.index("burned_fraction")
        mu = closure.sources.gather(rows)
        scalars = {
            "piston_speed": up,
            "shock_pressure": closure.table.shock_pressure(up),
            "shock_speed": closure.table.shock_speed(up),
            "porosity": 1.0 - mu.mean(axis=(1, 2), dtype=np.float64),
            "cell": closure.cells.ids[rows],
            "status": record["flags"].astype(np.int64),
            "time": np.full(len(rows), step.t + step.dt),
            "clock": record["tau"],
            "macro_pressure": pressure,
            "burned_fraction": record["value"][:, burned],
            "burn_rate": (record["value"][:, burned] - old["value"][:, burned]) / step.dt,
        }
        descriptions = [
            {
                "why": names(int(record["flags"][i])),
                "load_served": float(record["up"][i]),
                "P_s": float(record["peak"][i]),
                "load": float(record["load"][i]),
                "arrival": float(record["arrival"][i]),
                "step": [step.t, step.dt],
                "before": dict(zip(NAMES, _plain(old["value"][i]), strict=True)),
                "after": dict(zip(NAMES, _plain(record["value"][i]), strict=True)),
            }
            for i in range(len(rows))
        ]
        self._capture.append(closure.table.frame0(mu, up, MODEL_FIELDS), scalars, descriptions)

    def failure(
        self,
        closure: Closure,
        step: OpenStep,
        ids: np.ndarray,
        pressure: np.ndarray,
        velocity: np.ndarray | None,
        error: Exception,
    ) -> None:
        """Write a failing call to its own folder; where the disk takes no more, say so and go on."""
        if self.failures is None:
            return
        try:
            arrays, facts = snapshot(closure, ids[at_work(closure, ids, pressure)])
            arrays |= call_arrays(closure, ids, pressure, velocity)
            folder = next_folder(self.failures)
            checkpoint.write(folder, arrays, facts | call_facts(step, error))
            log.warning("failing call written to %s", folder)
        except OSError as err:
            log.warning("failing call not written: %s", err)


def at_work(closure: Closure, ids: np.ndarray, pressure: np.ndarray) -> np.ndarray:
    """Places (k,) of the cells of a call that are not idle, or not any more."""
    life = closure.cells.life[closure.cells.rows(ids)]
    return np.flatnonzero((life != Life.IDLE) | ~(pressure < closure.clock.p_ignite))


def call_arrays(
    closure: Closure, ids: np.ndarray, pressure: np.ndarray, velocity: np.ndarray | None
) -> dict[str, np.ndarray]:
    """What a call brought for its cells at work, and their patches."""
    work = at_work(closure, ids, pressure)
    arrays = {"call_pressure": pressure[work]}
    if velocity is not None:
        arrays["call_velocity"] = velocity[work]
    if len(work):
        arrays["patches"] = closure.sources.gather(closure.cells.rows(ids[work]))
    else:
        arrays["patches"] = np.empty((0, *closure.settings.patch_shape), np.float32)
    return arrays


def call_facts(step: OpenStep, error: Exception) -> dict[str, Any]:
    """What is said of a failing call besides what a restart says."""
    return {"t": step.t, "dt": step.dt, "error": f"{type(error).__name__}: {error}"}


def next_folder(failures: Path) -> Path:
    """The folder of the next failing call."""
    number = sum(1 for _ in failures.glob("failure-*")) if failures.is_dir() else 0
    return failures / f"failure-{number:04d}"


def _plain(values: np.ndarray) -> list[float | None]:
    return [float(v) if np.isfinite(v) else None for v in values]
