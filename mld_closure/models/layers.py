"""What all networks here are made of: convolutions that keep the size, units of two, pooling, upsampling.

Why: one constructor for every convolution sets padding and initialisation once; the order in which a network
creates its convolutions is also the order in which foreign weight files list them.
"""

from __future__ import annotations

import torch
from torch import nn

SLOPE = 0.2  # LeakyReLU


def conv(c_in: int, c_out: int, kernel: int, *, slope: float | None = SLOPE, gain: float = 1.0) -> nn.Conv2d:
    """A "same" convolution with bias, initialised for the LeakyReLU slope that follows it.

    `slope=None` means that nothing follows (linear). `gain` scales the initial weights further. Biases start
    at zero. Source: He et al., doi:10.1109/ICCV.2015.123, equation 15.
    """
    layer = nn.Conv2d(c_in, c_out, kernel, padding=kernel // 2)
    if slope is None:
        nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")
    else:
        nn.init.kaiming_normal_(layer.weight, a=slope, nonlinearity="leaky_relu")
    nn.init.zeros_(layer.bias)
    if gain != 1.0:
        with torch.no_grad():
            layer.weight.mul_(gain)
    return layer


def leaky() -> nn.Module:
    """LeakyReLU with the slope used everywhere."""
    return nn.LeakyReLU(SLOPE)


def unit(c_in: int, c_out: int, kernel: int = 3) -> nn.Sequential:
    """conv kernel x kernel -> c_out, LeakyReLU, conv 1 x 1 -> c_out, LeakyReLU."""
    return nn.Sequential(conv(c_in, c_out, kernel), leaky(), conv(c_out, c_out, 1), leaky())


def units(count: int, c_in: int, c_out: int, kernel: int = 3) -> nn.Sequential:
    """`count` units in a row; the first changes the channels."""
    return nn.Sequential(*(unit(c_in if i == 0 else c_out, c_out, kernel) for i in range(count)))


def down() -> nn.Module:
    """2 x 2 max-pooling."""
    return nn.MaxPool2d(2)


def up() -> nn.Module:
    """Bilinear doubling with half-pixel centres."""
    return nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)


def parameter_count(module: nn.Module) -> int:
    """Number of parameters of a module."""
    return sum(p.numel() for p in module.parameters())
