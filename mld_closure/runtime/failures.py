"""A call that failed on several ranks, written to one folder; `replay` makes it again on any number of ranks.

Each rank writes the cells at work that it owns, and those latents of such cells that it serves; the folder is
laid out as a restart, so that one rank reads what several have written.
"""

from __future__ import annotations

import logging
import shutil
import typing
from pathlib import Path

import numpy as np

from ..closure import checkpoint
from ..closure.cells import NO_SLOT
from ..closure.policies import ClosureError
from ..closure.record import at_work, call_arrays, call_facts, next_folder
from ..closure.restart import facts
from ..closure.step import OpenStep
from .agree import Attempt
from .restart import latents

if typing.TYPE_CHECKING:
    from .service import DistributedClosure

log = logging.getLogger("mld_closure")


class Call(typing.NamedTuple):
    """What a rank is asked: ids and rows (n,) of cells (None: all, in order), pressures (Pa), velocities."""

    step: OpenStep
    rows: np.ndarray | None
    ids: np.ndarray
    pressure: np.ndarray
    velocity: np.ndarray | None


def record(closure: DistributedClosure, failures: Path, call: Call | None, error: Exception) -> None:
    """Write the call (None where a rank could not make sense of what it was given: then nothing is written).

    error: the one that all ranks have agreed on. A rank that cannot write makes it a warning. Collective.
    """
    attempt, comm = Attempt(closure.comm), closure.comm
    folder = None
    try:
        every = attempt.settle(call is None, call is not None and call.velocity is not None)
        if every[:, 0].any():
            return
        folder = attempt(next_folder, failures) if comm.rank == 0 else None
        attempt.settle()
        folder, name = comm.bcast((folder, checkpoint.new_name()) if comm.rank == 0 else None)
        step, _, ids, pressure, velocity = call
        if velocity is None and every[:, 1].any():
            velocity = np.zeros(len(ids))
        ids_at_work = attempt(lambda: ids[at_work(closure, ids, pressure)])
        attempt.settle()
        arrays = _state(closure, ids_at_work)
        arrays |= attempt(call_arrays, closure, ids, pressure, velocity) or {}
        entry = attempt(checkpoint.write_shard, folder, name, comm.rank, arrays)
        said = attempt(lambda: facts(closure) | {"patches": {}} | call_facts(step, error))
        attempt.settle()
        entries = comm.gather(entry)
        if comm.rank == 0:
            attempt(checkpoint.write_manifest, folder, name, entries, said)
        attempt.settle()
    except (ClosureError, FileNotFoundError) as err:
        if comm.rank == 0:
            log.warning("failing call not written: %s", err)
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)
        return
    if comm.rank == 0:
        log.warning("failing call written to %s", folder)


def _state(closure: DistributedClosure, ids: np.ndarray) -> dict[str, np.ndarray]:
    """The committed state of these cells, which this rank owns, and latents that it serves. Collective."""
    rows = closure.cells.rows(ids)
    known = closure.cells.record[rows]
    arrays = {"ids": ids, "pressure": closure.cells.pressure[rows]} | checkpoint.pack(known)
    served = known["slot"] != NO_SLOT
    held = closure.exchange.plan(known["slot"][served]).forward(ids[served])
    return arrays | latents(closure, held)
