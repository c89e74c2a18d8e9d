"""What a restart says besides its arrays, and whether it belongs to a closure."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..config import ConfigError, to_dict
from ..errors import ClosureError
from .cells import COLUMNS, Cells, Stage
from .options import Options, differences
from .sources import Sources

# Least and greatest value of what a restart may hold, NaN apart; what is not named may be any finite number
_LIMITS = {
    "pressure": (0.0, np.inf), "porosity": (-1e-6, 1 + 1e-6), "novelty": (0.0, np.inf), "age": (0.0, np.inf),
    "peak": (0.0, np.inf), "load": (0.0, np.inf), "sample_age": (0.0, np.inf), "sample_load": (0.0, np.inf),
    "solid": (-1e-6, 1 + 1e-6), "up": (0.0, np.inf), "relax": (0.0, np.inf), "spread": (0.0, np.inf),
    "frame": (-1, 10**7), "stage": (min(Stage), max(Stage)), "server": (-1, 2**31), "slot": (-1, 2**31),
}  # fmt: skip
_UNKNOWN = (
    "porosity",
    "novelty",
    "spread",
    "draws",
    "left",
    "right",
    "value",
)  # where NaN stands for "not known"
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


def check_cells(arrays: Mapping[str, np.ndarray]) -> None:
    """ClosureError unless arrays of a restart hold possible states of cells, one for each id."""
    ids = arrays.get("ids")
    if ids is None or ids.dtype != np.int64 or ids.ndim != 1 or len(np.unique(ids)) != len(ids):
        raise ClosureError(
            "the ids in the restart are not whole numbers, one for each cell; use another restart"
        )
    for name, column in COLUMNS.items():
        found = arrays.get(f"cell_{name}")
        if found is None or found.dtype != np.dtype(column["dtype"]):
            raise ClosureError(f"the restart lacks '{name}' or holds another type; it is of another version")
        if found.shape != (len(ids), *column["shape"]):
            raise ClosureError(
                f"'{name}' in the restart has shape {found.shape} for {len(ids)} cells; use another"
            )
        low, high = _LIMITS.get(name, (-np.inf, np.inf))
        bad = ~((found >= low) & (found <= high)) if found.dtype != bool else np.zeros(found.shape, bool)
        if found.dtype.kind == "f":
            bad = (bad | np.isinf(found)) & ~(np.isnan(found) & (name in _UNKNOWN))
        if bad.any():
            cells = ids[bad.any(axis=tuple(range(1, bad.ndim)))]
            raise ClosureError(
                f"'{name}' of cells in the restart cannot be {found[bad][0]}; use another restart", cells
            )


def check_latents(arrays: Mapping[str, np.ndarray], pattern: Mapping[str, np.ndarray]) -> None:
    """ClosureError unless the latent states in arrays of a restart are finite and of the shapes of a pattern
    (0, ...)."""
    ids = arrays.get("latent_ids", pattern["latent_ids"])
    for name in (name for name in pattern if name.startswith("latent_")):
        found = arrays.get(name)
        if found is None and not len(ids):
            continue
        if (
            found is None
            or found.dtype != pattern[name].dtype
            or found.shape != (len(ids), *pattern[name].shape[1:])
        ):
            raise ClosureError(
                f"the restart lacks '{name}' or holds another shape or type; use another restart"
            )
        if not np.isfinite(found).all():
            raise ClosureError(
                f"'{name}' in the restart holds numbers that are not finite; use another restart"
            )


def _show(value: Any) -> str:
    return "none" if value is None else str(list(value) if isinstance(value, tuple) else value)
