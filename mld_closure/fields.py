"""The physical fields by name: unit, range used for scaling, and range of valid values.

Values are scaled to [0, 1] here and nowhere else. The order of axes is the same everywhere: arrays of
trajectories are (sample, time, field, y, x), tensors are (batch, field, y, x).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

LATENT_CHANNELS = 4  # latent channels per field


@dataclass(frozen=True)
class Field:
    """One physical field.

    Attributes
    ----------
    name : str
        Key in `FIELDS`.
    units : str
        SI unit.
    symbol : str
        Short name for tables.
    low, high : float
        Values in `units` that the networks see as 0 and 1.
    valid : (float, float)
        Smallest and largest value, in `units`, that a data file may hold.
    """

    name: str
    units: str
    symbol: str
    low: float
    high: float
    valid: tuple[float, float]

    def scale(self, values: Any) -> Any:
        """Scale values in `units` to [0, 1], without clipping; for numpy arrays and for tensors."""
        return (values - self.low) / (self.high - self.low)

    def unscale(self, values: Any) -> Any:
        """Inverse of `scale`: from [0, 1] back to `units`."""
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

# What a closure returns for a frame: name -> (SI unit, error that counts as one in the loss)
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
    """Return the field called `name`.

    Raises
    ------
    KeyError
        No such field; the message lists the known names.
    """
    try:
        return FIELDS[name]
    except KeyError:
        raise KeyError(f"unknown field '{name}'; known fields: {', '.join(FIELDS)}") from None


def latent_slices(names: Sequence[str], channels: int = LATENT_CHANNELS) -> dict[str, slice]:
    """Return the channels of each field in a stacked latent.

    Parameters
    ----------
    names : sequence of str
        Fields in the order in which their latents are stacked.
    channels : int
        Latent channels per field.

    Returns
    -------
    dict of str to slice
        Slices of the channel axis of a latent (batch, len(names) * channels, y, x).
    """
    return {name: slice(i * channels, (i + 1) * channels) for i, name in enumerate(names)}
