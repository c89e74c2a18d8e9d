"""Finite differences on pixels: gradient, Laplacian and advection, with the edge pixels repeated outwards.

All second order in the interior; results are per pixel (gradient) and per pixel squared (Laplacian).
"""

from __future__ import annotations

import torch
from torch.nn import functional as F


def gradient(q: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(dq/dx, dq/dy) per pixel of q (b, channel, y, x), by centred differences; exact on quadratics."""
    p = F.pad(q, (1, 1, 1, 1), mode="replicate")  # (b, channel, y + 2, x + 2)
    return (
        0.5 * (p[..., 1:-1, 2:] - p[..., 1:-1, :-2]),
        0.5 * (p[..., 2:, 1:-1] - p[..., :-2, 1:-1]),
    )


def laplacian(q: torch.Tensor) -> torch.Tensor:
    """Laplacian per pixel squared of q (b, channel, y, x), five points; exact for cubics inside."""
    p = F.pad(q, (1, 1, 1, 1), mode="replicate")
    across = p[..., 1:-1, 2:] + p[..., 1:-1, :-2]
    return across + p[..., 2:, 1:-1] + p[..., :-2, 1:-1] - 4.0 * q


def advection(q: torch.Tensor, u: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """-(u dq/dx + v dq/dy): what a flow does to q (b, channel, y, x) in unit time.

    u, v: (b, 1, y, x) in pixels per unit time, u along x.
    """
    along_x, along_y = gradient(q)
    return -(u * along_x + v * along_y)
