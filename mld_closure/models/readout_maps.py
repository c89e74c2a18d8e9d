"""What a readout head learns from: its quantities per latent pixel, from true fields, and the loss on them.

Maps have the channels of `QUANTITIES` in a form in which the whole is the mean of its parts: the hot-spot
temperature comes multiplied by the hot area, the burned fraction as share of the mass of the mean pixel.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from ..grids import LATENT_FACTOR
from .readout_head import HOT, QUANTITIES, head_loss, pool_maps

# Sizes of an error of one latent pixel that count as one in the loss, in the order of `QUANTITIES`
LOCAL_SIZES = (0.3, 600.0, 0.3, 500.0, 3e9, 0.3)
NEEDED = ("temperature", "pressure", "microstructure", "reaction_progress", "density")


def maps_from_fields(frames: Mapping[str, np.ndarray], threshold: float = HOT) -> np.ndarray:
    """Maps (..., 6, y/8, x/8), float32, of true frames (..., y, x) by name in SI units.

    Channels whose field is missing are NaN; without density every pixel weighs alike.
    """
    shape = next(iter(frames.values())).shape
    small = (*shape[:-2], shape[-2] // LATENT_FACTOR, shape[-1] // LATENT_FACTOR)
    maps = np.full((len(QUANTITIES), *small), np.nan, np.float32)
    if "temperature" in frames:
        t = frames["temperature"]
        hot = t > threshold
        maps[0], maps[1], maps[3] = _blocks(hot), _blocks(t * hot), _blocks(t)
    if "reaction_progress" in frames:
        rho = frames.get("density", np.ones(shape, np.float32))
        weight = rho / rho.mean(axis=(-2, -1), keepdims=True)
        maps[2] = _blocks(weight * frames["reaction_progress"])
    if "pressure" in frames:
        maps[4] = _blocks(frames["pressure"])
    if "microstructure" in frames:
        maps[5] = 1.0 - _blocks(frames["microstructure"])
    return np.moveaxis(maps, 0, -3)


def readout_loss(predicted: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Squared errors of maps (b, 6, y, x), per latent pixel and pooled over the frame, in SI units.

    Each in units of its error size, averaged over the batch and summed over quantities. Targets that are NaN
    do not count.
    """
    known = torch.isfinite(target)
    sizes = torch.tensor(LOCAL_SIZES).to(predicted).view(-1, 1, 1)
    error = torch.where(known, (predicted - target) / sizes, 0.0)
    local = (error.square().sum(dim=(0, 2, 3)) / known.sum(dim=(0, 2, 3)).clamp_min(1)).sum()
    return local + head_loss(pool_maps(predicted), pool_maps(target))


def curve_loss(predicted: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Squared errors of the hot area and of the burned fraction of whole frames, in hundredths, added.

    Maps (b, 6, y, x); averaged over the batch; targets that are NaN do not count.
    """
    which = [list(QUANTITIES).index(name) for name in ("hotspot_area_fraction", "burned_fraction")]
    read, wanted = (maps[:, which].mean(dim=(-2, -1)) for maps in (predicted, target))
    known = torch.isfinite(wanted)
    error = torch.where(known, 100.0 * (read - wanted), 0.0)
    return (error.square().sum(dim=0) / known.sum(dim=0).clamp_min(1)).sum()


def _blocks(values: np.ndarray) -> np.ndarray:
    """Mean over the pixels behind each latent pixel."""
    *lead, ny, nx = values.shape
    n = LATENT_FACTOR
    return values.reshape(*lead, ny // n, n, nx // n, n).mean(axis=(-3, -1), dtype=np.float32)
