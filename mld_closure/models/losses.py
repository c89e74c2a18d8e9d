"""The named losses: of the VAE, of the latent evolution, and of decoded temperatures.

Source: Azarfar et al., arXiv:2506.12996, and its reference implementation. Stacked latents have the shape
(b, channel, y, x) or (b, time, channel, y, x), fields (b, field, y, x) or (b, time, field, y, x), scaled to
[0, 1].

Why: the parts of the VAE loss are kept per sample, because the reference adds sums over the batch to vectors
over samples; `vae_loss` gives its numbers or a loss that depends on neither batch nor frame size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from .. import fields as field_table
from .readout_head import HOT

NORM_FLOOR = 1e-6
HOT_AREA = float(field_table.get("temperature").scale(HOT))
EDGE_FLOOR = 1e-5


@dataclass(frozen=True)
class DynamicsWeights:
    """Weights of the losses of latent evolution."""

    mean: float = 1.0
    logvar: float = 1.0
    field: float = 1.0


@dataclass(frozen=True)
class VAEWeights:
    """Weights of the parts of the VAE loss."""

    reconstruction: float = 1.0
    kl: float = 1.0
    edge: float = 0.0
    perceptual: float = 0.0


def state_norm(z: torch.Tensor) -> torch.Tensor:
    """Average over pixels of the L2 norm over channels: (..., channel, y, x) -> (..., 1, 1, 1)."""
    return torch.linalg.vector_norm(z, dim=-3, keepdim=True).mean(dim=(-2, -1), keepdim=True)


def consistency_loss(
    predicted: torch.Tensor, target: torch.Tensor, slices: Mapping[str, slice]
) -> torch.Tensor:
    """Mean squared error of latents relative to the size of the target, summed over fields and steps.

    Per field, step and sample both sides are divided by `state_norm(target) + 1e-6`. Serves means and
    log-variances alike. `slices` holds the channels of each field (`ModelConfig.slices`); fields left out of
    it are left out of the sum.
    """
    total = predicted.new_zeros(())
    for channels in slices.values():
        p, t = predicted[..., channels, :, :], target[..., channels, :, :]
        total = total + _mean_per_step(((p - t) / (state_norm(t) + NORM_FLOOR)).square()).sum()
    return total


def multi_step_loss(predicted: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Mean squared error of fields, summed over fields and steps."""
    return _mean_per_step((predicted - truth).square(), keep_channels=True).sum()


def _mean_per_step(values: torch.Tensor, keep_channels: bool = False) -> torch.Tensor:
    """Average over batch, y, x (and channels) of (b, [time,] channel, y, x)."""
    return values.mean(dim=(0, -2, -1) if keep_channels else (0, -3, -2, -1))


def hot_weighted_loss(
    predicted: torch.Tensor, truth: torch.Tensor, *, weight: float = 25.0, knee: float = 0.3, l1: float = 0.0
) -> torch.Tensor:
    """Mean of (1 + weight * clip(truth / knee, 0, 1)) * (squared error + l1 * absolute error), any shape.

    For scaled temperatures: `knee` 0.3 is 1710 K, so ignited pixels, few in number, count `1 + weight` times.
    """
    error = predicted - truth
    emphasis = 1.0 + weight * (truth / knee).clamp(0.0, 1.0)
    size = error.square() if l1 == 0.0 else error.square() + l1 * error.abs()
    return (emphasis * size).mean()


def hot_area_loss(
    predicted: torch.Tensor, truth: torch.Tensor, *, threshold: float = HOT_AREA, width: float = 0.02
) -> torch.Tensor:
    """Mean squared error of the hot share of frames (..., y, x) of scaled temperatures, in tenths.

    A pixel counts as sigmoid((T - threshold) / width): the hot-spot area with an edge that gradients pass
    (threshold 875 K, width 94 K). Only how much is hot matters, not where.
    """
    share = [torch.sigmoid((t - threshold) / width).mean(dim=(-2, -1)) for t in (predicted, truth)]
    return (10.0 * (share[0] - share[1])).square().mean()


def squared_error(predicted: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Sum of squared errors per sample: (b, ...) -> (b,)."""
    return (predicted - truth).square().flatten(1).sum(dim=1)


def kl_divergence(mean: torch.Tensor, logvar: torch.Tensor) -> torch.Tensor:
    """Divergence of N(mean, exp(logvar)) from the standard normal, summed per sample: (b, ...) -> (b,).

    Source: Kingma and Welling, arXiv:1312.6114, appendix B.
    """
    return -0.5 * (1.0 + logvar - mean.square() - logvar.exp()).flatten(1).sum(dim=1)


def edge_weight(truth: torch.Tensor) -> torch.Tensor:
    """Gradient magnitude of (b, 1, y, x), min-max scaled over the whole batch.

    Forward differences, zero in the last row and column; 1e-5 in the denominator of the scaling.
    """
    dy, dx = torch.zeros_like(truth), torch.zeros_like(truth)
    dy[..., :-1, :] = truth[..., 1:, :] - truth[..., :-1, :]
    dx[..., :-1] = truth[..., 1:] - truth[..., :-1]
    size = torch.sqrt(dy.square() + dx.square())
    low, high = size.min(), size.max()
    return (size - low) / (high - low + EDGE_FLOOR)


def edge_loss(predicted: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Sum of |edge_weight(truth) * (predicted - truth)| per sample: (b, 1, y, x) -> (b,)."""
    return (edge_weight(truth) * (predicted - truth)).abs().flatten(1).sum(dim=1)


def perceptual_loss(predicted: torch.Tensor, truth: torch.Tensor, extractor: nn.Module) -> torch.Tensor:
    """Sum of squared differences of image features per sample: (b, 1, y, x) -> (b,).

    `extractor` maps grey images in [0, 1], repeated to (b, 3, y, x), to features of any shape; a factory for
    the paper's one is `perceptual.inception_v3`.
    """
    wanted = extractor(truth.expand(-1, 3, -1, -1))
    return squared_error(extractor(predicted.expand(-1, 3, -1, -1)), wanted)


def vae_loss_parts(
    reconstruction: torch.Tensor,
    truth: torch.Tensor,
    mean: torch.Tensor,
    logvar: torch.Tensor,
    weights: VAEWeights,
    extractor: nn.Module | None = None,
) -> dict[str, torch.Tensor]:
    """The parts of the VAE loss of one field that have a weight, unweighted, (b,) each.

    Raises ValueError where the perceptual part has a weight and there is no extractor.
    """
    parts = {"reconstruction": squared_error(reconstruction, truth), "kl": kl_divergence(mean, logvar)}
    if weights.edge:
        parts["edge"] = edge_loss(reconstruction, truth)
    if weights.perceptual:
        if extractor is None:
            raise ValueError(
                f"perceptual weight {weights.perceptual} needs an extractor; give one or weight 0"
            )
        parts["perceptual"] = perceptual_loss(reconstruction, truth, extractor)
    return parts


def vae_loss(
    parts: Mapping[str, torch.Tensor],
    weights: VAEWeights,
    *,
    pixels: int = 1,
    convention: Literal["mean", "reference"] = "mean",
) -> torch.Tensor:
    """The weighted sum of the parts (b,).

    `mean`: a scalar, the average over samples divided by `pixels` (of one frame; pass y * x so that the loss
    does not depend on the crop). `reference`: the vector (b,) of the reference implementation, in which the
    divergence of each sample is added to the other parts summed over the whole batch. Its optimiser adds up
    that vector, so with a batch of N the other parts weigh N times as much as the divergence.
    """
    weighted = {name: getattr(weights, name) * values for name, values in parts.items()}
    if convention == "mean":
        return sum(weighted.values()).mean() / pixels
    if convention == "reference":
        own = weighted.pop("kl")
        return own + sum(values.sum() for values in weighted.values())
    raise ValueError(f"convention '{convention}': choose mean | reference")
