"""The variational autoencoder of one field: a frame in [0, 1] to latent means and log-variances and back.

Architecture: Azarfar et al., arXiv:2506.12996. Fully convolutional, so one network serves frames of any size
whose sides are multiples of 8; the two scales share it.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn

from ..fields import LATENT_CHANNELS
from .layers import conv, down, leaky, unit, units, up


class VAEOutput(NamedTuple):
    """Reconstruction (b, 1, y, x) and the latent it was decoded from (b, channels, y/8, x/8)."""

    reconstruction: torch.Tensor
    mean: torch.Tensor
    logvar: torch.Tensor


class Encoder(nn.Module):
    """(b, 1, y, x) -> means and log-variances, (b, latent_channels, y/8, x/8) each."""

    def __init__(self, base: int, latent_channels: int) -> None:
        super().__init__()
        self.trunk: nn.Sequential = nn.Sequential(
            unit(1, base),
            down(),
            unit(base, 2 * base),
            down(),
            units(2, 2 * base, 4 * base),
            down(),
            units(2, 4 * base, 8 * base),
        )
        self.mean: nn.Conv2d = conv(8 * base, latent_channels, 3, slope=None)
        self.logvar: nn.Conv2d = conv(8 * base, latent_channels, 3, slope=None)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = self.trunk(x)  # (b, 8 base, y/8, x/8)
        return self.mean(features), self.logvar(features)


class Decoder(nn.Sequential):
    """(b, latent_channels, y/8, x/8) -> (b, 1, y, x), linear at the end."""

    def __init__(self, base: int, latent_channels: int) -> None:
        super().__init__(
            conv(latent_channels, 8 * base, 3),
            leaky(),
            up(),
            units(2, 8 * base, 8 * base),
            up(),
            unit(8 * base, 4 * base),
            up(),
            unit(4 * base, 2 * base),
            unit(2 * base, base),
            conv(base, 1, 3, slope=None),
        )


class VAE(nn.Module):
    """Encoder and decoder of one field; `base` is the width of the first level (64 in the paper)."""

    def __init__(self, base: int = 64, latent_channels: int = LATENT_CHANNELS) -> None:
        super().__init__()
        self.encoder: Encoder = Encoder(base, latent_channels)
        self.decoder: Decoder = Decoder(base, latent_channels)

    def encode(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Means and log-variances (b, latent_channels, y/8, x/8) of frames (b, 1, y, x) scaled to [0, 1]."""
        return self.encoder(x)

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """Frames (b, 1, y, x) of latents (b, latent_channels, y/8, x/8); not clipped to [0, 1]."""
        return self.decoder(z)

    def forward(self, x: torch.Tensor, generator: torch.Generator | None = None) -> VAEOutput:
        """Encode and decode frames (b, 1, y, x): from the mean, or a sample where a generator is given."""
        mean, logvar = self.encode(x)
        z = mean if generator is None else sample(mean, logvar, generator)
        return VAEOutput(self.decode(z), mean, logvar)


def sample(mean: torch.Tensor, logvar: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """mean + exp(logvar / 2) * eps with standard normal eps.

    Source: Kingma and Welling, arXiv:1312.6114, section 2.4.
    The generator must live on the device of the tensors.
    """
    eps = torch.randn(mean.shape, generator=generator, device=mean.device, dtype=mean.dtype)
    return mean + torch.exp(0.5 * logvar) * eps
