"""Facts that a host needs before it registers points: sizes of patches, arrival, heat, trained ranges."""

from __future__ import annotations

import numpy as np

from ..surrogate.facts import ModelFacts
from .options import Options
from .planning import arrival_pressure


def facts_of(facts: ModelFacts, options: Options) -> dict[str, float]:
    """Facts of the model and the options by name, in SI units; NaN for what is not known.

    patch.multiple, patch.least_ny, patch.least_nx (pixels): sides are multiples of the first, and not below
    the others. patch.ny, patch.nx (pixels): of this closure, NaN before they are chosen. frame.ny, frame.nx
    (pixels): of the frames that the model was trained on. pixel (m). p_arrival (Pa). heat (J/kg): of
    reaction. points: 1 where cells are material points, with patch.parts column parts behind a halo of
    patch.halo pixels. load.low, load.high (m/s), pressure.low, pressure.high (Pa): trained loads, and the
    pressures of these shocks in solid material. model_step, horizon (s). density, temperature (kg/m3, K): of
    the solid at rest.
    """
    table, nan = facts.table, (np.nan, np.nan)
    narrowest = max(table.entry, facts.halo + facts.parts if facts.points else 1)
    low, high = facts.load_range
    ny, nx = options.engine.patch_shape or nan
    frame_ny, frame_nx = facts.frame or nan
    found = {
        "patch.multiple": facts.multiple,
        "patch.least_ny": facts.multiple,
        "patch.least_nx": -(-narrowest // facts.multiple) * facts.multiple,
        "patch.ny": ny,
        "patch.nx": nx,
        "frame.ny": frame_ny,
        "frame.nx": frame_nx,
        "pixel": facts.pixel,
        "points": facts.points,
        "patch.parts": facts.parts,
        "patch.halo": facts.halo,
        "p_arrival": arrival_pressure(facts, options.load),
        "heat": facts.heat,
        "load.low": low,
        "load.high": high,
        "pressure.low": table.shock_pressure(low),
        "pressure.high": table.shock_pressure(high),
        "model_step": facts.model_step,
        "horizon": facts.model_step * (options.engine.horizon or facts.horizon),
        "density": table.rho0,
        "temperature": table.T0,
    }
    return {name: float(value) for name, value in found.items()}
