"""PARCv2, the baseline: a network that learns d(state)/dt in physical space from advection and diffusion.

Written from the description in arXiv:2402.12503. It evolves the frame itself, so its "latent" is the state. A
feature U-Net sees the whole state. For each field (once for both velocity components) a mapping network gives
the rate of change per frame; its normalisation is modulated by finite-difference terms of the field (SPADE,
arXiv:1903.07291). Heun or Runge-Kutta integrates the rate over the frame interval.

Where the description leaves a choice, this was chosen:

- Some 1 x 1 convolutions. The published sizes (15.1 and 19.2 million parameters) and cost (5,883 GFLOP for a
  step of 320 x 480) require 38 convolutions of 128 to 128 channels more than the description names: 2 at the
  end of the U-Net and 9 in each of the four mapping networks (one at the entry, one after each of three
  SPADEs, two units and a shortcut in the residual block).
- Velocities enter the advection term in pixels per frame, so the term is the true rate in these units.
- Normalisation uses mean and variance over the pixels of each sample, in training and in evaluation.
Why: with statistics over batch and pixels the result for a sample would depend on the rest of its batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from .. import fields as field_table
from .differences import advection, laplacian
from .dynamics import Latent, LatentDynamics, check_frames
from .integrators import INTEGRATORS
from .layers import conv, down, leaky, unit, up

VELOCITY = ("velocity_x", "velocity_y")


@dataclass(frozen=True)
class ParcConfig:
    """Sizes and options of a PARCv2 model; `ParcConfig()` is the published size.

    Attributes
    ----------
    fields : tuple of str
        The state in order; the last two are velocity_x and velocity_y.
    base : int
        Channels of the first level.
    integrator : {"rk4", "heun"}
        Integrates over one frame.
    pixel : float
        Side of a pixel [m].
    interval : float
        Time between two frames [s]; with `pixel` it converts m/s to pixels per frame.
    noise : float
        Standard deviation of the noise added to the features in training.

    Raises
    ------
    ValueError
        Impossible fields or sizes.
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
        """Channels that the feature U-Net passes to the mapping networks."""
        return 2 * self.base

    def slices(self) -> dict[str, slice]:
        """Return the channel of each field in the state, as a slice."""
        return field_table.latent_slices(self.fields, 1)


class FeatureNet(nn.Module):
    """The feature U-Net: state (b, field, y, x) -> features (b, 2 base, y, x); y and x multiples of 16.

    Five levels of one unit each. Of the four units on the way up, the second and the fourth also see the
    output of their level on the way down.
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
    """Normalised features, scaled and shifted pixel by pixel by convolutions of the explicit terms."""

    def __init__(self, terms: int, features: int) -> None:
        super().__init__()
        self.shared: nn.Sequential = nn.Sequential(conv(terms, features, 3), leaky())
        self.scale: nn.Conv2d = conv(features, features, 3, slope=None, gain=0.1)
        self.shift: nn.Conv2d = conv(features, features, 3, slope=None, gain=0.1)

    def forward(self, x: torch.Tensor, terms: torch.Tensor) -> torch.Tensor:
        h = self.shared(terms)
        return nn.functional.instance_norm(x) * (1.0 + self.scale(h)) + self.shift(h)


class SpadeConv(nn.Module):
    """SPADE, LeakyReLU and a 1 x 1 convolution."""

    def __init__(self, terms: int, features: int) -> None:
        super().__init__()
        self.spade: Spade = Spade(terms, features)
        self.activate: nn.Module = leaky()
        self.conv: nn.Conv2d = conv(features, features, 1, slope=None)

    def forward(self, x: torch.Tensor, terms: torch.Tensor) -> torch.Tensor:
        return self.conv(self.activate(self.spade(x, terms)))


class Mapping(nn.Module):
    """The mapping network of one field: features and explicit terms -> rate of change (b, out, y, x)."""

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
    """PARCv2 with the interface of `LatentDynamics`.

    The latent mean is the state, its log-variance has no channel. Frames hold `config.fields`, scaled to [0,
    1]; one `advance` is one frame interval.
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
        """Return the state itself, from frames (b, field, y, x) scaled to [0, 1].

        Raises
        ------
        ValueError
            A wrong number of fields, or sides that are no multiples of 32.
        """
        check_frames(fields, self.config.fields)
        return Latent(fields.contiguous(memory_format=torch.channels_last), fields[:, :0])

    def advance(self, latent: Latent, load: torch.Tensor | None = None, steps: int = 1) -> Latent:
        """Return the state `steps` frames later.

        The state is clipped to [0, 1] before each frame. `load` is not used: the state already contains the
        load.
        """
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
        """Return frames (b, field, y, x) of all fields, or of the named ones.

        Raises
        ------
        ValueError
            A field that this model does not have, or a generator, as the model cannot sample.
        """
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
        """Return d(state)/d(frame), (b, field, y, x), of a state (b, field, y, x) scaled to [0, 1]."""
        terms, features = self.explicit_terms(state), self.features(state)
        return torch.cat([net(features, terms[name]) for name, net in self.mappings.items()], dim=1)

    def explicit_terms(self, state: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the finite-difference terms that modulate each mapping network.

        Parameters
        ----------
        state : tensor (b, field, y, x)
            State scaled to [0, 1].

        Returns
        -------
        dict of str to tensor (b, terms, y, x)
            Advection per frame; for the temperature also its Laplacian per pixel squared. The key "velocity"
            holds both components.
        """
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
        """Return the networks by name of the part."""
        return {"features": self.features, "mappings": self.mappings}
