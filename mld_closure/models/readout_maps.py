"""Training targets of a readout head: its quantities per latent pixel, from true fields, and the losses.

The maps have the channels of `QUANTITIES`, in a form in which the value of a frame is the mean over its
pixels: the hot-spot temperature is multiplied by the hot area, and the burned fraction by the mass of the
pixel relative to the mean mass.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from ..fields import HOT, QUANTITIES
from ..grids import LATENT_FACTOR
from .readout_head import head_loss, pool_maps

# Errors of one latent pixel that count as one in the loss, in the order of `QUANTITIES`
LOCAL_SIZES = (0.3, 600.0, 0.3, 500.0, 3e9, 0.3)
NEEDED = ("temperature", "pressure", "microstructure", "reaction_progress", "density")


def maps_from_fields(frames: Mapping[str, np.ndarray], threshold: float = HOT) -> np.ndarray:
    """Compute the maps of true frames.

    Parameters
    ----------
    frames : mapping of str to array (..., y, x)
        Fields in SI units. Without density all pixels have the same weight.
    threshold : float
        A pixel hotter than this is hot [K].

    Returns
    -------
    float32 array (..., 6, y/8, x/8)
        SI units; channels whose field is missing are NaN.
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
    """Return the squared errors of maps, per latent pixel and averaged over the frame, summed.

    Parameters
    ----------
    predicted, target : tensor (b, 6, y, x)
        Maps in SI units; each error is divided by the error size of its quantity. NaN targets do not count.

    Returns
    -------
    scalar tensor
        Averaged over the batch, summed over quantities.
    """
    known = torch.isfinite(target)
    sizes = torch.tensor(LOCAL_SIZES).to(predicted).view(-1, 1, 1)
    error = torch.where(known, (predicted - target) / sizes, 0.0)
    local = (error.square().sum(dim=(0, 2, 3)) / known.sum(dim=(0, 2, 3)).clamp_min(1)).sum()
    return local + head_loss(pool_maps(predicted), pool_maps(target))


def curve_loss(predicted: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return the squared errors of hot area and burned fraction of whole frames, in hundredths, added.

    Parameters
    ----------
    predicted, target : tensor (b, 6, y, x)
        Maps; NaN targets do not count.

    Returns
    -------
    scalar tensor
        Averaged over the batch.
    """
    which = [list(QUANTITIES).index(name) for name in ("hotspot_area_fraction", "burned_fraction")]
    read, wanted = (maps[:, which].mean(dim=(-2, -1)) for maps in (predicted, target))
    known = torch.isfinite(wanted)
    error = torch.where(known, 100.0 * (read - wanted), 0.0)
    return (error.square().sum(dim=0) / known.sum(dim=0).clamp_min(1)).sum()


def _blocks(values: np.ndarray) -> np.ndarray:
    """Mean over the pixels of each latent pixel."""
    *lead, ny, nx = values.shape
    n = LATENT_FACTOR
    return values.reshape(*lead, ny // n, n, nx // n, n).mean(axis=(-3, -1), dtype=np.float32)
