"""The variational autoencoder (VAE) of one field: frame to latent means and log-variances, and back.

It is fully convolutional, so one network serves frames of any size whose sides are multiples of 8. Both
scales share it.

References
----------
Azarfar et al., arXiv:2506.12996.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn

from ..fields import LATENT_CHANNELS
from .layers import conv, down, leaky, unit, units, up


class VAEOutput(NamedTuple):
    """Reconstruction (b, 1, y, x), and mean and log-variance of the latent (b, channels, y/8, x/8)."""

    reconstruction: torch.Tensor
    mean: torch.Tensor
    logvar: torch.Tensor


class Encoder(nn.Module):
    """Frame (b, 1, y, x) -> means and log-variances, (b, latent_channels, y/8, x/8) each."""

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
    """Latent (b, latent_channels, y/8, x/8) -> frame (b, 1, y, x); the last layer is linear."""

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
    """Encoder and decoder of one field.

    Parameters
    ----------
    base : int
        Channels of the first level; 64 in the paper.
    latent_channels : int
        Channels of the latent.
    """

    def __init__(self, base: int = 64, latent_channels: int = LATENT_CHANNELS) -> None:
        super().__init__()
        self.encoder: Encoder = Encoder(base, latent_channels)
        self.decoder: Decoder = Decoder(base, latent_channels)

    def encode(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return means and log-variances (b, latent_channels, y/8, x/8) of frames (b, 1, y, x) in [0, 1]."""
        return self.encoder(x)

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """Return frames (b, 1, y, x), not clipped to [0, 1], of latents (b, latent_channels, y/8, x/8)."""
        return self.decoder(z)

    def forward(self, x: torch.Tensor, generator: torch.Generator | None = None) -> VAEOutput:
        """Encode frames (b, 1, y, x) and decode the mean, or a sample if a generator is given."""
        mean, logvar = self.encode(x)
        z = mean if generator is None else sample(mean, logvar, generator)
        return VAEOutput(self.decode(z), mean, logvar)


def sample(mean: torch.Tensor, logvar: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Draw a sample of a latent: mean + exp(logvar / 2) * eps with standard normal eps.

    Parameters
    ----------
    mean, logvar : tensor
        Latent, of any shape.
    generator : torch.Generator
        On the device of the tensors.

    Returns
    -------
    tensor
        In the shape of `mean`.

    References
    ----------
    Kingma and Welling, arXiv:1312.6114, section 2.4.
    """
    eps = torch.randn(mean.shape, generator=generator, device=mean.device, dtype=mean.dtype)
    return mean + torch.exp(0.5 * logvar) * eps
