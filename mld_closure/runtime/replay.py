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

_TOLD = ("velocity", "entropy")  # what a call may bring besides pressures


def replay(path: str | Path, bundle: Any, comm: Any = None, **options: Any) -> Response:
    """Repeat a recorded call that failed, without the hydrocode: its error is raised again.

    On several ranks the call is collective; each rank owns some of the cells and gets their response.

    Parameters
    ----------
    path
        One folder in the folder `failures` of the closure; written on any number of ranks.
    bundle
        The bundle the closure had: its path, its name, or a `Bundle`.
    comm
        None, or a communicator with the calls of mpi4py's.
    **options
        What `open` takes, in place of the recorded options.

    Returns
    -------
    Response
        What the call returns if it does not fail this time; of this rank's cells.

    Raises
    ------
    ClosureError
        The error of the recorded call, or `path` is not a recorded call.
    FileNotFoundError
        There is no recorded call at `path`.

    Examples
    --------
    A call with a pressure that is not a number fails and is recorded; the replay fails in the same way:

    >>> import numpy as np
    >>> import mld_closure as mld
    >>> bundle = mld.testing.random_networks(base=2)
    >>> with mld.open(bundle, threads=1, failures="failed") as closure:
    ...     closure.register([7], patches=np.ones((1, 32, 96), np.float32))
    ...     closure.begin_step(0.0, 1e-9)
    ...     closure.advance(pressure=np.array([np.nan]))
    Traceback (most recent call last):
    mld_closure.errors.ClosureError: pressure of cell 7 is not finite (nan Pa); ...
    >>> import pathlib
    >>> recorded = next(pathlib.Path("failed").iterdir())
    >>> mld.replay(recorded, bundle, threads=1)
    Traceback (most recent call last):
    mld_closure.errors.ClosureError: pressure of cell 7 is not finite (nan Pa); ...
    """
    ranks = SerialComm() if comm is None else comm
    call = Attempt(ranks)
    arrays, facts = call(checkpoint.read, path) or ({}, {})
    call(_check, path, arrays, facts)
    call.settle()
    size, rank = ranks.size, ranks.rank
    mine = np.flatnonzero(spread(len(arrays["ids"]), size) == rank)
    told = {name: arrays[f"call_{name}"][mine] for name in _TOLD if f"call_{name}" in arrays}
    recorded = {**facts["options"]}
    changed = []
    for group in recorded.keys() & options.keys():
        given = {"kind": options[group]} if isinstance(options[group], str) else dict(options[group])
        changed += [f"{group}.{name}" for name in given]
        options[group] = {**recorded[group], **given}
    with open(bundle, comm, **{**recorded, **options}) as closure:
        closure.register(arrays["ids"][mine], patches=arrays["patches"][mine])  # parts come with the states
        closure.restore(path, changed=changed)
        closure.begin_step(facts["t"], facts["dt"])
        return closure.advance(pressure=arrays["call_pressure"][mine], **told)


def _check(path: str | Path, arrays: dict[str, np.ndarray], facts: dict[str, Any]) -> None:
    if "call_pressure" not in arrays:
        raise ClosureError(f"{path} is a restart, not a recorded call")
    n = len(arrays["ids"]) if arrays.get("ids", np.empty(0)).ndim == 1 else -1
    columns = [arrays[f"call_{name}"] for name in ("pressure", *_TOLD) if f"call_{name}" in arrays]
    patches = arrays.get("patches", np.empty(0))
    right = all(c.shape == (n,) and c.dtype == np.float64 for c in columns) and patches.ndim == 3
    if not right or len(patches) != n or None in (facts.get("t"), facts.get("dt")):
        raise ClosureError(f"{path} is no recorded call: its arrays do not fit together, or it names no step")
