"""From the facts of a model, the options and the width of patches to the numbers of arrivals and clocks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..surrogate.facts import ModelFacts
from .arrival import AWAKE, LoadCapture
from .cells import Cells
from .clock import Clock
from .fallback import Fallback
from .frames import Frames
from .observe.shadow import FallbackShadow
from .options import LoadOptions, Options
from .step import Stepper
from .strangers import Strangers


def arrival_pressure(facts: ModelFacts, load: LoadOptions) -> float:
    """Pressure (Pa) that marks the arrival of a shock."""
    return load.p_arrival or facts.arrival or AWAKE * float(facts.table.shock_pressure(facts.load_range[0]))


def frames_read(facts: ModelFacts, options: Options) -> int:
    """Model frames until the horizon; ValueError where the options leave none of them to be read."""
    frames, every = options.engine.horizon or facts.horizon, options.readout.read_every
    if every > frames:
        raise ValueError(f"readout.read_every = {every} leaves no frame of {frames} to be read; choose fewer")
    return frames


def make_stepper(
    facts: ModelFacts,
    options: Options,
    cells: Cells,
    patches: Callable[[np.ndarray], np.ndarray],
    shape: tuple[int, int],
    fallback: Fallback | None,
    shadow: FallbackShadow | None,
) -> Stepper:
    """What works out the steps of cells with patches of this shape (ny, nx), the shock along x.

    patches(rows): solid fractions of cells. Raises ValueError as `frames_read`.
    """
    table, load, (ny, nx) = facts.table, options.load, shape
    frames, every = frames_read(facts, options), options.readout.read_every
    weakest = facts.load_range[0]
    capture = LoadCapture(
        table,
        load.kind,
        p_arrival=arrival_pressure(facts, load),
        window=load.window or _sought(facts, nx) * facts.pixel / float(table.shock_speed(weakest)),
        updates=load.updates,
        model_step=facts.model_step,
        load_range=facts.load_range,
        reset_weak=options.policy.on_weak_load == "reset",
    )
    exponent = facts.clock if load.history_exponent is None else load.history_exponent
    clock = Clock(facts.model_step, facts.model_step * every, frames // every, exponent, facts.points)
    accept = Frames(clock, options.policy, facts.known, facts.errors)
    strangers = Strangers(facts.familiar, patches, facts.pixel, (ny, nx))
    delay = 0.0 if facts.points else (0.5 * nx - table.front_column) * facts.pixel
    return Stepper(cells, patches, capture, clock, accept, options.policy, delay, strangers, fallback, shadow)


def _sought(facts: ModelFacts, nx: int) -> float:
    """Columns of a patch over whose crossing by the shock a load is sought."""
    return 0.5 * (nx - facts.halo) if facts.points else nx
