"""A macro run from its case to its end: the closure opened and watched, frames, checkpoints, restart."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from ..config import ConfigError, to_dict
from ..grids import MESO_SHAPE, MICRO_SHAPE
from ..macro.domain import Domain
from ..macro.porous import porous_shock
from ..macro.problems import MacroCase, rate_closure, sides, start
from ..macro.solver import MacroSolver
from ..metrics.arrival import front_position
from ..runtime.agree import Attempt
from ..runtime.comm import SerialComm
from .fallbacks import make_fallback
from .files import CLOSURE, Journal, continue_in, load_checkpoint, save_checkpoint

FLOW = ("pressure", "temperature", "density", "velocity_x", "velocity_y", "reaction_progress")
READ_OUT = ("hotspot_temperature", "hotspot_area_fraction", "uncertainty", "status")  # of a surrogate
SECONDS = ("hydro", "gather", "encode", "evolve", "readout", "rest_of_closure")
COLUMNS = {
    "step": "1",
    "time": "s",
    "dt": "s",
    "rejected": "1",
    "forced": "1",
    "active_cells": "1",
    "burned_cells": "1",
    "mean_burned_fraction": "1",
    "released": "J/m",
    "peak_pressure": "Pa",
    "front": "m",
    "distance": "m",
    **{f"seconds_{part}": "s" for part in SECONDS},
}
BURNED = 0.999
HIGHEST_POROSITY = 0.25  # of a specimen with voids


class Watched:
    """A closure behind a stop watch; `response`: what the last committed step gave."""

    def __init__(self, closure: Any) -> None:
        self.closure, self.seconds, self.response = closure, 0.0, None
        self._open: Any = None

    def begin_step(self, t: float, dt: float) -> None:
        self._timed(self.closure.begin_step, t, dt)

    def advance(self, ids: np.ndarray, **inputs: np.ndarray) -> Any:
        self._open = self._timed(self.closure.advance, ids, **inputs)
        return self._open

    def commit(self) -> None:
        self._timed(self.closure.commit)
        self.response = self._open

    def rollback(self) -> None:
        self._timed(self.closure.rollback)

    def _timed(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        begun = perf_counter()
        try:
            return call(*args, **kwargs)
        finally:
            self.seconds += perf_counter() - begun


class CaseRun:
    """A case in progress in folder `out`; `go` takes it to its end.

    frames: number of frames over the run; every: steps between checkpoints, 0 for none; restart: a checkpoint
    to continue from, of the same case but for its end; options: of `mld_closure.open`, over the case's own.
    comm: of the ranks that run the case together; rank 0 writes the files, `burned`, `released`, `active`
    and `status` are of all cells and known there, and seconds are those of rank 0.
    """

    def __init__(
        self,
        case: MacroCase,
        out: Path,
        *,
        frames: int = 200,
        every: int = 0,
        restart: Path | None = None,
        options: dict[str, Any] | None = None,
        comm: Any = None,
    ) -> None:
        self.comm = SerialComm() if comm is None else comm
        attempt = Attempt(self.comm)
        arrays, facts = attempt(_given, case, restart) or ({}, {})
        attempt.settle()
        self.case, self.out, self.every = case, out, every
        self.interval = facts.get("interval", case.end_time / frames)
        domain = Domain(case.grid, sides(case), self.comm)
        self.closure = open_closure(case, options or {}, self.comm, domain)
        self.watched = None if self.closure is None else Watched(self.closure)
        self.solver = start(case, self.watched, domain)
        self.surrogate = case.closure.kind == "surrogate"
        shock = porous_shock(case.piston_speed, case.porosity, case.material)
        self.front_level = 0.5 * shock.p
        names = [*(n for n in FLOW if n != "velocity_y" or case.rows > 1), "burned_fraction", "burn_rate"]
        names += READ_OUT if self.surrogate else ()
        self.names = names
        sizes = tuple(facts.get("journal", (0, 0)))
        if self.comm.rank == 0:
            attempt(self._continue, restart, facts, sizes)
        attempt.settle()
        if restart is not None:
            self._restore(restart, arrays)
        self.journal = Journal(out, names, case.grid.shape, list(COLUMNS), sizes) if self.leads else None
        self._spent = self._seconds()
        self._collect()
        if restart is None:
            self._frame(attempt)
            attempt.settle()

    @property
    def leads(self) -> bool:
        """Whether this rank writes the files."""
        return self.comm.rank == 0

    def _continue(self, restart: Path | None, facts: dict[str, Any], sizes: tuple[int, int]) -> None:
        """Make the folder ready."""
        self.out.mkdir(parents=True, exist_ok=True)
        if restart is not None:
            if facts["fields"] != self.names:
                raise ConfigError(f"{restart} has frames of other fields; it is of another version")
            frame_bytes = 16 + 4 * len(self.names) * self.case.rows * self.case.cells
            continue_in(self.out, restart, frame_bytes, sizes)

    def go(self, report: Callable[[CaseRun], None] = lambda run: None) -> None:
        """Run to the case's end; `report(self)` after every step. Raises RuntimeError where the run fails."""
        begun = perf_counter()

        def each(solver: MacroSolver) -> None:
            nonlocal begun
            attempt, wall = Attempt(self.comm), perf_counter() - begun
            pressure = self._collect()
            if self.leads:
                attempt(self._row, pressure, wall)
            self._last_time = solver.time
            due = math.floor(solver.time / self.interval * (1 + 1e-12))
            if due >= self._frames_due or solver.time >= self.case.end_time * (1 - 1e-9):
                self._frame(attempt)
            attempt.settle()
            if self.every and solver.steps % self.every == 0:
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
        """Let go of files and of the closure."""
        if self.journal is not None:
            self.journal.close()
        if self.surrogate:
            self.closure.close()

    @property
    def _frames_due(self) -> int:
        """Number of the frame that is to be taken next; the one at time 0 has number 0."""
        return math.floor(self._last_frame / self.interval * (1 + 1e-12)) + 1

    def _frame(self, attempt: Attempt) -> None:
        """Append a frame of the whole grid. Collective."""
        fields = self.solver.fields() | {"burn_rate": self.solver.burn_rate}
        response = None if self.watched is None else self.watched.response
        if self.surrogate:
            shape = self.solver.domain.shape
            fields |= {
                name: np.zeros(shape) if response is None else getattr(response, name).reshape(shape)
                for name in READ_OUT
            }
        whole = self.solver.domain.gather(np.stack([fields[name] for name in self.names]))
        if self.leads:
            frame = dict(zip(self.names, whole, strict=True))
            attempt(self.journal.frame, self.solver.time, self.solver.steps, frame)
        self._last_frame = self.solver.time

    def _collect(self) -> np.ndarray | None:
        """Learn of all cells what a row and the summary need; returns the pressure on rank 0. Collective."""
        solver = self.solver
        whole = solver.domain.gather(np.stack([solver.flow.fields()["pressure"], solver.burned]))
        known = self._status()
        counts = solver.domain.sum(np.array([solver.released, self._active(known), *known.values()]))
        self.released, self.active = float(counts[0]), int(counts[1])
        self.status = {name: int(n) for name, n in zip(known, counts[2:], strict=True)}
        if whole is None:
            return None
        self.burned = whole[1]
        return whole[0]

    def _row(self, pressure: np.ndarray, wall: float) -> None:
        solver, case = self.solver, self.case
        front = float(front_position(pressure[None], self.front_level)[0]) * case.cell_size
        now = self._seconds()
        spent = {part: now[part] - self._spent[part] for part in now}
        self._spent = now
        self.front = front
        parts = sum(spent[p] for p in ("gather", "encode", "evolve", "readout"))
        seconds = {
            "hydro": max(wall - spent["closure"], 0.0),
            **{p: spent[p] for p in ("gather", "encode", "evolve", "readout")},
            "rest_of_closure": max(spent["closure"] - parts, 0.0),
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
                "front": front,
                "distance": front - solver.velocity_ahead[0] * solver.time,
                **{f"seconds_{part}": seconds[part] for part in SECONDS},
            }
        )

    _last_frame = _last_time = 0.0
    front = math.nan

    def _status(self) -> dict[str, int]:
        """Cells of this rank by their stage of life; nothing where the closure is no surrogate."""
        return self.closure.status if self.surrogate else {}

    def _active(self, status: dict[str, int]) -> int:
        if self.surrogate:
            return status["LOADING"] + status["ACTIVE"] + status["BEYOND_HORIZON"]
        return int(((self.solver.burn_rate > 0) & (self.solver.burned < BURNED)).sum())

    def _seconds(self) -> dict[str, float]:
        cost = self.closure.cost if self.surrogate else dict.fromkeys(SECONDS[1:5], 0.0)
        return {**cost, "closure": 0.0 if self.watched is None else self.watched.seconds}

    def _save(self) -> None:
        arrays = {f"macro_{k}": v for k, v in self.solver.state().items()}
        arrays["last"] = np.array([self._last_frame, self._last_time])
        if self.closure is not None and not self.surrogate:
            states = self.comm.gather(self.closure.state())
            if self.leads:
                joined = {k: np.concatenate([s[k] for s in states]) for k in ("ids", "burned")}
                arrays |= {f"closure_{k}": v for k, v in (joined | {"time": states[0]["time"]}).items()}
        facts = {"case": to_dict(self.case), "interval": self.interval, "fields": self.names}
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


def open_closure(case: MacroCase, options: dict[str, Any], comm: Any = None, domain: Any = None) -> Any:
    """The closure of a case with its cells registered; None for a case without one.

    A surrogate's options are those of `mld_closure.open`, `seed` of the specimen (0 by default), and
    `fallback` by name (`fallbacks`). Each cell takes its patch of the specimen where its corner of least x
    and y lies. options: over the case's own.
    comm, domain: each rank registers the cells of its block; by default one rank has all.
    """
    domain = domain or Domain(case.grid, sides(case))
    ids = domain.cut(case.ids).ravel()
    choice = case.closure
    if choice.kind != "surrogate":
        return rate_closure(case, ids)
    import mld_closure as mld

    chosen = {"max_burn_step": choice.max_change, **choice.options, **options}
    seed = chosen.pop("seed", 0)
    default = MICRO_SHAPE if chosen.get("scale") == "micro" else MESO_SHAPE
    shape = tuple(chosen.setdefault("patch_shape", default))
    bundle: Any = choice.bundle
    if "fallback" in chosen:
        from ..closure.options import Settings

        bundle = mld.Bundle.load(bundle)
        chosen["fallback"] = make_fallback(chosen["fallback"], bundle, chosen.get("burned", Settings.burned))
    try:
        closure = mld.open(bundle, comm, **chosen)
    except TypeError as err:
        raise ConfigError(f"closure options: {err}") from None
    corners = np.indices(case.grid.shape)[::-1] * case.cell_size  # (2, row, column): x, y
    corners = domain.cut(corners).reshape(2, -1).T  # (cell, 2)
    porosities = domain.cut(case.porosities()).ravel()
    for porosity in np.unique(case.porosities()):
        mine = porosities == porosity
        closure.register(
            ids[mine], **_material(case, float(porosity), corners[mine], shape, closure.bundle.pixel, seed)
        )
    return closure


def _given(case: MacroCase, restart: Path | None) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays and facts of the checkpoint to go on from, empty ones without."""
    if restart is None:
        return {}, {}
    arrays, facts = load_checkpoint(restart)
    if odd := _differences(to_dict(case), facts["case"]):
        raise ConfigError(f"{restart} belongs to another case: {', '.join(odd)} differ")
    return arrays, facts


def _material(
    case: MacroCase, porosity: float, corners: np.ndarray, shape: tuple[int, int], pixel: float, seed: int
) -> dict[str, Any]:
    """Patches of one porosity, as `register` takes them; even ones where no voids can be placed."""
    from ..patches.specimen import Specimen

    if not 0 < porosity <= HIGHEST_POROSITY:
        return {"patches": np.broadcast_to(np.float32(1 - porosity), (len(corners), *shape))}
    size = [
        math.ceil((n - 1) * case.cell_size / pixel) + 1 + side
        for n, side in zip(case.grid.shape, shape, strict=True)
    ]
    return {
        "specimen": Specimen.generate(tuple(size), pixel, seed, porosity=porosity),
        "offsets": corners,
    }


def _differences(here: dict[str, Any], there: dict[str, Any]) -> list[str]:
    return [k for k in sorted(here.keys() | there.keys()) if k != "end_time" and here.get(k) != there.get(k)]
