"""A closure's committed state as arrays and facts, and back."""

from __future__ import annotations

import typing
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..config import to_dict
from . import checkpoint
from .cells import CELL, NO_SLOT
from .policies import ClosureError, cells

if typing.TYPE_CHECKING:
    from .closure import Closure


def snapshot(closure: Closure, ids: np.ndarray | None = None) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The committed state of all cells, or of some: arrays, and JSON-ready facts."""
    rows = closure.cells.all_rows if ids is None else closure.cells.rows(ids)
    record = closure.cells.record[rows]
    arrays = {"ids": closure.cells.ids[rows], "pressure": closure.cells.pressure[rows]}
    arrays |= checkpoint.pack(record)
    slots = record["slot"][record["slot"] != NO_SLOT]
    if len(slots):
        latent = closure.pool.read(slots)
        arrays["latent_mean"] = latent.mean.cpu().numpy()
        if closure.pool.with_logvar:
            arrays["latent_logvar"] = latent.logvar.cpu().numpy()
    return arrays, facts(closure)


def facts(closure: Closure) -> dict[str, Any]:
    """What a restart says besides its arrays."""
    return {
        "bundle": closure.hash,
        "time": closure.time,
        "settings": to_dict(closure.settings),
        "fitting": closure.engine.fitting,
        "patches": closure.sources.fingerprint(closure.cells.ids),
    }


def adopt(
    closure: Closure, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any], *, same_patches: bool = True
) -> None:
    """Take a snapshot as the committed state of a closure in which the same cells are registered.

    Raises ClosureError, with nothing changed, for another bundle, scale, patch size, cells, or (where
    `same_patches` is set) patches.
    """
    check_facts(closure, facts)
    ids, registered = arrays["ids"], closure.cells.ids
    if not np.array_equal(np.sort(ids), np.sort(registered)):
        odd = np.setxor1d(ids, registered)
        raise ClosureError(
            f"{cells(odd)} not both in the restart and registered; register the same cells", odd
        )
    rows = closure.cells.rows(ids)
    if same_patches:
        check_patches(closure, facts)
    record = checkpoint.unpack(arrays, CELL)
    served = record["slot"] != NO_SLOT
    if len(ids):
        closure.pool.reset(int(served.sum()))
        record["slot"][served] = closure.pool.take(int(served.sum()))
        if served.any():
            closure.pool.load(record["slot"][served], arrays["latent_mean"], arrays.get("latent_logvar"))
    whole, pressure = np.empty(len(rows), CELL), np.empty(len(rows))
    whole[rows], pressure[rows] = record, arrays["pressure"]
    closure.cells.restore(whole, pressure)
    closure.engine.fitting, closure.time = facts["fitting"], facts["time"]


def check_facts(closure: Closure, facts: Mapping[str, Any]) -> None:
    """ClosureError unless a restart belongs to this bundle, scale, patch size and way of counting."""
    if facts["bundle"] != closure.hash:
        raise ClosureError(
            f"this restart belongs to the bundle {facts['bundle'][:12]}, not to {closure.hash[:12]}; "
            "open the bundle it was written with"
        )
    here, there = to_dict(closure.settings), facts["settings"]
    for name in ("scale", "patch_shape", "burned", "read_every"):
        mine, theirs = (
            list(v) if isinstance(v, (tuple, list)) else v for v in (here.get(name), there.get(name))
        )
        if mine != theirs:
            raise ClosureError(f"this restart has {name} = {theirs}, the closure {mine}; open it alike")


def check_patches(closure: Closure, facts: Mapping[str, Any]) -> None:
    """ClosureError where a cell registered here has another patch than in the restart."""
    known = np.array([int(i) for i in facts["patches"]], np.int64)
    rows = np.flatnonzero(np.isin(closure.cells.ids, known))
    for row, cell in zip(rows, closure.cells.ids[rows], strict=True):
        if (
            zlib.crc32(np.ascontiguousarray(closure.sources.gather(np.array([row]))))
            != facts["patches"][str(cell)]
        ):
            raise ClosureError("this restart was written with other patches; register those", [cell])
