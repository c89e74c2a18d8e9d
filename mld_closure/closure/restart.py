"""What a restart says besides its arrays, and whether it belongs to a closure."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..config import ConfigError, to_dict
from ..errors import ClosureError
from .cells import Cells
from .options import Options, differences
from .sources import Sources

FIXED = ("engine.scale", "engine.patch_shape", "engine.reproducible", "readout.read_every")


def describe(
    bundle: str, time: float | None, options: Options, fitting: int | None, cells: Cells, sources: Sources
) -> dict[str, Any]:
    """JSON-ready facts of a restart.

    bundle: its content hash. time (s): of the last commit. fitting: largest micro-batch that has fitted.
    """
    return {
        "bundle": bundle,
        "time": time,
        "options": to_dict(options),
        "fitting": fitting,
        "patches": sources.fingerprint(cells.ids),
    }


def check(facts: Mapping[str, Any], bundle: str, options: Options, changed: Sequence[str] = ()) -> None:
    """ClosureError unless a restart belongs to this bundle and was written with the same options.

    changed: options that may differ, such as "policy.on_extrapolation"; none of `FIXED`.
    """
    if facts["bundle"] != bundle:
        raise ClosureError(
            f"this restart belongs to the bundle {facts['bundle'][:12]}, not to {bundle[:12]}; "
            "open the bundle it was written with"
        )
    try:
        found = differences(options, facts["options"])
    except ConfigError as err:
        raise ClosureError(f"this restart cannot be used: {err}") from None
    for name, (mine, theirs) in found.items():
        here, there = _show(mine), _show(theirs)
        if name in FIXED:
            raise ClosureError(f"this restart has {name} = {there}, the closure {here}; open it alike")
        if name not in changed:
            raise ClosureError(
                f"this restart has {name} = {there}, the closure {here}; open it alike, or go on "
                f"with changed=['{name}']"
            )


def check_patches(facts: Mapping[str, Any], cells: Cells, sources: Sources) -> None:
    """ClosureError where a cell registered here has another patch than in the restart."""
    known = np.array([int(i) for i in facts["patches"]], np.int64)
    rows = np.flatnonzero(np.isin(cells.ids, known))
    for row, cell in zip(rows, cells.ids[rows], strict=True):
        crc = zlib.crc32(np.ascontiguousarray(sources.gather(np.array([row]))))
        if crc != facts["patches"][str(cell)]:
            raise ClosureError("this restart was written with other patches; register those", [cell])


def _show(value: Any) -> str:
    return "none" if value is None else str(list(value) if isinstance(value, tuple) else value)
