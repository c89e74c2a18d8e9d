"""Losses of the VAE, of the latent evolution, and of decoded temperatures.

Stacked latents are (b, channel, y, x) or (b, time, channel, y, x); fields are (b, field, y, x) or (b, time,
field, y, x), scaled to [0, 1].
Why: the parts of the VAE loss are kept per sample, because the reference implementation adds a sum over the
batch to a vector over samples. `vae_loss` can reproduce its numbers, or give a loss that depends neither on
the batch nor on the frame size.

References
----------
Azarfar et al., arXiv:2506.12996, and its reference implementation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from .. import fields as field_table
from ..fields import HOT

NORM_FLOOR = 1e-6
HOT_KNEE = 0.3  # scaled temperature (1710 K) from which on the full weight of hot places applies
HOT_AREA = float(field_table.get("temperature").scale(HOT))
EDGE_FLOOR = 1e-5


@dataclass(frozen=True)
class VAEWeights:
    """Weights of the parts of the VAE loss."""

    reconstruction: float = 1.0
    kl: float = 1.0
    edge: float = 0.0
    perceptual: float = 0.0


def state_norm(z: torch.Tensor) -> torch.Tensor:
    """Return the L2 norm over channels, averaged over pixels: (..., channel, y, x) -> (..., 1, 1, 1)."""
    return torch.linalg.vector_norm(z, dim=-3, keepdim=True).mean(dim=(-2, -1), keepdim=True)


def consistency_loss(
    predicted: torch.Tensor, target: torch.Tensor, slices: Mapping[str, slice]
) -> torch.Tensor:
    """Return the mean squared error of latents relative to the size of the target.

    Per field, step and sample, both sides are divided by `state_norm(target) + 1e-6`. The errors are summed
    over fields and steps and averaged over everything else.

    Parameters
    ----------
    predicted, target : tensor (b, [time,] channel, y, x)
        Means or log-variances.
    slices : mapping of str to slice
        Channels of each field (`ModelConfig.slices`). Fields that are not in it do not count.

    Returns
    -------
    scalar tensor
    """
    total = predicted.new_zeros(())
    for channels in slices.values():
        p, t = predicted[..., channels, :, :], target[..., channels, :, :]
        total = total + _mean_per_step(((p - t) / (state_norm(t) + NORM_FLOOR)).square()).sum()
    return total


def multi_step_loss(predicted: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Return the mean squared error of fields (b, [time,] field, y, x), summed over fields and steps."""
    return _mean_per_step((predicted - truth).square(), keep_channels=True).sum()


def _mean_per_step(values: torch.Tensor, keep_channels: bool = False) -> torch.Tensor:
    """Average of (b, [time,] channel, y, x) over batch, y, x and, unless kept, channels."""
    return values.mean(dim=(0, -2, -1) if keep_channels else (0, -3, -2, -1))


def hot_emphasis(truth: torch.Tensor, weight: float, knee: float = HOT_KNEE) -> torch.Tensor:
    """Return how much places of a scaled temperature count: 1 + weight * clip(truth / knee, 0, 1)."""
    return 1.0 + weight * (truth / knee).clamp(0.0, 1.0)


def hot_weighted_loss(
    predicted: torch.Tensor,
    truth: torch.Tensor,
    *,
    weight: float = 25.0,
    knee: float = HOT_KNEE,
    l1: float = 0.0,
) -> torch.Tensor:
    """Return an error of scaled temperatures in which hot pixels count more.

    It is the mean of hot_emphasis(truth, weight, knee) * (squared error + l1 * absolute error).

    Parameters
    ----------
    predicted, truth : tensor
        Scaled temperatures, of any shape.
    weight : float
        Ignited pixels, which are few, count 1 + weight times.
    knee : float
        Scaled temperature from which on the full weight applies; 0.3 is 1710 K.
    l1 : float
        Factor of the absolute error.

    Returns
    -------
    scalar tensor
    """
    error = predicted - truth
    size = error.square() if l1 == 0.0 else error.square() + l1 * error.abs()
    return (hot_emphasis(truth, weight, knee) * size).mean()


def hot_area_loss(
    predicted: torch.Tensor, truth: torch.Tensor, *, threshold: float = HOT_AREA, width: float = 0.02
) -> torch.Tensor:
    """Return the mean squared error of the hot share of frames, in tenths of the frame.

    A pixel counts as sigmoid((T - threshold) / width), so the loss has gradients. Only the amount of hot area
    matters, not its place.

    Parameters
    ----------
    predicted, truth : tensor (..., y, x)
        Scaled temperatures.
    threshold : float
        Scaled temperature above which a pixel is hot; 875 K by default.
    width : float
        Width of the smooth step, scaled; 0.02 is 94 K.

    Returns
    -------
    scalar tensor
    """
    share = [torch.sigmoid((t - threshold) / width).mean(dim=(-2, -1)) for t in (predicted, truth)]
    return (10.0 * (share[0] - share[1])).square().mean()


def squared_error(predicted: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Return the sum of squared errors per sample: (b, ...) -> (b,)."""
    return (predicted - truth).square().flatten(1).sum(dim=1)


def kl_divergence(mean: torch.Tensor, logvar: torch.Tensor) -> torch.Tensor:
    """Return the divergence of N(mean, exp(logvar)) from the standard normal, summed per sample.

    Parameters
    ----------
    mean, logvar : tensor (b, ...)
        Latent.

    Returns
    -------
    tensor (b,)

    References
    ----------
    Kingma and Welling, arXiv:1312.6114, appendix B.
    """
    return -0.5 * (1.0 + logvar - mean.square() - logvar.exp()).flatten(1).sum(dim=1)


def edge_weight(truth: torch.Tensor) -> torch.Tensor:
    """Return the gradient magnitude of images (b, 1, y, x), scaled to [0, 1] over the whole batch.

    Gradients are forward differences, zero in the last row and column; the denominator of the scaling is
    raised by 1e-5.
    """
    dy, dx = torch.zeros_like(truth), torch.zeros_like(truth)
    dy[..., :-1, :] = truth[..., 1:, :] - truth[..., :-1, :]
    dx[..., :-1] = truth[..., 1:] - truth[..., :-1]
    size = torch.sqrt(dy.square() + dx.square())
    low, high = size.min(), size.max()
    return (size - low) / (high - low + EDGE_FLOOR)


def edge_loss(predicted: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Return the sum of |edge_weight(truth) * (predicted - truth)| per sample: (b, 1, y, x) -> (b,)."""
    return (edge_weight(truth) * (predicted - truth)).abs().flatten(1).sum(dim=1)


def perceptual_loss(predicted: torch.Tensor, truth: torch.Tensor, extractor: nn.Module) -> torch.Tensor:
    """Return the sum of squared differences of image features per sample.

    Parameters
    ----------
    predicted, truth : tensor (b, 1, y, x)
        Images scaled to [0, 1].
    extractor : nn.Module
        Maps images (b, 3, y, x) in [0, 1] to features of any shape. The one of the paper is
        `perceptual.inception_v3`.

    Returns
    -------
    tensor (b,)
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
    """Return the parts of the VAE loss per sample, without their weights.

    Parameters
    ----------
    reconstruction, truth : tensor (b, 1, y, x)
        Decoded and true frames, scaled to [0, 1].
    mean, logvar : tensor (b, channel, y/8, x/8)
        Latent.
    weights : VAEWeights
        The parts "edge" and "perceptual" are left out if their weight is 0.
    extractor : nn.Module, optional
        For the part "perceptual", see `perceptual_loss`.

    Returns
    -------
    dict of str to tensor (b,)

    Raises
    ------
    ValueError
        A perceptual weight without an extractor.
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
    """Return the weighted sum of the parts of the VAE loss.

    Parameters
    ----------
    parts : mapping of str to tensor (b,)
        From `vae_loss_parts`.
    weights : VAEWeights
        Weight of each part.
    pixels : int
        For "mean": the result is divided by this. With y * x of a frame the loss does not depend on its size.
    convention : {"mean", "reference"}
        "mean" gives a scalar, the average over samples. "reference" gives the vector (b,) of the reference
        implementation: the divergence of each sample, plus the other parts summed over the whole batch. Its
        optimiser adds up that vector, so in a batch of N the other parts weigh N times as much.

    Returns
    -------
    scalar tensor or tensor (b,)

    Raises
    ------
    ValueError
        Another convention.
    """
    weighted = {name: getattr(weights, name) * values for name, values in parts.items()}
    if convention == "mean":
        return sum(weighted.values()).mean() / pixels
    if convention == "reference":
        own = weighted.pop("kl")
        return own + sum(values.sum() for values in weighted.values())
    raise ValueError(f"convention '{convention}': choose mean | reference")
