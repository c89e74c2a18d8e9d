"""What the owner of cells must know of a model, and no more: numbers, no networks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..grids import FRAME_MULTIPLE
from .frame0 import LoadTable
from .known_errors import KnownErrors
from .novelty import Familiar


@dataclass(frozen=True)
class ModelFacts:
    """Facts of the model that serves.

    Attributes
    ----------
    bundle : str
        Content hash of the bundle.
    pixel : float, m
    table : LoadTable
        Shocks by piston speed, and frame 0.
    load_range : (float, float), m/s
        Piston speeds that the model was trained on.
    model_step : float, s
        Time between model frames.
    horizon : int
        Frames for which the model is trusted.
    known : (6,) bool
        Which of `fields.QUANTITIES` the readout gives.
    errors : KnownErrors
        Uncertainty of a burn rate where no samples tell it.
    familiar : Familiar or None
        What the patches of training were like; None where the bundle does not say.
    heat : float, J/kg
        Of reaction; NaN for unknown.
    frame : (int, int) or None, pixels
        (ny, nx) of the frames that the model was trained on.
    points : bool
        Whether readings are of material points, each since its own arrival, and not of frames.
    arrival : float or None, Pa
        Pressure that marked the arrival in training; None for unknown.
    clock : float
        m of a point's clock, d tau = clip(p / p_frame, 1/4, 4)^m dt.
    parts : int
        Column parts of a patch that can be points; 1 for the patch alone.
    halo : int, pixels
        Columns of a patch ahead of its first part.
    multiple : int, pixels
        Of which both sides of a patch are multiples.
    """

    bundle: str
    pixel: float
    table: LoadTable
    load_range: tuple[float, float]
    model_step: float
    horizon: int
    known: np.ndarray
    errors: KnownErrors
    familiar: Familiar | None = None
    heat: float = float("nan")
    frame: tuple[int, int] | None = None
    points: bool = False
    arrival: float | None = None
    clock: float = 1.0
    parts: int = 1
    halo: int = 0
    multiple: int = FRAME_MULTIPLE
