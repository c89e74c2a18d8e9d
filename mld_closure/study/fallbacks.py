"""Physics by name, for cells that a surrogate may not serve: what a case file can ask for as a fallback."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..config import ConfigError, from_dict

NAMES = ("dns", "ignition-growth")
WHERE = "closure options: fallback"


@dataclass(frozen=True)
class FallbackChoice:
    """The entry `fallback` of `[closure.options]`: its kind, and the constants of `ignition-growth`."""

    kind: str
    constants: dict[str, float] = field(default_factory=dict)

    @classmethod
    def from_table(cls, choice: str | Mapping[str, Any] | FallbackChoice) -> FallbackChoice:
        """From `"dns"`, or a table with `kind` = "dns" | "ignition-growth" and constants.

        Raises ConfigError naming what cannot be used.
        """
        if isinstance(choice, FallbackChoice):
            return choice
        table = {"kind": choice} if isinstance(choice, str) else dict(choice)
        kind = table.pop("kind", None)
        if kind not in NAMES:
            raise ConfigError(f"{WHERE} '{kind}': choose {' | '.join(NAMES)}")
        if kind == "dns" and table:
            raise ConfigError(f"{WHERE} 'dns' takes no constants, got {', '.join(table)}")
        if "compression" in table:
            raise ConfigError(f"{WHERE}: 'compression' comes from the bundle; leave it out")
        if kind == "ignition-growth":
            _law(table, None)
        return cls(kind, table)


def make_fallback(choice: str | Mapping[str, Any] | FallbackChoice, bundle: Any) -> Any:
    """The fallback that a case asks for, ready for `mld_closure.open`.

    `dns` simulates the cell's own patch under its own load, once, over the bundle's horizon; a meso cell
    takes as long as a meso case of training data, and holds its last values beyond the horizon.

    Parameters
    ----------
    choice : str, mapping or FallbackChoice
        See `FallbackChoice.from_table`.
    bundle : Bundle
        The surrogate's.

    Raises
    ------
    ConfigError
        Naming what cannot be used.
    """
    choice = FallbackChoice.from_table(choice)
    if choice.kind == "dns":
        return _dns(bundle)
    from ..surrogate.frame0 import LoadTable

    return _law(choice.constants, LoadTable.from_bundle(bundle).compression)


def _law(constants: Mapping[str, Any], compression: Any) -> Any:
    from ..closure.fallback.ignition_growth import IgnitionGrowth

    return from_dict(IgnitionGrowth, {**constants, "compression": compression}, WHERE)


def _dns(bundle: Any) -> Any:
    from ..closure.fallback.curve import CurveFallback
    from ..dns.cases import PRESETS, record
    from ..models.readout_head import stack_targets, targets_from_fields
    from ..surrogate.frame0 import LoadTable
    from ..surrogate.own_material import own_burned, own_share

    table = LoadTable.from_bundle(bundle)
    case = replace(
        PRESETS["meso"],
        pixel=bundle.pixel,
        frames=bundle.horizon + 1,
        frame_interval=bundle.meso_step,
    )

    def simulate(patch: np.ndarray, up: float) -> tuple[np.ndarray, np.ndarray]:
        movie, _ = record(np.asarray(patch, float), up, case)
        times, values = np.array(case.times), stack_targets(targets_from_fields(movie))
        loads, solid = np.full(len(times), up), np.full(len(times), patch.mean(dtype=np.float64))
        length = patch.shape[1] * bundle.pixel
        return times, own_burned(values, own_share(table, loads, solid, times, length))

    return CurveFallback(simulate)
