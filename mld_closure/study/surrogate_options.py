"""How a case opens its surrogate: the table `[closure.options]`, checked before anything runs."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from ..closure.options import Options, where_it_belongs
from ..config import ConfigError, from_dict
from ..grids import MESO_SHAPE, MICRO_SHAPE
from .fallbacks import FallbackChoice

WHERE = "closure options"
GROUPS = tuple(f.name for f in fields(Options))


@dataclass(frozen=True)
class SurrogateOptions:
    """What `mld_closure.open` is given for a case, and how its specimen is made.

    Parameters
    ----------
    device, precision, serving, threads, capture, failures
        See `mld_closure.open`.
    seed : int
        Of the specimen that the cells take their patches from.
    fallback : FallbackChoice, optional
        Physics for cells that the policies hand to it.
    options : Options
        Options of the closure by group: load, readout, engine, policy, shadow. `engine.patch_shape` is set.
    """

    device: str = "auto"
    precision: str = "fp32"
    serving: str = "auto"
    threads: int | None = None
    capture: str | None = None
    failures: str | None = None
    seed: int = 0
    fallback: FallbackChoice | None = None
    options: Options = field(default_factory=Options)

    @classmethod
    def from_table(cls, table: Mapping[str, Any], max_burn_step: float) -> SurrogateOptions:
        """Options from a table whose groups are tables, or for `load` and `readout` a word.

        Parameters
        ----------
        table : mapping
            As in a case file.
        max_burn_step : float
            `policy.max_burn_step` where the table gives none.

        Raises
        ------
        ConfigError
            Naming an unknown key, a wrong type or a bad value.
        """
        own = {f.name for f in fields(cls)} - {"options"}
        for key, value in table.items():
            if key not in own and key not in GROUPS:
                near = difflib.get_close_matches(key, own.union(GROUPS), n=1)
                guess = f"unknown key '{key}'; did you mean '{near[0]}'?" if near else None
                raise ConfigError(f"{WHERE}: {guess or where_it_belongs(key, value)}")
        groups = {name: table[name] for name in GROUPS if name in table}
        if isinstance(groups.setdefault("policy", {}), Mapping):
            groups["policy"] = {"max_burn_step": max_burn_step, **groups["policy"]}
        options = Options.from_groups(groups, WHERE)
        default = MICRO_SHAPE if options.engine.scale == "micro" else MESO_SHAPE
        shape = options.engine.patch_shape or default
        options = replace(options, engine=replace(options.engine, patch_shape=shape))
        mine = {k: v for k, v in table.items() if k in own and k != "fallback"}
        fallback = FallbackChoice.from_table(table["fallback"]) if "fallback" in table else None
        return replace(from_dict(cls, mine, WHERE), options=options, fallback=fallback)

    @property
    def patch_shape(self) -> tuple[int, int]:
        """(ny, nx) of the cells' patches in pixels."""
        return self.options.engine.patch_shape

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments of `mld_closure.open`, but for the bundle, the communicator and the fallback."""
        names = ("device", "precision", "serving", "threads", "capture", "failures")
        groups = {name: getattr(self.options, name) for name in GROUPS}
        return {name: getattr(self, name) for name in names} | groups
