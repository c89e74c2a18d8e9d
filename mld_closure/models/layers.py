"""Building blocks of all networks: convolutions that keep the size, pairs of them, pooling, upsampling.

Why: one function makes every convolution, so padding and initialisation are set in one place. A network must
create its convolutions in the order in which published weight files list them.
"""

from __future__ import annotations

import torch
from torch import nn

SLOPE = 0.2  # LeakyReLU


def conv(c_in: int, c_out: int, kernel: int, *, slope: float | None = SLOPE, gain: float = 1.0) -> nn.Conv2d:
    """Make a convolution that keeps the size of the image, with bias and He initialisation.

    Parameters
    ----------
    c_in, c_out : int
        Channels.
    kernel : int
        Side of the kernel [pixels].
    slope : float or None
        Slope of the LeakyReLU that follows; None if the output is used as it is.
    gain : float
        Additional factor on the initial weights. Biases start at zero.

    Returns
    -------
    Conv2d

    References
    ----------
    He et al., doi:10.1109/ICCV.2015.123, equation 15.
    """
    layer = nn.Conv2d(c_in, c_out, kernel, padding=kernel // 2)
    if layer.weight.is_meta:  # filled from a file; torch would load its compiler to draw nothing
        return layer
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
    """Make the LeakyReLU that all networks use."""
    return nn.LeakyReLU(SLOPE)


def unit(c_in: int, c_out: int, kernel: int = 3) -> nn.Sequential:
    """Make a pair: convolution kernel x kernel, LeakyReLU, convolution 1 x 1, LeakyReLU."""
    return nn.Sequential(conv(c_in, c_out, kernel), leaky(), conv(c_out, c_out, 1), leaky())


def units(count: int, c_in: int, c_out: int, kernel: int = 3) -> nn.Sequential:
    """Make `count` units in a row; the first one changes the number of channels."""
    return nn.Sequential(*(unit(c_in if i == 0 else c_out, c_out, kernel) for i in range(count)))


def down() -> nn.Module:
    """Make 2 x 2 max-pooling."""
    return nn.MaxPool2d(2)


def up() -> nn.Module:
    """Make bilinear upsampling by two, with half-pixel centres."""
    return nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
