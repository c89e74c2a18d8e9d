"""Fields by name: units, scaling and physical bounds, and the one place where values are scaled to [0, 1].

Axis order everywhere: trajectory arrays (sample, time, field, y, x), tensors (batch, field, y, x).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

LATENT_CHANNELS = 4  # latent channels of one field


@dataclass(frozen=True)
class Field:
    """A physical field.

    `low`, `high` (in `units`) map to 0 and 1 in the models; `valid` holds the widest values a data file may
    contain.
    """

    name: str
    units: str
    symbol: str
    low: float
    high: float
    valid: tuple[float, float]

    def scale(self, values: Any) -> Any:
        """Map values in `units` to [0, 1] (unclipped); numpy arrays and tensors alike."""
        return (values - self.low) / (self.high - self.low)

    def unscale(self, values: Any) -> Any:
        """Inverse of `scale`."""
        return values * (self.high - self.low) + self.low


FIELDS: dict[str, Field] = {
    f.name: f
    for f in (
        Field("temperature", "K", "T", 300.0, 5000.0, (200.0, 20000.0)),
        Field("pressure", "Pa", "P", -2.0e9, 50.0e9, (-2.0e9, 200.0e9)),
        Field("microstructure", "1", "mu", 0.0, 1.0, (-1e-6, 1.0 + 1e-6)),
        Field("reaction_progress", "1", "lam", 0.0, 1.0, (-1e-6, 1.0 + 1e-6)),
        Field("density", "kg/m3", "rho", 0.0, 4000.0, (0.0, 10000.0)),
        Field("velocity_x", "m/s", "u", -3000.0, 6000.0, (-20000.0, 20000.0)),
        Field("velocity_y", "m/s", "v", -4000.0, 4000.0, (-20000.0, 20000.0)),
    )
}

# What a closure returns of a frame: name -> (units, size of an error that counts as one in the loss)
QUANTITIES: dict[str, tuple[str, float]] = {
    "hotspot_area_fraction": ("1", 0.05),
    "hotspot_temperature": ("K", 400.0),
    "burned_fraction": ("1", 0.05),
    "mean_temperature": ("K", 150.0),
    "mean_pressure": ("Pa", 1.5e9),
    "porosity": ("1", 0.03),
}
FRACTIONS = tuple(name for name, (units, _) in QUANTITIES.items() if units == "1")
HOT = 875.0  # K, a hotter pixel belongs to a hot spot (arXiv:2506.12996)

MODEL_FIELDS = ("temperature", "pressure", "microstructure")


def get(name: str) -> Field:
    """The field called `name`; KeyError with the known names otherwise."""
    try:
        return FIELDS[name]
    except KeyError:
        raise KeyError(f"unknown field '{name}'; known fields: {', '.join(FIELDS)}") from None


def latent_slices(names: Sequence[str], channels: int = LATENT_CHANNELS) -> dict[str, slice]:
    """Channel slice of each field in a stacked latent (batch, len(names) * channels, y, x)."""
    return {name: slice(i * channels, (i + 1) * channels) for i, name in enumerate(names)}
