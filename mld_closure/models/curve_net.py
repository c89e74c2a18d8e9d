"""A whole burn curve at once: from the microstructure of a patch and a load to what its material does.

The dynamics of a patch under a given load have no other input, so their readings may be learned as functions
of time: one evaluation replaces a rollout. Convolutions see halo and patch; their features are pooled over
height and over each column part, and a small network of those, the part's porosity and the load gives every
curve of the part, from the arrival of the shock at the part on. Burned shares are 1 - exp(-H) with H a sum of
positive increments, so they rise from 0 and stay below 1 whatever the weights are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from ..fields import HOT
from . import extras
from .bundle import Extra
from .layers import conv, leaky, unit

CURVES = ("burned_share", "mean_pressure", "hot_share", "hot_temperature")
PRESSURE = 10e9  # Pa, unit of the pressure inside the network
HOTTEST = 6000.0  # K
STRIDE = 4  # pixels per column of features
_QUIET = -3.0  # initial bias of increments and shares: an untrained network says that little burns


@dataclass(frozen=True)
class CurveConfig:
    """Sizes of a curve network.

    Attributes
    ----------
    duration : float
        Time since arrival at which the curves end [s].
    steps : int
        Equal intervals of the curves.
    halo : int
        Columns of the image ahead of the patch, in which the shock runs before it enters.
    parts : int
        Equal column parts of the patch.
    part_width : int
        Columns of a part in training.
    load : float
        Piston speed at which the scaled load is 1 [m/s].
    width, hidden : int
        Channels of the convolutions, and of the network of a part.
    arrival : float
        Pressure that marks the arrival of a shock at a part [Pa].
    clock : float
        m of a point's clock, d tau = (p / p_frame)^m dt: half the exponent with which reaction rates go with
        the pressure, as flames do.

    Raises
    ------
    ValueError
        Sizes or times below their least values.
    """

    duration: float
    steps: int = 64
    halo: int = 40
    parts: int = 8
    part_width: int = 15
    load: float = 1000.0
    width: int = 32
    hidden: int = 96
    arrival: float = 2.5e9
    clock: float = 1.5

    def __post_init__(self) -> None:
        for name in ("duration", "load", "arrival", "clock"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        most_of = {"steps": 4096, "parts": 256, "part_width": 4096, "width": 1024, "hidden": 4096}
        for name, most in most_of.items():
            if not 1 <= getattr(self, name) <= most:
                raise ValueError(f"{name} must lie between 1 and {most}, got {getattr(self, name)}")
        if self.halo < 0 or self.halo % STRIDE:
            raise ValueError(f"halo must be a multiple of {STRIDE} columns, got {self.halo}")

    @property
    def times(self) -> np.ndarray:
        """Times since arrival (steps + 1,) of the curves (s)."""
        return np.linspace(0.0, self.duration, self.steps + 1)


class CurveNet(nn.Module):
    """Solid fractions (b, y, x) of halo and patch and loads (b,) -> curves by name, (b, part, time)."""

    def __init__(self, config: CurveConfig) -> None:
        super().__init__()
        self.config = config
        half, width = max(config.width // 2, 1), config.width
        self.image = nn.Sequential(
            conv(1, half, 5), leaky(), nn.AvgPool2d(2),
            unit(half, width), nn.AvgPool2d(2), unit(width, width),
        )  # fmt: skip
        self.along = nn.Sequential(nn.Conv1d(2 * width, config.hidden, 5, padding=2), leaky())
        self.part = nn.Sequential(
            nn.Linear(config.hidden + 3, config.hidden), leaky(),
            nn.Linear(config.hidden, config.hidden), leaky(),
        )  # fmt: skip
        self.out = nn.Linear(config.hidden, len(CURVES) * (config.steps + 1))
        with torch.no_grad():
            self.out.weight.mul_(0.3)
            bias = self.out.bias.view(len(CURVES), -1)
            bias.zero_()
            bias[0], bias[2] = _QUIET, _QUIET

    def forward(self, solid: torch.Tensor, load: torch.Tensor) -> dict[str, torch.Tensor]:
        """Curves of column parts since the arrival of the shock at each.

        Parameters
        ----------
        solid : tensor (b, y, x)
            Solid fractions, halo first along x.
        load : tensor (b,)
            Piston speeds in m/s.

        Returns
        -------
        dict of tensor (b, part, time)
            `burned_share` (1), `mean_pressure` (Pa), `hot_share` (1, of the part's own area at rest) and
            `hot_temperature` (K).

        Raises
        ------
        ValueError
            The image leaves no patch behind the halo.
        """
        return self.curves(self.features(solid), load)

    def features(
        self, solid: torch.Tensor, halo: int | None = None, parts: int | None = None
    ) -> torch.Tensor:
        """What is seen of images (b, y, x), whatever the load: (b, part, feature); raises as `forward`.

        halo, parts: of frames of another size; those of the configuration by default.
        """
        halo = self.config.halo if halo is None else halo
        parts = self.config.parts if parts is None else parts
        if solid.ndim != 3 or solid.shape[2] - halo < parts:
            raise ValueError(
                f"images of shape {tuple(solid.shape)} leave no {parts} parts behind a halo of {halo} columns"
            )
        void = (1.0 - solid)[:, None]
        features = self.image(void)
        x = self.along(torch.cat([features.mean(dim=2), features.amax(dim=2)], dim=1))
        x = F.adaptive_avg_pool1d(x[..., halo // STRIDE :], parts)
        porosity = F.adaptive_avg_pool1d(void.mean(dim=2)[..., halo:], parts)
        return torch.cat([x, 10.0 * porosity - 1.0], dim=1).transpose(1, 2)

    def curves(self, features: torch.Tensor, load: torch.Tensor) -> dict[str, torch.Tensor]:
        """Curves by name, (b, part, time), of what `features` (b, part, feature) saw, under loads (b,)."""
        scaled = (load / self.config.load).view(-1, 1, 1).expand(-1, features.shape[1], 1)
        x = torch.cat([features, scaled - 1.0, scaled * scaled - 1.0], dim=2)
        raw = self.out(self.part(x)).view(*x.shape[:2], len(CURVES), -1).float()
        burning, pressure, hot, temperature = raw.unbind(dim=2)
        hazard = F.softplus(burning[..., 1:]).cumsum(dim=-1)
        return {
            "burned_share": -torch.expm1(-F.pad(hazard, (1, 0))),
            "mean_pressure": PRESSURE * (scaled**2 + pressure),
            "hot_share": torch.sigmoid(hot),
            "hot_temperature": HOT + (HOTTEST - HOT) * torch.sigmoid(temperature),
        }

    def to_extra(self) -> Extra:
        """Return the network as a part of a bundle: `bundle.extras[EXTRA] = net.to_extra()`."""
        return extras.to_extra(self)

    @classmethod
    def from_extra(cls, extra: Extra) -> CurveNet:
        """Return the network stored in a bundle, frozen.

        Raises
        ------
        BundleError
            The stored network is damaged.
        """
        return extras.from_extra(extra, cls, CurveConfig, "curve network")
