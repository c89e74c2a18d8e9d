"""A case in progress: flow and closure stepped together, frames and rows recorded, checkpoints, restart."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from ..config import ConfigError, to_dict
from ..macro.domain import Domain
from ..macro.porous import porous_shock
from ..macro.problems import sides, start
from ..macro.solver import MacroSolver
from ..metrics.arrival import front_position
from ..runtime.agree import Attempt
from ..runtime.comm import SerialComm
from .case import Case
from .checkpoints import CLOSURE, continue_in, load_checkpoint, save_checkpoint
from .columns import BURNED, NETWORKS, READOUT, SECONDS, STEP, frame_fields
from .journal import Journal
from .opening import open_closure
from .timed_closure import TimedClosure


class CaseRun:
    """A case in progress in a folder; `go` takes it to its end.

    On several ranks the folder is written by rank 0, and seconds are its own.

    Parameters
    ----------
    case : Case
        The case.
    out : Path
        Folder of results, made where it is not there.
    frames : int
        Number of frames that are kept, evenly over the run.
    checkpoint_every : int
        Steps between checkpoints, 0 for none.
    resume : Path, optional
        Checkpoint to go on from: of the same case but for its end, on any number of ranks.
    options : mapping, optional
        Options of a surrogate in place of the case's own.
    comm : optional
        Communicator of the ranks that run the case together.

    Attributes
    ----------
    burned : ndarray (rows, cells)
        Burned fractions of all cells, on rank 0.
    released : float
        Heat so far in J per metre of depth.
    active : int
        Cells that react.
    status : dict
        Number of cells by status; empty where the closure is no surrogate.
    front : float
        Where the shock front is along x, in m, on rank 0.
    """

    def __init__(
        self,
        case: Case,
        out: Path,
        *,
        frames: int = 200,
        checkpoint_every: int = 0,
        resume: Path | None = None,
        options: Mapping[str, Any] | None = None,
        comm: Any = None,
    ) -> None:
        self.comm = SerialComm() if comm is None else comm
        attempt = Attempt(self.comm)
        arrays, facts = attempt(_read_checkpoint, case, resume) or ({}, {})
        attempt.settle()
        self.case, self.out, self.checkpoint_every = case, out, checkpoint_every
        self.interval = facts.get("interval", case.end_time / frames)
        domain = Domain(case.grid, sides(case), self.comm)
        self.closure = open_closure(case, options, self.comm, domain)
        self.timed = None if self.closure is None else TimedClosure(self.closure)
        self.solver = start(case, self.timed, domain)
        self.surrogate = case.closure.kind == "surrogate"
        shock = porous_shock(case.piston_speed, case.porosity, case.material)
        self.front_level = 0.5 * shock.p
        self.front = math.nan
        self.fields = frame_fields(case.rows, self.surrogate)
        self._last_frame = self._last_time = 0.0
        sizes = tuple(facts.get("journal", (0, 0)))
        if self.leads:
            attempt(self._prepare_folder, resume, facts, sizes)
        attempt.settle()
        if resume is not None:
            self._restore(resume, arrays)
        self.journal = Journal(out, self.fields, case.grid.shape, list(STEP), sizes) if self.leads else None
        self._spent = self._seconds()
        self._collect()
        if resume is None:
            self._frame(attempt)
            attempt.settle()

    @property
    def leads(self) -> bool:
        """Whether this rank writes the files."""
        return self.comm.rank == 0

    def go(self, report: Callable[[CaseRun], None] = lambda run: None) -> None:
        """Run to the case's end. Collective.

        Parameters
        ----------
        report : callable
            Called as report(self) after every step, on every rank.

        Raises
        ------
        RuntimeError
            Where a step fails; it names the step and its time.
        """
        begun = perf_counter()

        def each(solver: MacroSolver) -> None:
            nonlocal begun
            attempt, wall = Attempt(self.comm), perf_counter() - begun
            pressure = self._collect()
            if self.leads:
                attempt(self._row, pressure, wall)
            self._last_time = solver.time
            due = math.floor(solver.time / self.interval * (1 + 1e-12))
            if due >= self._next_frame or solver.time >= self.case.end_time * (1 - 1e-9):
                self._frame(attempt)
            attempt.settle()
            if self.checkpoint_every and solver.steps % self.checkpoint_every == 0:
                self._save()
            report(self)
            begun = perf_counter()

        try:
            self.solver.run(self.case.end_time, each=each)
        except FloatingPointError as err:
            failed = RuntimeError(f"step {self.solver.steps + 1}, t = {self.solver.time:.4e} s: {err}")
            failed.everywhere = getattr(err, "everywhere", False)
            raise failed from None

    def close(self) -> None:
        """Close the files and the closure."""
        if self.journal is not None:
            self.journal.close()
        if self.surrogate:
            self.closure.close()

    def _prepare_folder(self, resume: Path | None, facts: dict[str, Any], sizes: tuple[int, int]) -> None:
        self.out.mkdir(parents=True, exist_ok=True)
        if resume is not None:
            if facts["fields"] != self.fields:
                raise ConfigError(f"{resume} has frames of other fields; it is of another version")
            frame_bytes = 16 + 4 * len(self.fields) * self.case.rows * self.case.cells
            continue_in(self.out, resume, frame_bytes, sizes)

    @property
    def _next_frame(self) -> int:
        """Number of the frame that is to be taken next; the one at time 0 has number 0."""
        return math.floor(self._last_frame / self.interval * (1 + 1e-12)) + 1

    def _frame(self, attempt: Attempt) -> None:
        """Append a frame of the whole grid. Collective."""
        fields = self.solver.fields() | {"burn_rate": self.solver.burn_rate}
        response = None if self.timed is None else self.timed.response
        if self.surrogate:
            shape = self.solver.domain.shape
            fields |= {
                name: np.zeros(shape) if response is None else getattr(response, name).reshape(shape)
                for name in READOUT
            }
        whole = self.solver.domain.gather(np.stack([fields[name] for name in self.fields]))
        if self.leads:
            frame = dict(zip(self.fields, whole, strict=True))
            attempt(self.journal.frame, self.solver.time, self.solver.steps, frame)
        self._last_frame = self.solver.time

    def _collect(self) -> np.ndarray | None:
        """Learn of all cells what a row and the summary need; returns the pressure on rank 0. Collective."""
        solver = self.solver
        whole = solver.domain.gather(np.stack([solver.flow.fields()["pressure"], solver.burned]))
        known = self.closure.status if self.surrogate else {}  # cells of this rank
        counts = solver.domain.sum(np.array([solver.released, self._reacting(known), *known.values()]))
        self.released, self.active = float(counts[0]), int(counts[1])
        self.status = {name: int(n) for name, n in zip(known, counts[2:], strict=True)}
        if whole is None:
            return None
        self.burned = whole[1]
        return whole[0]

    def _row(self, pressure: np.ndarray, wall: float) -> None:
        """Append a row about the step that ended; pressure (rows, cells) in Pa, wall: its time in s."""
        solver, case = self.solver, self.case
        self.front = float(front_position(pressure[None], self.front_level)[0]) * case.cell_size
        now = self._seconds()
        spent = {part: now[part] - self._spent[part] for part in now}
        self._spent = now
        networks = {part: spent[part] for part in NETWORKS}
        seconds = {
            "hydro": max(wall - spent["closure"], 0.0),
            **networks,
            "rest_of_closure": max(spent["closure"] - sum(networks.values()), 0.0),
        }
        self.journal.row(
            {
                "step": solver.steps,
                "time": solver.time,
                "dt": solver.time - self._last_time,
                "rejected": solver.rejected,
                "forced": solver.forced,
                "active_cells": self.active,
                "burned_cells": int((self.burned >= BURNED).sum()),
                "mean_burned_fraction": float(self.burned.mean()),
                "released": self.released,
                "peak_pressure": float(pressure.max()),
                "front": self.front,
                "distance": self.front - solver.velocity_ahead[0] * solver.time,
                **{f"seconds_{part}": seconds[part] for part in SECONDS},
            }
        )

    def _reacting(self, status: dict[str, int]) -> int:
        """Number of this rank's cells that react."""
        if self.surrogate:
            return status["LOADING"] + status["ACTIVE"] + status["BEYOND_HORIZON"]
        return int(((self.solver.burn_rate > 0) & (self.solver.burned < BURNED)).sum())

    def _seconds(self) -> dict[str, float]:
        """Time spent so far in the networks and in all of the closure."""
        networks = self.closure.cost if self.surrogate else dict.fromkeys(NETWORKS, 0.0)
        return {**networks, "closure": 0.0 if self.timed is None else self.timed.seconds}

    def _save(self) -> None:
        arrays = {f"macro_{k}": v for k, v in self.solver.state().items()}
        arrays["last"] = np.array([self._last_frame, self._last_time])
        if self.closure is not None and not self.surrogate:
            states = self.comm.gather(self.closure.state())
            if self.leads:
                joined = {k: np.concatenate([s[k] for s in states]) for k in ("ids", "burned")}
                arrays |= {f"closure_{k}": v for k, v in (joined | {"time": states[0]["time"]}).items()}
        facts = {"case": to_dict(self.case), "interval": self.interval, "fields": self.fields}
        if self.leads:
            facts["journal"] = self.journal.flush()
        name = f"step-{self.solver.steps:08d}"
        save = self.closure.save if self.surrogate else None
        save_checkpoint(self.out, name, arrays, facts, save, self.comm)

    def _restore(self, path: Path, arrays: dict[str, np.ndarray]) -> None:
        def part(prefix: str) -> dict[str, np.ndarray]:
            return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}

        self.solver.restore(part("macro_"))
        self._last_frame, self._last_time = (float(v) for v in arrays["last"])
        if self.surrogate:
            self.closure.restore(path / CLOSURE)
        elif self.closure is not None:
            state = part("closure_")
            mine = np.isin(state["ids"], self.solver.ids)
            self.closure.restore({k: v[mine] if k != "time" else v for k, v in state.items()})


def _read_checkpoint(case: Case, resume: Path | None) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays and facts of the checkpoint to go on from; empty ones without."""
    if resume is None:
        return {}, {}
    arrays, facts = load_checkpoint(resume)
    here, there = to_dict(case), facts["case"]
    odd = [k for k in sorted(here.keys() | there.keys()) if k != "end_time" and here.get(k) != there.get(k)]
    if odd:
        raise ConfigError(f"{resume} belongs to another case: {', '.join(odd)} differ")
    return arrays, facts
