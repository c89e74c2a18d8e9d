"""What a surrogate is built from: fields, sizes and options, with presets that configuration may override."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from .. import config
from .. import fields as field_table


@dataclass(frozen=True)
class ModelConfig:
    """Everything that decides the shape and the meaning of the networks.

    fields: names, in the order in which latents are stacked.
    base: channels of the first level of the VAEs; the paper has 64.
    evolution_base: the same for the evolution networks; None takes `base`.
    latent_channels: latent channels of one field.
    evolution: kind of the latent-evolution networks.
    residual: networks give the change of the latents (z + F(z)), their last layer linear and small at first.
    standardize: networks see latents standardised per channel; the numbers are fitted to data and stored.
    load_conditioning: the coupled networks see the scaled load as one more, constant channel.
    evolve_logvar: False leaves out the log-variance networks; only deterministic rollouts are possible then.
    meso_micro_ratio: micro steps in one meso step.
    load_range: piston speeds (m/s) that map to load 0 and 1.
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
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if self.evolution not in ("unet", "resnet16"):
            raise ValueError(f"evolution '{self.evolution}': choose unet | resnet16")
        low, high = self.load_range
        if not low < high:
            raise ValueError(f"load_range must rise, got {low} to {high} m/s")

    @property
    def latent_size(self) -> int:
        """Channels of the stacked latent: fields times latent channels."""
        return len(self.fields) * self.latent_channels

    @property
    def width(self) -> int:
        """Channels of the first level of the evolution networks."""
        return self.base if self.evolution_base is None else self.evolution_base

    def slices(self) -> dict[str, slice]:
        """Channel slice of each field in the stacked latent."""
        return field_table.latent_slices(self.fields, self.latent_channels)

    def scale_load(self, piston_speed: Any) -> Any:
        """The load the networks see: piston speed (m/s) with `load_range` mapped to [0, 1], unclipped."""
        low, high = self.load_range
        return (piston_speed - low) / (high - low)


PRESETS: dict[str, ModelConfig] = {
    "paper": ModelConfig(),
    "compact": ModelConfig(base=16, residual=True, standardize=True),
}


def from_table(table: Mapping[str, Any], where: str = "model") -> ModelConfig:
    """A `ModelConfig` from a configuration table: an optional `preset` and any keys that differ from it.

    >>> from_table({"preset": "compact", "base": 24}).base
    24

    Raises ConfigError for an unknown preset or key and for a bad value.
    """
    table = dict(table)
    name = table.pop("preset", "paper")
    if name not in PRESETS:
        raise config.ConfigError(f"{where}: unknown preset '{name}'; choose {' | '.join(PRESETS)}")
    return config.from_dict(ModelConfig, config.to_dict(PRESETS[name]) | table, where)
