"""PARCv2, the baseline: a network that learns d(state)/dt in physical space from advection and diffusion.

Written from the description in arXiv:2402.12503; it evolves the frame itself, so its "latent" is the state.
A feature U-Net sees the whole state; for each field (once for the velocity pair) a mapping network, its
normalisation modulated by the field's finite-difference terms (SPADE, arXiv:1903.07291), gives the rate of
change per frame; Heun or Runge-Kutta integrates it over the frame interval.

Chosen here, where the description leaves room:
- 1 x 1 convolutions: sizes of 15.1 and 19.2 million parameters and 5,883 GFLOP for a 320 x 480 step are met
  by 38 of 128 to 128 channels beyond those spelled out; 2 end the U-Net, 9 stand in each mapping network (one
  on entry, one after each of three SPADEs, two units and a shortcut in the residual block).
- Velocities enter the advection term in pixels per frame, so that the term is the true rate in these units.
- Normalisation takes mean and variance over the space of each sample, in training and evaluation alike.
Why: statistics over batch and space would make a sample's result depend on its batch neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from .. import fields as field_table
from ..grids import check_frame
from .differences import advection, laplacian
from .dynamics import Latent, LatentDynamics
from .integrators import INTEGRATORS
from .layers import conv, down, leaky, unit, up

VELOCITY = ("velocity_x", "velocity_y")


@dataclass(frozen=True)
class ParcConfig:
    """What a PARCv2 model is made of; `ParcConfig()` is the published size.

    fields: the state in order, velocity last; base: channels of the first level; integrator of one frame;
    pixel (m) and interval between frames (s), which turn m/s into pixels per frame; noise: standard deviation
    added to the features in training.
    """

    fields: tuple[str, ...] = (*field_table.MODEL_FIELDS, *VELOCITY)
    base: int = 64
    integrator: Literal["rk4", "heun"] = "rk4"
    pixel: float = 50e-9
    interval: float = 0.344e-9
    noise: float = 0.05
    load_conditioning: Literal[False] = False
    evolve_logvar: Literal[False] = False

    def __post_init__(self) -> None:
        for name in self.fields:
            field_table.get(name)
        if self.fields[-2:] != VELOCITY or len(set(self.fields)) != len(self.fields) or len(self.fields) < 3:
            raise ValueError(
                f"fields must be different and end with {', '.join(VELOCITY)}, got {', '.join(self.fields)}"
            )
        if self.base < 1 or not self.pixel > 0 or not self.interval > 0 or self.noise < 0:
            raise ValueError(
                f"base {self.base}, pixel {self.pixel} m and interval {self.interval} s must be positive, "
                f"noise {self.noise} not negative"
            )

    @property
    def features(self) -> int:
        """Channels that the feature U-Net hands to the mapping networks."""
        return 2 * self.base

    def slices(self) -> dict[str, slice]:
        """Channel of each field in the state, as a slice."""
        return field_table.latent_slices(self.fields, 1)


class FeatureNet(nn.Module):
    """State (b, field, y, x) -> features (b, 2 base, y, x); y and x multiples of 16.

    Five levels of one unit each; of the four units on the way up the second and the fourth see the skip of
    their level.
    """

    def __init__(self, c_in: int, base: int) -> None:
        super().__init__()
        self.levels: nn.ModuleList = nn.ModuleList(
            [unit(c_in, base), *(unit(base * 2**i, base * 2 ** (i + 1)) for i in range(4))]
        )
        self.ups: nn.ModuleList = nn.ModuleList(
            [
                unit(16 * base, 8 * base),
                unit(12 * base, 4 * base),
                unit(4 * base, 2 * base),
                unit(3 * base, 2 * base),
            ]
        )
        self.out: nn.Sequential = unit(2 * base, 2 * base, 1)
        self.down: nn.Module = down()
        self.up: nn.Module = up()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        skips = []
        for i, level in enumerate(self.levels):
            x = level(self.down(x) if i else x)  # (b, base 2^i, y / 2^i, x / 2^i)
            skips.append(x)
        for i, block in enumerate(self.ups):
            x = self.up(x)
            x = block(torch.cat([x, skips[3 - i]], dim=1) if i in (1, 3) else x)
        return self.out(x)


class Spade(nn.Module):
    """Normalised features, scaled and shifted pixel by pixel by convolutions of `terms`."""

    def __init__(self, terms: int, features: int) -> None:
        super().__init__()
        self.shared: nn.Sequential = nn.Sequential(conv(terms, features, 3), leaky())
        self.scale: nn.Conv2d = conv(features, features, 3, slope=None, gain=0.1)
        self.shift: nn.Conv2d = conv(features, features, 3, slope=None, gain=0.1)

    def forward(self, x: torch.Tensor, terms: torch.Tensor) -> torch.Tensor:
        h = self.shared(terms)
        return nn.functional.instance_norm(x) * (1.0 + self.scale(h)) + self.shift(h)


class SpadeConv(nn.Module):
    """SPADE, LeakyReLU, 1 x 1 convolution."""

    def __init__(self, terms: int, features: int) -> None:
        super().__init__()
        self.spade: Spade = Spade(terms, features)
        self.activate: nn.Module = leaky()
        self.conv: nn.Conv2d = conv(features, features, 1, slope=None)

    def forward(self, x: torch.Tensor, terms: torch.Tensor) -> torch.Tensor:
        return self.conv(self.activate(self.spade(x, terms)))


class Mapping(nn.Module):
    """Features (b, features, y, x) and explicit terms (b, terms, y, x) -> rate of change (b, out, y, x)."""

    def __init__(self, terms: int, features: int, out: int, noise: float) -> None:
        super().__init__()
        self.noise = noise
        self.entry: nn.Conv2d = conv(features, features, 1, slope=None)
        self.first: SpadeConv = SpadeConv(terms, features)
        self.second: SpadeConv = SpadeConv(terms, features)
        self.skip: SpadeConv = SpadeConv(terms, features)
        self.residual: nn.Sequential = nn.Sequential(unit(features, features, 1), unit(features, features, 1))
        self.shortcut: nn.Conv2d = conv(features, features, 1, slope=None)
        self.out: nn.Conv2d = conv(features, out, 1, slope=None, gain=0.1)

    def forward(self, features: torch.Tensor, terms: torch.Tensor) -> torch.Tensor:
        x = self.entry(features)
        if self.training and self.noise:
            x = x + self.noise * torch.randn_like(x)
        x = self.second(self.first(x, terms), terms) + self.skip(x, terms)
        return self.out(self.residual(x) + self.shortcut(x))


class Parc(nn.Module):
    """PARCv2 with the interface of `LatentDynamics`; latent mean = state, its logvar has no channel.

    Frames hold `config.fields` scaled to [0, 1]; one `advance` is one frame interval.
    """

    def __init__(self, config: ParcConfig) -> None:
        super().__init__()
        self.config = config
        self.features: FeatureNet = FeatureNet(len(config.fields), config.base)
        self.mappings: nn.ModuleDict = nn.ModuleDict(
            {
                name: Mapping(2 if name == "temperature" else 1, config.features, 1, config.noise)
                for name in config.fields[:-2]
            }
        )
        self.mappings["velocity"] = Mapping(2, config.features, 2, config.noise)
        self.to(memory_format=torch.channels_last)

    def encode(self, fields: torch.Tensor) -> Latent:
        """The state itself, from frames (b, field, y, x) in [0, 1] units.

        Raises ValueError for a wrong number of fields or sides that are no multiples of 32.
        """
        if fields.ndim != 4 or fields.shape[1] != len(self.config.fields):
            raise ValueError(
                f"frames of shape {tuple(fields.shape)}; expected (batch, {len(self.config.fields)}, y, x) "
                f"with the fields {', '.join(self.config.fields)}"
            )
        check_frame(*fields.shape[-2:])
        return Latent(fields.contiguous(memory_format=torch.channels_last), fields[:, :0])

    def advance(self, latent: Latent, load: torch.Tensor | None = None, steps: int = 1) -> Latent:
        """The state `steps` frames later, clamped to [0, 1] before each; the load is in the state already."""
        integrate, state = INTEGRATORS[self.config.integrator], latent.mean
        for _ in range(steps):
            state = integrate(self.rate, state.clamp(0.0, 1.0), 1.0)
        return Latent(state, latent.logvar)

    def decode(
        self,
        latent: Latent,
        fields: Sequence[str] | None = None,
        generator: torch.Generator | None = None,
    ) -> torch.Tensor:
        """Frames (b, field, y, x) of all fields, or of those named; ValueError for a generator."""
        if generator is not None:
            raise ValueError("PARCv2 is deterministic, so it cannot sample; leave out the generator")
        if fields is None:
            return latent.mean
        slices = self.config.slices()
        if unknown := [name for name in fields if name not in slices]:
            raise ValueError(f"no field '{unknown[0]}' in this model; it has {', '.join(slices)}")
        return torch.cat([latent.mean[:, slices[name]] for name in fields], dim=1)

    check_sampling: Callable[..., None] = LatentDynamics.check_sampling
    rollout_latents: Callable[..., Latent] = LatentDynamics.rollout_latents
    trajectory: Callable[..., torch.Tensor] = LatentDynamics.trajectory

    def rate(self, state: torch.Tensor) -> torch.Tensor:
        """d(state)/d(frame), (b, field, y, x) from a state (b, field, y, x) in [0, 1] units."""
        terms, features = self.explicit_terms(state), self.features(state)
        return torch.cat([net(features, terms[name]) for name, net in self.mappings.items()], dim=1)

    def explicit_terms(self, state: torch.Tensor) -> dict[str, torch.Tensor]:
        """What modulates each mapping network: advection per frame; for temperature diffusion as well."""
        pixels = self.config.interval / self.config.pixel  # m/s to pixels per frame
        u, v = (
            field_table.get(name).unscale(state[:, channel]) * pixels
            for name, channel in self.config.slices().items()
            if name in VELOCITY
        )
        moved = advection(state, u, v)  # (b, field, y, x)
        terms = {name: moved[:, i : i + 1] for i, name in enumerate(self.config.fields[:-2])}
        if "temperature" in terms:
            channel = self.config.slices()["temperature"]
            terms["temperature"] = torch.cat([terms["temperature"], laplacian(state[:, channel])], dim=1)
        return terms | {"velocity": moved[:, -2:]}

    def parts(self) -> dict[str, nn.Module]:
        """The networks by part name."""
        return {"features": self.features, "mappings": self.mappings}
