"""Configuration of a surrogate: fields, sizes and options, with presets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from .. import config
from .. import fields as field_table

MOST = 4096  # channels, or micro steps in a meso step: many times what any model has


@dataclass(frozen=True)
class ModelConfig:
    """Everything that decides the shape and the meaning of the networks.

    Attributes
    ----------
    fields : tuple of str
        Fields in the order in which latents are stacked.
    base : int
        Channels of the first level of the VAEs; 64 in the paper.
    evolution_base : int or None
        Channels of the first level of the evolution networks; None takes `base`.
    latent_channels : int
        Latent channels per field.
    evolution : {"unet", "resnet16"}
        Kind of the evolution networks.
    residual : bool
        Networks give the change of the latents, z + F(z). Their last layer is linear and starts small.
    standardize : bool
        Networks see latents standardised per channel; shift and scale are fitted to data and stored.
    load_conditioning : bool
        The coupled networks see the scaled load as one more, constant channel.
    evolve_logvar : bool
        False leaves out the log-variance networks; then only deterministic rollouts are possible.
    meso_micro_ratio : int
        Micro steps per meso step.
    load_range : (float, float)
        Piston speeds that the networks see as load 0 and 1 [m/s].

    Raises
    ------
    ValueError
        Unknown or repeated fields, sizes below 1, or a range that does not increase.
    """

    fields: tuple[str, ...] = field_table.MODEL_FIELDS
    base: int = 64
    evolution_base: int | None = None
    latent_channels: int = field_table.LATENT_CHANNELS
    evolution: Literal["unet", "resnet16"] = "unet"
    residual: bool = False
    standardize: bool = False
    load_conditioning: bool = False
    evolve_logvar: bool = True
    meso_micro_ratio: int = 2
    load_range: tuple[float, float] = (500.0, 1400.0)

    def __post_init__(self) -> None:
        if not self.fields:
            raise ValueError("fields is empty; name at least one field")
        if len(set(self.fields)) != len(self.fields):
            raise ValueError(f"fields holds a name twice: {', '.join(self.fields)}")
        for name in self.fields:
            if name not in field_table.FIELDS:
                raise ValueError(f"unknown field '{name}'; known fields: {', '.join(field_table.FIELDS)}")
        sizes = {
            k: getattr(self, k) for k in ("base", "evolution_base", "latent_channels", "meso_micro_ratio")
        }
        for name, value in sizes.items():
            if value is not None and not 1 <= value <= MOST:
                raise ValueError(f"{name} must lie between 1 and {MOST}, got {value}")
        if self.evolution not in ("unet", "resnet16"):
            raise ValueError(f"evolution '{self.evolution}': choose unet | resnet16")
        low, high = self.load_range
        if not 0 <= low < high <= 1e5:
            raise ValueError(f"load_range must increase, got {low} to {high} m/s")

    @property
    def latent_size(self) -> int:
        """Channels of the stacked latent: number of fields times latent channels."""
        return len(self.fields) * self.latent_channels

    @property
    def width(self) -> int:
        """Channels of the first level of the evolution networks."""
        return self.base if self.evolution_base is None else self.evolution_base

    def slices(self) -> dict[str, slice]:
        """Return the channels of each field in the stacked latent."""
        return field_table.latent_slices(self.fields, self.latent_channels)

    def scale_load(self, piston_speed: Any) -> Any:
        """Return the load that the networks see: `load_range` [m/s] scaled to [0, 1], without clipping."""
        low, high = self.load_range
        return (piston_speed - low) / (high - low)


PRESETS: dict[str, ModelConfig] = {
    "paper": ModelConfig(),
    "compact": ModelConfig(base=16, residual=True, standardize=True),
}


def from_table(table: Mapping[str, Any], where: str = "model") -> ModelConfig:
    """Build a `ModelConfig` from a configuration table.

    Parameters
    ----------
    table : mapping
        An optional `preset` and the keys that differ from it.
    where : str
        Where the table comes from; used in messages.

    Returns
    -------
    ModelConfig

    Raises
    ------
    ConfigError
        An unknown preset or key, or a value that is refused.

    Examples
    --------
    >>> from_table({"preset": "compact", "base": 24}).base
    24
    """
    table = dict(table)
    name = table.pop("preset", "paper")
    if name not in PRESETS:
        raise config.ConfigError(f"{where}: unknown preset '{name}'; choose {' | '.join(PRESETS)}")
    return config.from_dict(ModelConfig, config.to_dict(PRESETS[name]) | table, where)
