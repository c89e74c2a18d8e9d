"""Latents standardised per channel: shift and scale of means and log-variances, fitted to data."""

from __future__ import annotations

import torch
from torch import nn

SMALLEST = 1e-6  # standard deviations below this count as 1: a constant channel is only shifted


class LatentScaling(nn.Module):
    """(latent - shift) / scale per channel, and back; the identity until fitted."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        for kind in ("mean", "logvar"):
            self.register_buffer(f"{kind}_shift", torch.zeros(1, channels, 1, 1))
            self.register_buffer(f"{kind}_scale", torch.ones(1, channels, 1, 1))

    @torch.no_grad()
    def fit(self, mean: torch.Tensor, logvar: torch.Tensor) -> None:
        """Take average and standard deviation per channel from latents (..., channel, y, x)."""
        for kind, values in (("mean", mean), ("logvar", logvar)):
            shift, scale = getattr(self, f"{kind}_shift"), getattr(self, f"{kind}_scale")
            channels = values.movedim(-3, 0).flatten(1).double()  # (channel, everything else)
            std = channels.std(dim=1, correction=0)
            shift.copy_(channels.mean(dim=1).view_as(shift))
            scale.copy_(torch.where(std > SMALLEST, std, 1.0).view_as(scale))

    def scale(self, mean: torch.Tensor, logvar: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Standardised latents (b, channel, y, x)."""
        return (mean - self.mean_shift) / self.mean_scale, (logvar - self.logvar_shift) / self.logvar_scale

    def unscale(self, mean: torch.Tensor, logvar: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Inverse of `scale`."""
        return mean * self.mean_scale + self.mean_shift, logvar * self.logvar_scale + self.logvar_shift
