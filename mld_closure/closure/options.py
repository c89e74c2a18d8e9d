"""How a closure serves its cells: everything a host may choose at open, in SI units."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..models.readout_head import HOT
from ..surrogate.frame0 import Load
from .policies import Policy


@dataclass(frozen=True)
class Settings:
    """The choices of a run.

    readout: `head` reads latents, `decode` decodes fields and measures them.
    scale: the model that serves; `micro` where a patch is one building block.
    load: what of the macro state the model's load is matched to (`load.LoadTable.piston_speed`); `velocity`
    and `incoming wave` need velocities, `auto` takes the incoming wave where the host gives them.
    burned: what the burned fraction is a share of: the cell's `own material`, for hydrocodes whose flow
    carries what has burned from cell to cell; or all that is in the training `frame` (see `material`).
    patch_shape: (ny, nx) of every patch; None takes that of the first patches registered.
    p_ignite: pressure (Pa) that wakes a cell and dates the arrival of its shock. None is a fifth of the shock
    pressure at the low end of the trained loads, and a cell whose load ends below them rests again; where it
    is given, `on_extrapolation` says what becomes of such a cell.
    capture_window: longest time (s) over which the load and P_s are sought; a load that still rises then is
    taken for what a captured shock rises to (`captured`). None is the time the weakest trained shock takes to
    cross a patch.
    load_updates: equal parts of the window at whose ends a cell begins to burn, or begins anew from frame 0,
    with the load foreseen so far; with 1 it waits until the load is known. Each part costs up to a start and
    the model steps to the present.
    history_exponent: m in d tau = clip(p / P_s, 0, 2)^m dt; 0 makes the cell's clock run with time.
    horizon: frames the model is trusted for; None takes the bundle's.
    read_every: model frames from one that is read to the next; what lies between is linear in time. With 1
    every frame is read; more spares readouts, which for `decode` are most of the cost. The horizon ends with
    the last whole stretch.
    micro_batch: cells the networks see at once. reproducible: always exactly so many (padded), so that a
    cell gives the same bits whatever its neighbours.
    on_extrapolation, on_bad_result, on_uncertain: policies. max_uncertainty: of the burn rate (1/s), None for
    no limit.
    max_burn_step: change of a burned fraction that `dt_max` allows in one step.
    threshold: temperature (K) above which a pixel is a hot spot. decode_fields: fields that the decode
    readout decodes, None for all; what needs another field is NaN.
    warm_start: run the networks once before the first step.
    shadow: share of the cells for which something else is computed too, and recorded, by shadow_with: the
    other `readout`, or the `fallback` (physics).
    compiled: file with this bundle's step compiled for this machine (`closure.compiled`: native code, so
    only from a maker you trust), whose frame size is then the default of patch_shape; None steps eagerly.
    """

    readout: Literal["head", "decode"] = "head"
    scale: Literal["meso", "micro"] = "meso"
    load: Load = "auto"
    burned: Literal["own material", "frame"] = "own material"
    patch_shape: tuple[int, int] | None = None
    p_ignite: float | None = None
    capture_window: float | None = None
    load_updates: int = 1
    history_exponent: float = 1.0
    horizon: int | None = None
    read_every: int = 1
    micro_batch: int = 8
    reproducible: bool = False
    on_extrapolation: Policy = "clamp"
    on_bad_result: Policy = "clamp"
    on_uncertain: Policy = "clamp"
    max_uncertainty: float | None = None
    max_burn_step: float = 0.05
    threshold: float = HOT
    decode_fields: tuple[str, ...] | None = None
    warm_start: bool = True
    shadow: float = 0.0
    shadow_with: Literal["readout", "fallback"] = "readout"
    compiled: str | Path | None = None

    def __post_init__(self) -> None:
        if self.compiled is not None:
            object.__setattr__(self, "compiled", str(self.compiled))
        times_and_limits = (
            "p_ignite",
            "capture_window",
            "load_updates",
            "horizon",
            "read_every",
            "micro_batch",
        )
        for name in (*times_and_limits, "max_burn_step", "threshold"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be positive, got {value}")
        if not self.history_exponent >= 0:
            raise ValueError(f"history_exponent must not be negative, got {self.history_exponent}")
        if self.max_uncertainty is not None and not self.max_uncertainty >= 0:
            raise ValueError(f"max_uncertainty must not be negative, got {self.max_uncertainty} 1/s")
        if not 0 <= self.shadow <= 1:
            raise ValueError(f"shadow is a share of the cells between 0 and 1, got {self.shadow}")
