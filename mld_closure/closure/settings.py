"""How a closure serves its cells: everything a host may choose at open, in SI units."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..models.readout_head import HOT
from .guards import Policy
from .load import Load


@dataclass(frozen=True)
class Settings:
    """The choices of a run.

    readout: `head` reads latents, `decode` decodes fields and measures them.
    scale: the model that serves; `micro` where a patch is one building block.
    load: what of the macro state the model's load is matched to; all but `pressure` need velocities.
    patch_shape: (ny, nx) of every patch; None takes that of the first patches registered.
    p_ignite: pressure (Pa) that wakes a cell; None is the shock pressure at the low end of the trained loads,
    or half of it where the load is not matched by pressure.
    capture_window: longest time (s) over which P_s is sought; None is the time a shock of that pressure takes
    to cross a patch.
    history_exponent: m in d tau = clip(p / P_s, 0, 2)^m dt; 0 makes the cell's clock run with time.
    horizon: frames the model is trusted for; None takes the bundle's.
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
    load: Load = "pressure"
    patch_shape: tuple[int, int] | None = None
    p_ignite: float | None = None
    capture_window: float | None = None
    history_exponent: float = 1.0
    horizon: int | None = None
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
        for name in ("p_ignite", "capture_window", "horizon", "micro_batch", "max_burn_step", "threshold"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be positive, got {value}")
        if not self.history_exponent >= 0:
            raise ValueError(f"history_exponent must not be negative, got {self.history_exponent}")
        if self.max_uncertainty is not None and not self.max_uncertainty >= 0:
            raise ValueError(f"max_uncertainty must not be negative, got {self.max_uncertainty} 1/s")
        if not 0 <= self.shadow <= 1:
            raise ValueError(f"shadow is a share of the cells between 0 and 1, got {self.shadow}")
