"""How a case opens its surrogate: the table `[closure.options]`, checked before anything runs."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from ..config import ConfigError, from_dict
from ..grids import MESO_SHAPE, MICRO_SHAPE
from .fallbacks import FallbackChoice

WHERE = "closure options"


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
    settings : dict
        All other options of the closure, as they were given (checked against `closure.options`).
    """

    device: str = "auto"
    precision: str = "fp32"
    serving: str = "auto"
    threads: int | None = None
    capture: str | None = None
    failures: str | None = None
    seed: int = 0
    fallback: FallbackChoice | None = None
    settings: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_table(cls, table: Mapping[str, Any], max_burn_step: float) -> SurrogateOptions:
        """Options from a table; max_burn_step: that of the closure where the table gives none.

        Raises ConfigError naming an unknown key, a wrong type or a bad value.
        """
        from ..closure.options import Settings

        own = {f.name for f in fields(cls)} - {"settings"}
        closure = {f.name for f in fields(Settings)}
        for key in table:
            if key not in own | closure:
                near = difflib.get_close_matches(key, own | closure, n=1)
                hint = (
                    f"did you mean '{near[0]}'?"
                    if near
                    else f"known keys: {', '.join(sorted(own | closure))}"
                )
                raise ConfigError(f"{WHERE}: unknown key '{key}'; {hint}")
        settings = {"max_burn_step": max_burn_step, **{k: v for k, v in table.items() if k in closure}}
        checked = from_dict(Settings, settings, WHERE)
        default = MICRO_SHAPE if checked.scale == "micro" else MESO_SHAPE
        settings = {name: getattr(checked, name) for name in settings}
        settings["patch_shape"] = checked.patch_shape or default
        mine = {k: v for k, v in table.items() if k in own}
        if "fallback" in mine:
            mine["fallback"] = FallbackChoice.from_table(mine["fallback"])
        fallback = mine.pop("fallback", None)
        return replace(from_dict(cls, mine, WHERE), settings=settings, fallback=fallback)

    @property
    def patch_shape(self) -> tuple[int, int]:
        """(ny, nx) of the cells' patches in pixels."""
        return self.settings["patch_shape"]

    @property
    def burned(self) -> str:
        """What burned fractions are shares of (`closure.options`)."""
        from ..closure.options import Settings

        return self.settings.get("burned", Settings.burned)

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments of `mld_closure.open`, but for the bundle, the communicator and the fallback."""
        names = ("device", "precision", "serving", "threads", "capture", "failures")
        return {**{name: getattr(self, name) for name in names}, **self.settings}
