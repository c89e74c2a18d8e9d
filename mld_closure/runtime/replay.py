"""A failing call that was written down, made again without the hydrocode, on any number of ranks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..closure import checkpoint
from ..closure import closure as pipeline
from ..closure.policies import ClosureError
from ..closure.readout import Response
from .agree import Attempt
from .opening import open
from .placement import spread


def replay(path: str | Path, bundle: Any, comm: Any = None, **options: Any) -> Response:
    """Make a recorded failing call again, without the hydrocode: raises its error, or returns its response.

    path: one folder under `failures`, written on any number of ranks. options: what `open` takes beside the
    recorded settings. On several ranks each owns some of the cells and gets their response. Collective.
    """
    size = 1 if comm is None else getattr(comm, "size", None) or comm.Get_size()
    if size == 1:
        return pipeline.replay(path, bundle, **options)
    attempt = Attempt(comm)
    arrays, said = attempt(checkpoint.read, path) or ({}, {})
    attempt(_check, path, arrays)
    attempt.settle()
    mine = np.flatnonzero(spread(len(arrays["ids"]), size) == comm.Get_rank())
    velocity = arrays.get("call_velocity")
    with open(bundle, comm, **{**said["settings"], **options}) as closure:
        closure.register(arrays["ids"][mine], patches=arrays["patches"][mine])
        closure.restore(path)
        closure.begin_step(said["t"], said["dt"])
        return closure.advance(
            pressure=arrays["call_pressure"][mine], velocity=None if velocity is None else velocity[mine]
        )


def _check(path: str | Path, arrays: dict[str, np.ndarray]) -> None:
    if "call_pressure" not in arrays:
        raise ClosureError(f"{path} is a restart, not a recorded call")
