"""Physics by name, for cells that a surrogate may not serve: what a case file can ask for as a fallback."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..config import ConfigError, from_dict

NAMES = ("dns", "ignition-growth")


def make_fallback(choice: str | dict[str, Any], bundle: Any, burned: str) -> Any:
    """The fallback of a case: `dns`, or a table with kind = "dns" | "ignition-growth" and its constants.

    `dns` simulates the cell's own patch under its own load, once, over the bundle's horizon; a meso cell
    takes as long as a meso case of training data, and holds its last values beyond the horizon. burned: what
    the closure's burned fractions are a share of (`Settings.burned`). Raises ConfigError naming what cannot
    be used.
    """
    table = {"kind": choice} if isinstance(choice, str) else dict(choice)
    kind = table.pop("kind", None)
    if kind not in NAMES:
        raise ConfigError(f"closure options: fallback '{kind}': choose {' | '.join(NAMES)}")
    if kind == "dns":
        if table:
            raise ConfigError(f"closure options: fallback 'dns' takes no constants, got {', '.join(table)}")
        return _dns(bundle, burned)
    from ..closure.fallback import IgnitionGrowth
    from ..surrogate.frame0 import LoadTable

    compression = LoadTable.from_bundle(bundle).compression
    return from_dict(IgnitionGrowth, {**table, "compression": compression}, "closure options: fallback")


def _dns(bundle: Any, burned: str) -> Any:
    from ..closure.fallback import CurveFallback
    from ..dns.cases import PRESETS, record
    from ..models.readout_head import stack_targets, targets_from_fields
    from ..surrogate.frame0 import LoadTable
    from ..surrogate.own_material import own_burned, own_share

    table = LoadTable.from_bundle(bundle) if burned == "own material" else None
    case = replace(
        PRESETS["meso"],
        pixel=bundle.pixel,
        frames=bundle.horizon + 1,
        frame_interval=bundle.meso_step,
    )

    def simulate(patch: np.ndarray, up: float) -> tuple[np.ndarray, np.ndarray]:
        movie, _ = record(np.asarray(patch, float), up, case)
        times, values = np.array(case.times), stack_targets(targets_from_fields(movie))
        if table is not None:
            loads, solid = np.full(len(times), up), np.full(len(times), patch.mean(dtype=np.float64))
            length = patch.shape[1] * bundle.pixel
            values = own_burned(values, own_share(table, loads, solid, times, length))
        return times, values

    return CurveFallback(simulate)
