"""A failing call that was written down, made again without the hydrocode, on any number of ranks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..closure import checkpoint
from ..closure.response import Response
from ..errors import ClosureError
from .agree import Attempt
from .comm import SerialComm
from .opening import open
from .placement import spread


def replay(path: str | Path, bundle: Any, comm: Any = None, **options: Any) -> Response:
    """Make a recorded failing call again, without the hydrocode. Collective.

    Parameters
    ----------
    path
        One folder under `failures`, written on any number of ranks.
    bundle
        The bundle that served.
    comm
        None, or a communicator; each of several ranks owns some of the cells and gets their response.
    options
        What `open` takes; options of a group stand beside those that were recorded.

    Returns
    -------
    Response
        What the call returns now.

    Raises
    ------
    ClosureError
        The error of the call, and where the folder holds no recorded call.
    FileNotFoundError
        Where there is none.
    """
    ranks = SerialComm() if comm is None else comm
    call = Attempt(ranks)
    arrays, facts = call(checkpoint.read, path) or ({}, {})
    call(_check, path, arrays)
    call.settle()
    size, rank = ranks.size, ranks.rank
    mine = np.flatnonzero(spread(len(arrays["ids"]), size) == rank)
    velocity = arrays.get("call_velocity")
    recorded = {**facts["options"]}
    changed = []
    for group in recorded.keys() & options.keys():
        given = {"kind": options[group]} if isinstance(options[group], str) else dict(options[group])
        changed += [f"{group}.{name}" for name in given]
        options[group] = {**recorded[group], **given}
    with open(bundle, comm, **{**recorded, **options}) as closure:
        closure.register(arrays["ids"][mine], patches=arrays["patches"][mine])
        closure.restore(path, changed=changed)
        closure.begin_step(facts["t"], facts["dt"])
        return closure.advance(
            pressure=arrays["call_pressure"][mine], velocity=None if velocity is None else velocity[mine]
        )


def _check(path: str | Path, arrays: dict[str, np.ndarray]) -> None:
    if "call_pressure" not in arrays:
        raise ClosureError(f"{path} is a restart, not a recorded call")
