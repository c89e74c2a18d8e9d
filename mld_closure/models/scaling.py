"""Standardisation of latents: shift and scale per channel, for means and log-variances, fitted to data."""

from __future__ import annotations

import torch
from torch import nn

SMALLEST = 1e-6  # a standard deviation below this is replaced by 1, so a constant channel is only shifted


def channel_moments(values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean and standard deviation, (channel,) in float64, of values (..., channel, y, x)."""
    channels = values.movedim(-3, 0).flatten(1).double()  # (channel, everything else)
    std = channels.std(dim=1, correction=0)
    return channels.mean(dim=1), torch.where(std > SMALLEST, std, 1.0)


class LatentScaling(nn.Module):
    """(latent - shift) / scale per channel, and back; does nothing until it is fitted."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        for kind in ("mean", "logvar"):
            self.register_buffer(f"{kind}_shift", torch.zeros(1, channels, 1, 1))
            self.register_buffer(f"{kind}_scale", torch.ones(1, channels, 1, 1))

    @torch.no_grad()
    def fit(self, mean: torch.Tensor, logvar: torch.Tensor) -> None:
        """Fit shift (mean) and scale (standard deviation) per channel.

        Parameters
        ----------
        mean, logvar : tensor (..., channel, y, x)
            Latents of the training data.
        """
        for kind, values in (("mean", mean), ("logvar", logvar)):
            shift, scale = getattr(self, f"{kind}_shift"), getattr(self, f"{kind}_scale")
            average, std = channel_moments(values)
            shift.copy_(average.view_as(shift))
            scale.copy_(std.view_as(scale))

    def scale(self, mean: torch.Tensor, logvar: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return standardised latents (b, channel, y, x)."""
        return (mean - self.mean_shift) / self.mean_scale, (logvar - self.logvar_shift) / self.logvar_scale

    def unscale(self, mean: torch.Tensor, logvar: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Inverse of `scale`."""
        return mean * self.mean_scale + self.mean_shift, logvar * self.logvar_scale + self.logvar_shift
