"""The U-Net of the latent evolution: three levels, units of a 3 x 3 and a 1 x 1 convolution, two skips."""

from __future__ import annotations

import torch
from torch import nn

from .layers import conv, down, leaky, unit, units, up

RESIDUAL_GAIN = 0.1  # factor on initial weights of a linear last layer; an untrained network changes little


class UNet(nn.Module):
    """Evolution network (b, c_in, y, x) -> (b, c_out, y, x); y and x must be multiples of 4.

    Parameters
    ----------
    c_in, c_out : int
        Channels.
    base : int
        Channels of the first level.
    linear : bool
        Leave out the last LeakyReLU and start with a small last layer, for networks that give a change.

    References
    ----------
    Azarfar et al., arXiv:2506.12996.
    """

    def __init__(self, c_in: int, c_out: int, base: int = 64, linear: bool = False) -> None:
        super().__init__()
        self.level0: nn.Sequential = units(3, c_in, base)
        self.level1: nn.Sequential = units(3, base, 2 * base)
        self.level2: nn.Sequential = units(3, 2 * base, 4 * base)
        self.up1: nn.Sequential = units(3, 6 * base, 2 * base)
        self.up0: nn.Sequential = units(3, 3 * base, base)
        last = (
            [conv(c_out, c_out, 1, slope=None, gain=RESIDUAL_GAIN)]
            if linear
            else [conv(c_out, c_out, 1), leaky()]
        )
        self.out: nn.Sequential = nn.Sequential(
            unit(base, c_out, 1), unit(c_out, c_out, 1), conv(c_out, c_out, 1), leaky(), *last
        )
        self.down: nn.Module = down()
        self.up: nn.Module = up()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a = self.level0(x)  # (b, base, y, x)
        b = self.level1(self.down(a))  # (b, 2 base, y/2, x/2)
        c = self.level2(self.down(b))  # (b, 4 base, y/4, x/4)
        d = self.up1(torch.cat([self.up(c), b], dim=1))  # (b, 2 base, y/2, x/2)
        e = self.up0(torch.cat([self.up(d), a], dim=1))  # (b, base, y, x)
        return self.out(e)
