"""The readout head: homogenised quantities of a frame straight from its latents, without decoding.

Convolutions give local quantities at every latent pixel and mean pooling makes one number of each, so the
head serves frames of any size and a fraction of the whole is the mean of fractions of its parts. The hot-spot
temperature is the mean of local ones weighted by local hot area, as in the definition.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from .. import config as config_room
from .. import fields as field_table
from ..fields import FRACTIONS, HOT, QUANTITIES
from .bundle import BundleError, Extra
from .layers import conv, units

EXTRA = "readout_head"  # its name among the extras of a bundle

_QUIET = -3.0  # initial bias of local fractions: an untrained head sees little reaction


@dataclass(frozen=True)
class HeadConfig:
    """Shape of a readout head.

    latent_size: channels of the latents it reads. width: features. depth: units of convolutions.
    load_input: the scaled load enters as one more, constant channel. burn_rate_error: root-mean-square error
    (1/s) of the burn rate that training measured on rollouts; None where it was not measured.
    """

    latent_size: int
    width: int = 32
    depth: int = 2
    load_input: bool = False
    burn_rate_error: float | None = None

    def __post_init__(self) -> None:
        for name in ("latent_size", "width", "depth"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.burn_rate_error is not None and not self.burn_rate_error >= 0:
            raise ValueError(f"burn_rate_error must not be negative, got {self.burn_rate_error} 1/s")


class ReadoutHead(nn.Module):
    """Latent means (b, latent_size, y, x) -> `QUANTITIES` (b, 6) in SI units."""

    def __init__(self, config: HeadConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("shift", torch.zeros(1, config.latent_size, 1, 1))
        self.register_buffer("scale", torch.ones(1, config.latent_size, 1, 1))
        self.features = units(config.depth, config.latent_size + int(config.load_input), config.width)
        self.local = conv(config.width, len(QUANTITIES), 1, slope=None, gain=0.3)
        with torch.no_grad():
            for name in FRACTIONS:
                self.local.bias[list(QUANTITIES).index(name)] = _QUIET
        self.to(memory_format=torch.channels_last)

    @torch.no_grad()
    def fit_scaling(self, mean: torch.Tensor) -> None:
        """Standardise by average and deviation per channel of latent means (..., channel, y, x)."""
        channels = mean.movedim(-3, 0).flatten(1).double()  # (channel, everything else)
        std = channels.std(dim=1, correction=0)
        self.shift.copy_(channels.mean(dim=1).view_as(self.shift))
        self.scale.copy_(torch.where(std > 1e-6, std, 1.0).view_as(self.scale))

    def forward(self, mean: torch.Tensor, load: torch.Tensor | None = None) -> torch.Tensor:
        """Quantities (b, 6); `load` (b,) is the scaled load, needed where the head takes it.

        Raises ValueError for a wrong number of channels or a missing load.
        """
        return pool_maps(self.maps(mean, load))

    def maps(self, mean: torch.Tensor, load: torch.Tensor | None = None) -> torch.Tensor:
        """Local quantities (b, 6, y, x), whose means over the frame `pool_maps` turns into `QUANTITIES`.

        Raises ValueError for a wrong number of channels or a missing load.
        """
        if mean.ndim != 4 or mean.shape[1] != self.config.latent_size:
            raise ValueError(
                f"latents of shape {tuple(mean.shape)}; this head reads "
                f"(batch, {self.config.latent_size}, y, x)"
            )
        x = (mean - self.shift) / self.scale
        if self.config.load_input:
            if load is None or load.shape != mean.shape[:1]:
                raise ValueError(f"this head needs the scaled load of each sample, shape ({len(mean)},)")
            x = torch.cat([x, load.to(x).view(-1, 1, 1, 1).expand(-1, 1, *x.shape[-2:])], dim=1)
        x = self.features(x.contiguous(memory_format=torch.channels_last))
        area, hot, burned, temperature, pressure, porosity = self.local(x).float().unbind(dim=1)  # (b, y, x)
        top = field_table.get("temperature").high
        area = torch.sigmoid(area)
        return torch.stack(
            [
                area,
                area * (HOT + (top - HOT) * torch.sigmoid(hot)),
                torch.sigmoid(burned),
                field_table.get("temperature").unscale(temperature),
                field_table.get("pressure").unscale(pressure),
                torch.sigmoid(porosity),
            ],
            dim=1,
        )

    def to_extra(self) -> Extra:
        """The head as a part of a bundle: `bundle.extras[EXTRA] = head.to_extra()`."""
        state = {name: value.detach().cpu() for name, value in self.state_dict().items()}
        return Extra(config_room.to_dict(self.config), state)

    @classmethod
    def from_extra(cls, extra: Extra) -> ReadoutHead:
        """The head stored in a bundle, frozen, on the device of its tensors; BundleError for one that is
        damaged."""
        try:
            with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay
                head = cls(config_room.from_dict(HeadConfig, extra.config, "readout head"))
            head.load_state_dict(extra.state)
        except (ValueError, RuntimeError) as err:
            raise BundleError(f"the readout head of this bundle cannot be used: {err}") from None
        head.to(extra.state["shift"].device)
        return head.eval().requires_grad_(False)


def pool_maps(maps: torch.Tensor) -> torch.Tensor:
    """`QUANTITIES` (b, 6) of maps (b, 6, y, x) that hold the hot-spot temperature times the hot area.

    Where no area is hot the hot-spot temperature is 0 K.
    """
    pooled = maps.mean(dim=(-2, -1))
    area, heat = pooled[:, 0], pooled[:, 1]
    hot = torch.where(area > 0, heat / area.clamp_min(1e-12), 0.0)
    return torch.cat([area[:, None], hot[:, None], pooled[:, 2:]], dim=1)


def targets_from_fields(frames: Mapping[str, Any], threshold: float = HOT) -> dict[str, Any]:
    """`QUANTITIES` of frames, from their fields: numpy arrays or tensors (..., y, x) by name, SI units.

    Hot-spot temperature: mean over the pixels hotter than `threshold` (K), 0 K where there are none. Burned
    fraction: share of the mass, or of the pixels where the density is missing. Quantities whose field is
    missing are left out. Values of shape (...).
    """
    found: dict[str, Any] = {}
    over = (-2, -1)
    if "temperature" in frames:
        t = frames["temperature"]
        hot = t > threshold
        count = hot.sum(over)
        found["hotspot_area_fraction"] = count / (t.shape[-2] * t.shape[-1])
        found["hotspot_temperature"] = (t * hot).sum(over) / count.clip(1)
        found["mean_temperature"] = t.mean(over)
    if "pressure" in frames:
        found["mean_pressure"] = frames["pressure"].mean(over)
    if "microstructure" in frames:
        found["porosity"] = 1.0 - frames["microstructure"].mean(over)
    if "reaction_progress" in frames:
        lam, rho = frames["reaction_progress"], frames.get("density")
        found["burned_fraction"] = lam.mean(over) if rho is None else (rho * lam).sum(over) / rho.sum(over)
    return found


def stack_targets(found: Mapping[str, np.ndarray], names: Sequence[str] = tuple(QUANTITIES)) -> np.ndarray:
    """Targets as float32 (..., len(names)); NaN, which the loss leaves out, where a quantity is missing."""
    shape = next(iter(found.values())).shape
    return np.stack([found.get(n, np.full(shape, np.nan)) for n in names], axis=-1).astype(np.float32)


def head_loss(predicted: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Mean squared error over the batch, each quantity in units of its error size, summed over quantities.

    predicted, target: (b, 6) in SI units. Targets that are NaN do not count, nor does the hot-spot
    temperature where no pixel is hot. Frames in which nothing counts for a quantity give it no loss.
    """
    sizes = torch.tensor([size for _, size in QUANTITIES.values()]).to(predicted)
    counts = torch.isfinite(target)
    hot = list(QUANTITIES).index("hotspot_temperature")
    counts[:, hot] &= target[:, hot] > 0
    error = torch.where(counts, (predicted - target) / sizes, 0.0)
    return (error.square().sum(dim=0) / counts.sum(dim=0).clamp_min(1)).sum()
