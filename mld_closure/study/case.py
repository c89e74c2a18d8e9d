"""A case: a slab under impact, and the closure that burns its cells, typed and checked when it is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from .. import config
from ..closure.fallback.ignition_growth import PressureIgnitionGrowth
from ..config import ConfigError
from ..macro.problems import MacroCase
from .surrogate_options import SurrogateOptions


@dataclass(frozen=True)
class ClosureTable:
    """The table `[closure]` of a case file.

    Parameters
    ----------
    kind : str
        `none`: nothing burns; `ignition-growth`: a law of pressure; `surrogate`: a trained bundle.
    bundle : str
        Name or path of the surrogate's bundle.
    max_change : float
        Change of a burned fraction in one step that the closure asks the hydrocode to stay below.
    options : dict
        Constants of `ignition-growth` (`PressureIgnitionGrowth`), or how the surrogate is opened
        (`SurrogateOptions`).
    """

    kind: Literal["none", "ignition-growth", "surrogate"] = "none"
    bundle: str = ""
    max_change: float = 0.05
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.kind == "surrogate") != bool(self.bundle):
            raise ValueError(
                f"closure '{self.kind}' with bundle '{self.bundle}': surrogate, and only it, has one"
            )
        if self.kind == "none" and self.options:
            raise ValueError(f"closure 'none' takes no options, got {', '.join(self.options)}")
        if not 0 < self.max_change <= 1:
            raise ValueError(f"max_change must be above 0 and at most 1, got {self.max_change}")
        if self.kind == "ignition-growth":
            self.constants()
        if self.kind == "surrogate":
            self.surrogate()

    def constants(self) -> PressureIgnitionGrowth:
        """The constants of `ignition-growth`."""
        return config.from_dict(PressureIgnitionGrowth, self.options, where="closure options")

    def surrogate(self, changes: Mapping[str, Any] | None = None) -> SurrogateOptions:
        """How the surrogate is opened; `changes` replace options of the table."""
        return SurrogateOptions.from_table({**self.options, **(changes or {})}, self.max_change)


@dataclass(frozen=True)
class Case(MacroCase):
    """A slab under impact (`MacroCase`) and what burns its cells."""

    closure: ClosureTable = field(default_factory=ClosureTable)


def read_case(case: str | Path | Mapping[str, Any] | MacroCase) -> Case:
    """A case from a TOML file, from nested dicts, or from a dataclass; ConfigError names what is wrong."""
    if isinstance(case, Case):
        return case
    if isinstance(case, MacroCase):
        return Case(**{f.name: getattr(case, f.name) for f in fields(case)})
    if isinstance(case, Mapping):
        return config.from_dict(Case, case, where="case")
    if isinstance(case, (str, Path)):
        return config.load(Case, case)
    raise ConfigError(f"a case is a TOML file, a dict or a Case, got {type(case).__name__}")
