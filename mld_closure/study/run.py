"""Run a case from its description to its results, on one rank or many."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from ..config import ConfigError
from ..macro.problems import MacroCase
from ..runtime.agree import Attempt
from ..runtime.comm import SerialComm
from .case import Case, read_case
from .case_run import CaseRun
from .checkpoints import checkpoints
from .journal import STEPS
from .outputs import write_results
from .result import Result


@dataclass(frozen=True)
class Progress:
    """How far a run is: step number, time and end_time (s), reacting cells, and the front along x (m)."""

    step: int
    time: float
    end_time: float
    active_cells: int
    front: float


def run(
    case: str | Path | Mapping[str, Any] | MacroCase,
    out: str | Path,
    *,
    comm: Any = None,
    resume: str | Path | bool | None = None,
    progress: Callable[[Progress], None] | None = None,
    frames: int = 200,
    checkpoint_every: int = 0,
    options: Mapping[str, Any] | None = None,
) -> Result:
    """Run the shock initiation of a slab, and write histories, pictures and a summary. Collective.

    A run that goes on from a checkpoint gives the bits of one that was never interrupted.

    Parameters
    ----------
    case : path, dict or Case
        A TOML file, nested dicts as in one, or the dataclass itself. Everything in it is checked before
        anything runs.
    out : path
        Folder of the results.
    comm : optional
        Communicator with the calls of mpi4py's; its ranks share the slab. `mld_closure.default_comm()` is all
        ranks of an mpirun.
    resume : path or bool, optional
        Checkpoint to go on from, of the same case but for its end_time; True for the last one in `out`, or
        the beginning where there is none.
    progress : callable, optional
        Called with a `Progress` after every step, on rank 0.
    frames : int
        Frames kept, evenly over the run.
    checkpoint_every : int
        Steps between checkpoints, 0 for none.
    options : mapping, optional
        Options of a surrogate in place of the case's own, such as device and threads.

    Returns
    -------
    Result
        The essentials, on all ranks.

    Raises
    ------
    ConfigError
        For a case, or options, that cannot be used.
    FileExistsError
        Where `out` holds a run already and is not to be resumed.
    RuntimeError
        Where a step or a checkpoint fails.

    Examples
    --------
    >>> import tempfile
    >>> slab = {"cells": 12, "piston_speed": 900.0, "end_time": 2e-8, "closure": {"kind": "ignition-growth"}}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     result = run(slab, folder, frames=4)
    >>> 0 < result.burned_fraction < 1
    True
    """
    begun, out = perf_counter(), Path(out)
    comm = SerialComm() if comm is None else comm
    attempt = Attempt(comm)
    chosen = attempt(_prepared, case, out, resume, options)
    attempt.settle()
    chosen, checkpoint = chosen
    going = CaseRun(
        chosen,
        out,
        frames=frames,
        checkpoint_every=checkpoint_every,
        resume=checkpoint,
        options=options,
        comm=comm,
    )

    def report(r: CaseRun) -> None:
        if progress is not None and r.leads:
            progress(Progress(r.solver.steps, r.solver.time, r.case.end_time, r.active, r.front))

    attempt = Attempt(comm)
    try:
        going.go(report)
        summary = attempt(write_results, going, perf_counter() - begun) if going.leads else None
        attempt.settle()
    finally:
        going.close()
    return Result(out, comm.bcast(summary))


def _prepared(
    case: Any, out: Path, resume: str | Path | bool | None, options: Mapping[str, Any] | None
) -> tuple[Case, Path | None]:
    """The case, and the checkpoint to go on from, once everything that was asked for makes sense together."""
    chosen, known = read_case(case), checkpoints(out)
    if options:
        if chosen.closure.kind != "surrogate":
            raise ConfigError(
                f"{next(iter(options))} is for a surrogate, the case has '{chosen.closure.kind}'"
            )
        chosen.closure.surrogate(options)
    if isinstance(resume, (str, Path)):
        return chosen, Path(resume)
    if resume and known:
        return chosen, known[-1]
    if (out / STEPS).exists():
        cure = f"go on from its last checkpoint, {known[-1]}, or " if known else ""
        raise FileExistsError(f"{out} holds a run already; {cure}choose another folder")
    return chosen, None
