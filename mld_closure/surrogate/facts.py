"""What the owner of cells must know of a model, and no more: numbers, no networks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .frame0 import LoadTable


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
    default_spread : float, 1/s
        Uncertainty of a burn rate where no samples tell it; NaN for unknown.
    heat : float, J/kg
        Of reaction; NaN for unknown.
    frame : (int, int) or None, pixels
        (ny, nx) of the frames that the model was trained on.
    """

    bundle: str
    pixel: float
    table: LoadTable
    load_range: tuple[float, float]
    model_step: float
    horizon: int
    known: np.ndarray
    default_spread: float
    heat: float = float("nan")
    frame: tuple[int, int] | None = None
