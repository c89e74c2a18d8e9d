"""The readout head: homogenised quantities of a frame directly from its latents, without decoding.

Convolutions give local quantities at every latent pixel, and the mean over the frame makes one number of
each. So the head works for frames of any size, and a fraction of a frame is the mean of the fractions of its
parts. The hot-spot temperature is the mean of the local ones, weighted by the local hot area, as in its
definition.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from .. import fields as field_table
from ..fields import FRACTIONS, HOT, QUANTITIES
from . import extras
from .bundle import Extra
from .layers import conv, units
from .scaling import channel_moments

EXTRA = "readout_head"  # its name among the extras of a bundle

_QUIET = -3.0  # initial bias of local fractions: an untrained head reads little reaction


@dataclass(frozen=True)
class HeadConfig:
    """Sizes of a readout head.

    Attributes
    ----------
    latent_size : int
        Channels of the latents that it reads.
    width : int
        Feature channels.
    depth : int
        Number of units (pairs of convolutions).
    load_input : bool
        Whether the scaled load enters as one more, constant channel.
    burn_rate_error : float or None
        RMSE of the burn rate on rollouts, measured in training [1/s]; None if it was not measured.

    Raises
    ------
    ValueError
        Sizes below 1 or a negative error.
    """

    latent_size: int
    width: int = 32
    depth: int = 2
    load_input: bool = False
    burn_rate_error: float | None = None

    def __post_init__(self) -> None:
        for name, most in (("latent_size", 4096), ("width", 4096), ("depth", 64)):
            if not 1 <= getattr(self, name) <= most:
                raise ValueError(f"{name} must lie between 1 and {most}, got {getattr(self, name)}")
        if self.burn_rate_error is not None and not self.burn_rate_error >= 0:
            raise ValueError(f"burn_rate_error must not be negative, got {self.burn_rate_error} 1/s")


class ReadoutHead(nn.Module):
    """Latent means (b, latent_size, y, x) -> `QUANTITIES` (b, 6) in SI units."""

    def __init__(self, config: HeadConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("shift", torch.zeros(1, config.latent_size, 1, 1))
        self.register_buffer("scale", torch.ones(1, config.latent_size, 1, 1))
        self.features: nn.Sequential = units(
            config.depth, config.latent_size + int(config.load_input), config.width
        )
        self.local: nn.Conv2d = conv(config.width, len(QUANTITIES), 1, slope=None, gain=0.3)
        with torch.no_grad():
            for name in FRACTIONS:
                self.local.bias[list(QUANTITIES).index(name)] = _QUIET
        self.to(memory_format=torch.channels_last)

    @torch.no_grad()
    def fit_scaling(self, mean: torch.Tensor) -> None:
        """Fit the standardisation per channel to latent means (..., channel, y, x)."""
        average, std = channel_moments(mean)
        self.shift.copy_(average.view_as(self.shift))
        self.scale.copy_(std.view_as(self.scale))

    def forward(self, mean: torch.Tensor, load: torch.Tensor | None = None) -> torch.Tensor:
        """Read the quantities of frames.

        Parameters
        ----------
        mean : tensor (b, latent_size, y, x)
            Latent means.
        load : tensor (b,), optional
            Scaled load; required where the head has `load_input`.

        Returns
        -------
        tensor (b, 6)
            `QUANTITIES` in SI units.

        Raises
        ------
        ValueError
            A wrong number of channels, or a missing load.
        """
        return pool_maps(self.maps(mean, load))

    def maps(self, mean: torch.Tensor, load: torch.Tensor | None = None) -> torch.Tensor:
        """Return local quantities (b, 6, y, x), which `pool_maps` turns into `QUANTITIES`.

        Arguments and errors are those of `forward`.
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
        """Return the head as a part of a bundle: `bundle.extras[EXTRA] = head.to_extra()`."""
        return extras.to_extra(self)

    @classmethod
    def from_extra(cls, extra: Extra) -> ReadoutHead:
        """Return the head stored in a bundle, frozen, on the device of its tensors.

        Raises
        ------
        BundleError
            The stored head is damaged.
        """
        return extras.from_extra(extra, cls, HeadConfig, "readout head")


def pool_maps(maps: torch.Tensor) -> torch.Tensor:
    """Average maps over the frame.

    Parameters
    ----------
    maps : tensor (b, 6, y, x)
        Local quantities; the hot-spot temperature is multiplied by the hot area.

    Returns
    -------
    tensor (b, 6)
        `QUANTITIES` in SI units; the hot-spot temperature is 0 K where no area is hot.
    """
    pooled = maps.mean(dim=(-2, -1))
    area, heat = pooled[:, 0], pooled[:, 1]
    hot = torch.where(area > 0, heat / area.clamp_min(1e-12), 0.0)
    return torch.cat([area[:, None], hot[:, None], pooled[:, 2:]], dim=1)


def targets_from_fields(frames: Mapping[str, Any], threshold: float = HOT) -> dict[str, Any]:
    """Compute the true `QUANTITIES` of frames from their fields.

    The hot-spot temperature is the mean over the hot pixels, 0 K where there are none. The burned fraction is
    a share of the mass, or of the pixels if there is no density.

    Parameters
    ----------
    frames : mapping of str to array or tensor (..., y, x)
        Fields in SI units.
    threshold : float
        A pixel hotter than this is hot [K].

    Returns
    -------
    dict of str to array or tensor (...)
        Quantities in SI units, without those whose field is missing.
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
    """Stack targets to float32 (..., len(names)); NaN, which losses ignore, where a quantity is missing."""
    shape = next(iter(found.values())).shape
    return np.stack([found.get(n, np.full(shape, np.nan)) for n in names], axis=-1).astype(np.float32)


def head_loss(predicted: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return the squared error of quantities, averaged over the batch and summed over quantities.

    Parameters
    ----------
    predicted, target : tensor (b, 6)
        `QUANTITIES` in SI units; each error is divided by the error size of its quantity. NaN targets do not
        count, nor does the hot-spot temperature where no pixel is hot.

    Returns
    -------
    scalar tensor
        A quantity of which no target counts adds zero.
    """
    sizes = torch.tensor([size for _, size in QUANTITIES.values()]).to(predicted)
    counts = torch.isfinite(target)
    hot = list(QUANTITIES).index("hotspot_temperature")
    counts[:, hot] &= target[:, hot] > 0
    error = torch.where(counts, (predicted - target) / sizes, 0.0)
    return (error.square().sum(dim=0) / counts.sum(dim=0).clamp_min(1)).sum()
