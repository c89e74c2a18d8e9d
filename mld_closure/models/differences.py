"""Finite differences of images: gradient, Laplacian and advection; edge pixels are repeated outwards.

All are of second order in the interior. A gradient is per pixel, a Laplacian per pixel squared.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F


def gradient(q: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return (dq/dx, dq/dy) per pixel by central differences; exact for quadratic functions in the interior.

    Parameters
    ----------
    q : tensor (b, channel, y, x)
        Values.

    Returns
    -------
    (tensor, tensor)
        Each of the shape of `q`.
    """
    p = F.pad(q, (1, 1, 1, 1), mode="replicate")  # (b, channel, y + 2, x + 2)
    return (
        0.5 * (p[..., 1:-1, 2:] - p[..., 1:-1, :-2]),
        0.5 * (p[..., 2:, 1:-1] - p[..., :-2, 1:-1]),
    )


def laplacian(q: torch.Tensor) -> torch.Tensor:
    """Return the five-point Laplacian per pixel squared; exact for cubic functions in the interior.

    Parameters
    ----------
    q : tensor (b, channel, y, x)
        Values.

    Returns
    -------
    tensor (b, channel, y, x)
    """
    p = F.pad(q, (1, 1, 1, 1), mode="replicate")
    across = p[..., 1:-1, 2:] + p[..., 1:-1, :-2]
    return across + p[..., 2:, 1:-1] + p[..., :-2, 1:-1] - 4.0 * q


def advection(q: torch.Tensor, u: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Return -(u dq/dx + v dq/dy), the rate at which a flow changes q.

    Parameters
    ----------
    q : tensor (b, channel, y, x)
        Values carried by the flow.
    u, v : tensor (b, 1, y, x)
        Velocity along x and along y [pixels per unit time].

    Returns
    -------
    tensor (b, channel, y, x)
        Change of `q` per unit time.
    """
    along_x, along_y = gradient(q)
    return -(u * along_x + v * along_y)
