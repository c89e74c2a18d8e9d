"""The ResNet-16 of the latent evolution: four bottleneck blocks and a 1 x 1 convolution, no pooling."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from .layers import conv
from .unet import RESIDUAL_GAIN


class Bottleneck(nn.Module):
    """One block: relu(third(relu(second(relu(first(x))))) + shortcut(x)); kernels 1, 3, 1 and 1."""

    def __init__(self, c_in: int, width: int, c_out: int) -> None:
        super().__init__()
        self.first: nn.Conv2d = conv(c_in, width, 1, slope=0.0)
        self.second: nn.Conv2d = conv(width, width, 3, slope=0.0)
        self.third: nn.Conv2d = conv(width, c_out, 1, slope=0.0)
        self.shortcut: nn.Conv2d = conv(c_in, c_out, 1, slope=0.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = self.third(F.relu(self.second(F.relu(self.first(x)))))
        return F.relu(inner + self.shortcut(x))


class ResNet16(nn.Module):
    """Evolution network (b, c_in, y, x) -> (b, c_out, y, x), for any y and x.

    Parameters
    ----------
    c_in, c_out : int
        Channels.
    base : int
        Width of the first block.
    linear : bool
        Whether the last convolution starts small, for networks that give a change. It is linear in both
        cases.

    References
    ----------
    Azarfar et al., arXiv:2506.12996.
    """

    def __init__(self, c_in: int, c_out: int, base: int = 64, linear: bool = False) -> None:
        super().__init__()
        self.blocks: nn.Sequential = nn.Sequential(
            Bottleneck(c_in, base, 4 * base),
            Bottleneck(4 * base, 2 * base, 8 * base),
            Bottleneck(8 * base, 2 * base, 8 * base),
            Bottleneck(8 * base, 4 * base, c_out),
        )
        self.out: nn.Conv2d = conv(c_out, c_out, 1, slope=None, gain=RESIDUAL_GAIN if linear else 1.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.blocks(x))
