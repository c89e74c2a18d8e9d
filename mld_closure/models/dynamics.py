"""The surrogate: encode fields, advance latents, decode. One class serves both scales.

One micro step sends the latents of each field through the decoupled networks of that field, then the latents
of all fields together through the coupled networks. A meso step consists of several micro steps.

References
----------
Azarfar et al., arXiv:2506.12996.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn

from ..grids import check_frame
from .resnet import ResNet16
from .scaling import LatentScaling
from .settings import ModelConfig
from .unet import UNet
from .vae import VAE, sample

EVOLUTION: dict[str, type[UNet] | type[ResNet16]] = {"unet": UNet, "resnet16": ResNet16}
PARTS = ("vaes", "decoupled_mean", "decoupled_logvar", "coupled_mean", "coupled_logvar")


class Latent(NamedTuple):
    """Latent state of a batch of frames.

    Attributes
    ----------
    mean, logvar : tensor (batch, fields * channels, y/8, x/8)
        Means and log-variances; fields are stacked in the order of the configuration.
    """

    mean: torch.Tensor
    logvar: torch.Tensor


class LatentDynamics(nn.Module):
    """Encode, advance and decode frames of the configured fields.

    The networks are grouped in parts: `vaes`, `decoupled_mean` and `decoupled_logvar` (one network per
    field), `coupled_mean` and `coupled_logvar`. A model with `evolve_logvar=False` has no log-variance
    networks and keeps the log-variances unchanged.

    Parameters
    ----------
    config : ModelConfig
        Fields, sizes and options.
    steps_per_frame : int
        Micro steps per frame.
    """

    def __init__(self, config: ModelConfig, steps_per_frame: int = 1) -> None:
        super().__init__()
        self.config = config
        self.steps_per_frame = steps_per_frame
        one, all_ = config.latent_channels, config.latent_size
        extra = int(config.load_conditioning)

        def network(c_in: int, c_out: int) -> nn.Module:
            return EVOLUTION[config.evolution](c_in, c_out, config.width, linear=config.residual)

        names, with_logvar = config.fields, config.evolve_logvar
        self.vaes: nn.ModuleDict = nn.ModuleDict({name: VAE(config.base, one) for name in names})
        self.decoupled_mean: nn.ModuleDict = nn.ModuleDict({name: network(one, one) for name in names})
        self.decoupled_logvar: nn.ModuleDict = nn.ModuleDict(
            {name: network(2 * one, one) for name in names if with_logvar}
        )
        self.coupled_mean: nn.Module = network(all_ + extra, all_)
        self.coupled_logvar: nn.Module | None = network(2 * all_ + extra, all_) if with_logvar else None
        self.scaling: LatentScaling = LatentScaling(all_)
        self.to(memory_format=torch.channels_last)

    def encode(self, fields: torch.Tensor) -> Latent:
        """Encode frames.

        Parameters
        ----------
        fields : tensor (b, field, y, x)
            Frames scaled to [0, 1], fields in the order of the configuration.

        Returns
        -------
        Latent

        Raises
        ------
        ValueError
            A wrong number of fields, or sides that are no multiples of 32.
        """
        check_frames(fields, self.config.fields)
        pairs = [
            self.vaes[name].encode(_channels_last(fields[:, i : i + 1]))
            for i, name in enumerate(self.config.fields)
        ]
        mean, logvar = (torch.cat(part, dim=1).to(fields.dtype) for part in zip(*pairs, strict=True))
        return Latent(mean, logvar)

    def advance(self, latent: Latent, load: torch.Tensor | None = None, steps: int = 1) -> Latent:
        """Return the latent `steps` frames later.

        Parameters
        ----------
        latent : Latent
            Where to start.
        load : tensor (b,), optional
            Scaled load, `ModelConfig.scale_load` of the piston speed. Required where the configuration has
            `load_conditioning`, otherwise unused.
        steps : int
            Number of frames.

        Returns
        -------
        Latent

        Raises
        ------
        ValueError
            The load is required and is missing or has another shape.
        """
        for _ in range(steps * self.steps_per_frame):
            latent = self.micro_step(latent, load)
        return latent

    def decode(
        self,
        latent: Latent,
        fields: Sequence[str] | None = None,
        generator: torch.Generator | None = None,
    ) -> torch.Tensor:
        """Decode latents to frames.

        Parameters
        ----------
        latent : Latent
            What to decode.
        fields : sequence of str, optional
            Fields wanted, in this order; all by default.
        generator : torch.Generator, optional
            On the device of the latent. With it a sample of the latent is decoded, otherwise its mean. The
            sample of a field does not depend on which other fields are decoded.

        Returns
        -------
        tensor (b, field, y, x)
            Frames scaled to [0, 1], not clipped.

        Raises
        ------
        ValueError
            A field that this model does not have.
        """
        z = latent.mean if generator is None else sample(latent.mean, latent.logvar, generator)
        slices = self.config.slices()
        frames = []
        for name in self.config.fields if fields is None else fields:
            if name not in slices:
                raise ValueError(f"no field '{name}' in this model; it has {', '.join(slices)}")
            frames.append(self.vaes[name].decode(_channels_last(z[:, slices[name]])))
        return torch.cat(frames, dim=1).to(z.dtype)

    def rollout_latents(
        self,
        latent: Latent,
        outer_steps: int,
        inner_steps: int = 1,
        load: torch.Tensor | None = None,
    ) -> Latent:
        """Return the latents of a rollout without decoding them.

        Parameters
        ----------
        latent : Latent
            Where to start.
        outer_steps : int
            Number of latents to return.
        inner_steps : int
            Frames between two of them.
        load : tensor (b,), optional
            Scaled load, as in `advance`.

        Returns
        -------
        Latent
            Means and log-variances (b, time, channel, y, x); the starting latent is not included.
        """
        steps = []
        for _ in range(outer_steps):
            latent = self.advance(latent, load, inner_steps)
            steps.append(latent)
        mean, logvar = (torch.stack(part, dim=1) for part in zip(*steps, strict=True))
        return Latent(mean, logvar)

    def trajectory(
        self,
        fields0: torch.Tensor,
        outer_steps: int,
        inner_steps: int = 1,
        load: torch.Tensor | None = None,
        generator: torch.Generator | None = None,
        *,
        fields: Sequence[str] | None = None,
    ) -> torch.Tensor:
        """Encode a frame, roll it out and decode the result.

        Parameters
        ----------
        fields0 : tensor (b, field, y, x)
            Frame 0, scaled to [0, 1].
        outer_steps : int
            Number of frames to return.
        inner_steps : int
            Frames from one of them to the next.
        load : tensor (b,), optional
            Scaled load, as in `advance`.
        generator : torch.Generator, optional
            Decode a sample of each latent instead of its mean. Samples do not influence the evolution.
        fields : sequence of str, optional
            Fields wanted; all by default.

        Returns
        -------
        tensor (b, time, field, y, x)
            Frames scaled to [0, 1]; frame 0 is not included.

        Raises
        ------
        ValueError
            A generator for a model that does not evolve log-variances.
        """
        self.check_sampling(generator)
        latent = self.encode(fields0)
        frames = []
        for _ in range(outer_steps):
            latent = self.advance(latent, load, inner_steps)
            frames.append(self.decode(latent, fields, generator))
        return torch.stack(frames, dim=1)

    def check_sampling(self, generator: torch.Generator | None) -> None:
        """Raise ValueError if a generator is given but the model evolves no log-variances to sample from."""
        if generator is not None and not self.config.evolve_logvar:
            raise ValueError(
                "this model evolves no log-variances, so it cannot sample; leave out the generator"
            )

    def micro_step(self, latent: Latent, load: torch.Tensor | None = None) -> Latent:
        """Advance by one micro step: first the decoupled, then the coupled networks."""
        inside = self._couple(self._decouple(self._enter(latent)), load)
        return self._leave(inside, latent)

    def decoupled_step(self, latent: Latent) -> Latent:
        """Advance by one micro step with the decoupled networks only, without influence between fields."""
        return self._leave(self._decouple(self._enter(latent)), latent)

    def coupled_step(self, latent: Latent, load: torch.Tensor | None = None) -> Latent:
        """Apply only the coupled networks, to latents after the decoupled step."""
        return self._leave(self._couple(self._enter(latent), load), latent)

    def parts(self) -> dict[str, nn.Module]:
        """Return the networks by name of the part, without parts that this configuration does not have."""
        found = {name: getattr(self, name) for name in PARTS}
        return {name: part for name, part in found.items() if part is not None and list(part.parameters())}

    def set_trainable(self, *names: str) -> None:
        """Let the named parts learn and freeze all others.

        Raises
        ------
        ValueError
            A part that this model does not have.
        """
        parts = self.parts()
        if unknown := set(names) - set(parts):
            raise ValueError(f"no part '{sorted(unknown)[0]}' in this model; it has {', '.join(parts)}")
        for name, part in parts.items():
            part.requires_grad_(name in names)

    def _decouple(self, z: Latent) -> Latent:
        """Decoupled networks, field by field, on scaled latents."""
        means, logvars = [], []
        for name, channels in self.config.slices().items():
            mean, logvar = z.mean[:, channels], z.logvar[:, channels]
            means.append(self._evolve(self.decoupled_mean[name], [mean], mean))
            if self.config.evolve_logvar:
                logvars.append(self._evolve(self.decoupled_logvar[name], [mean, logvar], logvar))
        return Latent(torch.cat(means, dim=1), torch.cat(logvars, dim=1) if logvars else z.logvar)

    def _couple(self, z: Latent, load: torch.Tensor | None) -> Latent:
        """Coupled networks on scaled latents of all fields."""
        extra = self._load_channel(z.mean, load)
        mean = self._evolve(self.coupled_mean, [z.mean, *extra], z.mean)
        if self.coupled_logvar is None:
            return Latent(mean, z.logvar)
        return Latent(mean, self._evolve(self.coupled_logvar, [z.mean, z.logvar, *extra], z.logvar))

    def _evolve(self, network: nn.Module, inputs: list[torch.Tensor], z: torch.Tensor) -> torch.Tensor:
        """Output of one evolution network; added to `z` where networks give changes."""
        out = network(_channels_last(torch.cat(inputs, dim=1)))
        return z + out if self.config.residual else out

    def _load_channel(self, like: torch.Tensor, load: torch.Tensor | None) -> list[torch.Tensor]:
        """The load as a constant channel (b, 1, y, x), or nothing."""
        if not self.config.load_conditioning:
            return []
        b, _, y, x = like.shape
        if load is None or load.shape != (b,):
            got = "none" if load is None else f"shape {tuple(load.shape)}"
            raise ValueError(f"this model needs the scaled load of each sample, shape ({b},); got {got}")
        return [load.to(like).view(b, 1, 1, 1).expand(b, 1, y, x)]

    def _enter(self, latent: Latent) -> Latent:
        """Latents as the evolution networks see them."""
        return Latent(*self.scaling.scale(*latent)) if self.config.standardize else latent

    def _leave(self, inside: Latent, outside: Latent) -> Latent:
        """Latents in their own units, with types and log-variances that are not evolved from `outside`."""
        mean, logvar = self.scaling.unscale(*inside) if self.config.standardize else inside
        logvar = logvar if self.config.evolve_logvar else outside.logvar
        return Latent(mean.to(outside.mean.dtype), logvar.to(outside.logvar.dtype))


class MicroDynamics(LatentDynamics):
    """The model of the micro scale: one micro step per frame."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config, steps_per_frame=1)


class MesoDynamics(LatentDynamics):
    """The model of the meso scale: several micro steps per frame, with its own coupled networks."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config, steps_per_frame=config.meso_micro_ratio)

    @classmethod
    def from_micro(
        cls,
        micro: LatentDynamics,
        shared: Sequence[str] = ("vaes", "decoupled_mean", "decoupled_logvar"),
    ) -> MesoDynamics:
        """Make a meso model that starts from the weights of a micro model.

        Parameters
        ----------
        micro : LatentDynamics
            The micro model.
        shared : sequence of str
            Parts that are the same modules in both models; the others are copied.

        Returns
        -------
        MesoDynamics
        """
        meso = cls(micro.config)
        for name in micro.parts():
            part = getattr(micro, name)
            setattr(meso, name, part if name in shared else copy.deepcopy(part))
        meso.scaling = copy.deepcopy(micro.scaling)
        return meso


def _channels_last(x: torch.Tensor) -> torch.Tensor:
    """The tensor in the channels-last memory format."""
    return x.contiguous(memory_format=torch.channels_last)


def check_frames(frames: torch.Tensor, names: Sequence[str]) -> None:
    """Raise ValueError unless frames are (batch, len(names), y, x), y and x multiples of 32."""
    if frames.ndim != 4 or frames.shape[1] != len(names):
        raise ValueError(
            f"frames of shape {tuple(frames.shape)}; expected (batch, {len(names)}, y, x) "
            f"with the fields {', '.join(names)}"
        )
    check_frame(*frames.shape[-2:])
