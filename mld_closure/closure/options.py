"""Everything that a host may choose when it opens a closure, in groups, in SI units.

The declaration here is the only one: `table` makes the rows that `closure/README.md` and `closure.h` show.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Literal, NamedTuple, get_type_hints

from ..config import ConfigError, from_dict, option
from ..surrogate.options import EngineOptions, ReadoutOptions, positive

LoadKind = Literal["auto", "pressure", "incoming wave", "entropy"]
Policy = Literal["clamp", "fallback", "error"]


@dataclass(frozen=True)
class LoadOptions:
    """How the arrival of a shock is seen, and what load the model is given."""

    kind: LoadKind = option(
        "auto",
        "state of the macro cell that the load is matched to: the solid shock of equal `pressure`, the "
        "`incoming wave` of equal p + rho0 us u, which needs velocities, or the porous shock that leaves the "
        "solid with this `entropy`; `auto` takes the entropy where it is given, else the wave where it can",
    )
    p_arrival: float | None = option(
        None,
        "pressure that marks the arrival; none is that of training, or a fifth of the weakest trained shock "
        "pressure",
        "Pa",
    )
    window: float | None = option(
        None,
        "longest time over which a load is sought; none is the time that the weakest trained shock takes to "
        "cross a patch, or half of one for points",
        "s",
    )
    updates: int = option(
        1,
        "equal parts of the window after each of which a cell may start, or start anew, with its load so far",
    )
    history_exponent: float | None = option(
        None,
        "m in d tau = clip(p / P_s, 0, 2)^m dt, or clip(p / p_frame, 1/4, 4)^m dt for points; 0 makes a "
        "cell's clock run with time, none is 1, or what the bundle says for points",
    )

    def __post_init__(self) -> None:
        positive(self, "load", "p_arrival", "window", "updates")
        if self.history_exponent is not None and not self.history_exponent >= 0:
            raise ValueError(f"load.history_exponent must not be negative, got {self.history_exponent}")


@dataclass(frozen=True)
class PolicyOptions:
    """What is done where the model may not or cannot serve a cell."""

    on_extrapolation: Policy = option("clamp", "a load or a patch unlike those trained on")
    on_bad_result: Policy = option("clamp", "a result that is not finite, out of bounds, or not monotone")
    on_uncertain: Policy = option("clamp", "an uncertainty above `max_uncertainty`")
    on_weak_load: Literal["reset", "extrapolate"] = option(
        "reset", "a load below the trained range: the cell is idle again, or `on_extrapolation` decides"
    )
    max_uncertainty: float | None = option(
        None, "uncertainty of the burn rate that counts as too much; none for no limit", "1/s"
    )
    max_burn_step: float = option(0.05, "change of a burned fraction that `dt_max` allows in one step")

    def __post_init__(self) -> None:
        positive(self, "policy", "max_burn_step")
        if self.max_uncertainty is not None and not self.max_uncertainty >= 0:
            raise ValueError(f"policy.max_uncertainty must not be negative, got {self.max_uncertainty} 1/s")


@dataclass(frozen=True)
class ShadowOptions:
    """Shares of the cells for which something else is computed too, and recorded; the run is unchanged."""

    readout: float = option(0.0, "share that is read with the other readout too")
    fallback: float = option(0.0, "share that the fallback computes too")

    def __post_init__(self) -> None:
        for name in ("readout", "fallback"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"shadow.{name} is a share between 0 and 1, got {getattr(self, name)}")


@dataclass(frozen=True)
class Options:
    """All choices of a run."""

    load: LoadOptions = field(default_factory=LoadOptions)
    readout: ReadoutOptions = field(default_factory=ReadoutOptions)
    engine: EngineOptions = field(default_factory=EngineOptions)
    policy: PolicyOptions = field(default_factory=PolicyOptions)
    shadow: ShadowOptions = field(default_factory=ShadowOptions)

    def check_without_fallback(self) -> None:
        """ValueError where something was chosen that needs a fallback."""
        policy = self.policy
        if "fallback" in (policy.on_extrapolation, policy.on_bad_result, policy.on_uncertain):
            raise ValueError("a policy is 'fallback' but no fallback was given; pass fallback=")
        if self.shadow.fallback:
            raise ValueError("shadow.fallback is set but no fallback was given; pass fallback=")

    @classmethod
    def from_groups(cls, groups: Mapping[str, Any], where: str = "options") -> Options:
        """Options from groups: tables, dataclasses, or for `load` and `readout` a word that is the `kind`.

        Raises ConfigError naming an unknown option, a wrong type or a bad value.
        """
        plain: dict[str, Any] = {}
        for name, group in groups.items():
            if group is None:
                continue
            if isinstance(group, str) and name in ("load", "readout"):
                group = {"kind": group}
            if is_dataclass(group) and not isinstance(group, type):
                group = {f.name: getattr(group, f.name) for f in fields(group)}
            if isinstance(group, Mapping) and group.get("compiled") is not None:
                group = {**group, "compiled": str(group["compiled"])}
            plain[name] = group
        return from_dict(cls, plain, where)


class Row(NamedTuple):
    """One option, as documents show it."""

    name: str
    type: str
    default: str
    unit: str
    meaning: str


def table() -> Iterator[Row]:
    """The rows of the option table, in the order of their declaration."""
    for group, kind in get_type_hints(Options).items():
        hints = get_type_hints(kind)
        for f in fields(kind):
            default = (
                "none" if f.default is None else str(f.default).lower() if f.type == "bool" else f.default
            )
            yield Row(
                f"{group}.{f.name}", _spell(hints[f.name]), str(default), f.metadata["unit"],
                f.metadata["meaning"],
            )  # fmt: skip


OPENING = (
    Row(
        "device", "auto | cpu | cuda | cuda:<index>", "auto", "",
        "where the networks run; auto is the first GPU, or else the CPU",
    ),
    Row(
        "precision", "fp32 | bf16 | bf16-decode", "fp32", "",
        "of the networks; bf16-decode keeps the evolution of latents in fp32",
    ),
    Row(
        "serving", "auto | all | 1 per node | 1 per device", "auto", "",
        "with a communicator: which ranks run the networks; auto takes one for each GPU, or all without GPUs",
    ),
    Row(
        "threads", "int", "the cores of this process, shared by the processes of the machine", "",
        "CPU threads of the networks",
    ),
    Row(
        "timeout", "float", "600.0", "s",
        "with a communicator: longest wait for a rank that does not come to a collective call; inf for ever",
    ),
    Row(
        "capture", "string or none", "none", "",
        "file that receives the cells that needed a policy, as data to learn from; NAME-rankN for each rank",
    ),
    Row(
        "failures", "string or none", "none", "",
        "folder that receives the inputs of calls that failed; mld_closure.replay in Python repeats them",
    ),
)  # fmt: skip
"""Options outside the groups: arguments of `mld_closure.open`."""


def where_it_belongs(name: str, value: Any) -> str:
    """A sentence for an option that was named without its group."""
    known = [row.name for row in table()]
    for option_name in known:
        group, _, own = option_name.partition(".")
        if own == name:
            return f"option '{name}' belongs to a group: {group}={{'{name}': {value!r}}}"
    near = difflib.get_close_matches(name, [n.partition(".")[2] for n in known], n=1)
    full = next((n for n in known if near and n.endswith(f".{near[0]}")), None)
    return f"unknown option '{name}'; " + (
        f"did you mean {full}?" if full else f"there are {', '.join(known)}"
    )


def differences(here: Options, there: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Options that change answers and differ: name -> (value here, value there).

    there: groups of plain values, as a restart keeps them. Left out are those by which only speed or records
    differ: `engine.compiled`, `shadow`, and `engine.micro_batch` where batches are not fixed.
    Raises ConfigError where `there` are no options of this version.
    """
    other = Options.from_groups(there, "options of the restart")
    found = {}
    for group in ("load", "readout", "engine", "policy"):
        mine, theirs = getattr(here, group), getattr(other, group)
        for f in fields(mine):
            values = getattr(mine, f.name), getattr(theirs, f.name)
            if f.name == "compiled" or (f.name == "micro_batch" and not here.engine.reproducible):
                continue
            if values[0] != values[1]:
                found[f"{group}.{f.name}"] = values
    return found


def _spell(hint: Any) -> str:
    """A type as the option table shows it."""
    args = getattr(hint, "__args__", ())
    if getattr(hint, "__origin__", None) is Literal:
        return " | ".join(args)
    plain = [a for a in args if a is not type(None)]
    if type(None) in args:
        return f"{_spell(plain[0])} or none"
    if getattr(hint, "__origin__", None) is tuple:
        return "list of " + getattr(plain[0], "__name__", str(plain[0]))
    return str(hint.__name__)


__all__ = [
    "OPENING", "ConfigError", "EngineOptions", "LoadKind", "LoadOptions", "Options", "Policy",
    "PolicyOptions", "ReadoutOptions", "Row", "ShadowOptions", "differences", "table",
]  # fmt: skip
