"""The surrogate: encode fields, advance latents, decode; one class for both scales, which differ by numbers.

Architecture: Azarfar et al., arXiv:2506.12996. One micro step sends each field's latents through the
decoupled networks of that field, then all fields together through the coupled networks; a meso step is
several micro steps.
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
    """Means and log-variances, (batch, fields * channels, y/8, x/8) each, fields stacked in config order."""

    mean: torch.Tensor
    logvar: torch.Tensor


class LatentDynamics(nn.Module):
    """Encode, advance and decode frames of the configured fields; `steps_per_frame` micro steps a frame.

    Parts: `vaes`, `decoupled_mean`, `decoupled_logvar` (by field), `coupled_mean`, `coupled_logvar`. A model
    with `evolve_logvar=False` lacks the log-variance networks and carries the log-variances along unchanged.
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
        """Latent of frames (b, field, y, x), fields in config order and scaled to [0, 1].

        Raises ValueError for a wrong number of fields or sides that are no multiples of 32.
        """
        if fields.ndim != 4 or fields.shape[1] != len(self.config.fields):
            raise ValueError(
                f"frames of shape {tuple(fields.shape)}; expected (batch, {len(self.config.fields)}, y, x) "
                f"with the fields {', '.join(self.config.fields)}"
            )
        check_frame(*fields.shape[-2:])
        pairs = [
            self.vaes[name].encode(_channels_last(fields[:, i : i + 1]))
            for i, name in enumerate(self.config.fields)
        ]
        mean, logvar = (torch.cat(part, dim=1).to(fields.dtype) for part in zip(*pairs, strict=True))
        return Latent(mean, logvar)

    def advance(self, latent: Latent, load: torch.Tensor | None = None, steps: int = 1) -> Latent:
        """The latent `steps` frames later.

        `load` (b,) is the scaled load (`ModelConfig.scale_load` of the piston speed); it is needed where the
        configuration conditions on it and has no effect elsewhere.
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
        """Frames (b, field, y, x) in [0, 1] units of all fields, or of those named, in that order.

        The mean is decoded, or a sample where a generator (on the latent's device) is given; the sample of a
        field does not depend on which other fields are asked for.
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
        """Latents after each of `outer_steps` times `inner_steps` frames: (b, time, channel, y, x) each."""
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
        """Frames (b, time, field, y, x) after each of `outer_steps` times `inner_steps` frames.

        Frame 0 is not repeated in the result. `generator` samples each frame's latent, which never feeds
        back into the evolution; `fields` decodes only those named. Raises ValueError for a generator where
        the model evolves no log-variances.
        """
        self.check_sampling(generator)
        latent = self.encode(fields0)
        frames = []
        for _ in range(outer_steps):
            latent = self.advance(latent, load, inner_steps)
            frames.append(self.decode(latent, fields, generator))
        return torch.stack(frames, dim=1)

    def check_sampling(self, generator: torch.Generator | None) -> None:
        """ValueError for a generator where the model evolves no log-variances to sample from."""
        if generator is not None and not self.config.evolve_logvar:
            raise ValueError(
                "this model evolves no log-variances, so it cannot sample; leave out the generator"
            )

    def micro_step(self, latent: Latent, load: torch.Tensor | None = None) -> Latent:
        """One micro step: decoupled, then coupled networks."""
        inside = self._couple(self._decouple(self._enter(latent)), load)
        return self._leave(inside, latent)

    def decoupled_step(self, latent: Latent) -> Latent:
        """One micro step of the decoupled networks alone: what each field does without its neighbours."""
        return self._leave(self._decouple(self._enter(latent)), latent)

    def coupled_step(self, latent: Latent, load: torch.Tensor | None = None) -> Latent:
        """The coupled networks alone, on latents after the decoupled step."""
        return self._leave(self._couple(self._enter(latent), load), latent)

    def parts(self) -> dict[str, nn.Module]:
        """The networks by part name; parts that this configuration lacks are left out."""
        found = {name: getattr(self, name) for name in PARTS}
        return {name: part for name, part in found.items() if part is not None and list(part.parameters())}

    def set_trainable(self, *names: str) -> None:
        """Let the named parts learn and freeze all others; ValueError for an unknown name."""
        parts = self.parts()
        if unknown := set(names) - set(parts):
            raise ValueError(f"no part '{sorted(unknown)[0]}' in this model; it has {', '.join(parts)}")
        for name, part in parts.items():
            part.requires_grad_(name in names)

    def _decouple(self, z: Latent) -> Latent:
        means, logvars = [], []
        for name, channels in self.config.slices().items():
            mean, logvar = z.mean[:, channels], z.logvar[:, channels]
            means.append(self._evolve(self.decoupled_mean[name], [mean], mean))
            if self.config.evolve_logvar:
                logvars.append(self._evolve(self.decoupled_logvar[name], [mean, logvar], logvar))
        return Latent(torch.cat(means, dim=1), torch.cat(logvars, dim=1) if logvars else z.logvar)

    def _couple(self, z: Latent, load: torch.Tensor | None) -> Latent:
        extra = self._load_channel(z.mean, load)
        mean = self._evolve(self.coupled_mean, [z.mean, *extra], z.mean)
        if self.coupled_logvar is None:
            return Latent(mean, z.logvar)
        return Latent(mean, self._evolve(self.coupled_logvar, [z.mean, z.logvar, *extra], z.logvar))

    def _evolve(self, network: nn.Module, inputs: list[torch.Tensor], z: torch.Tensor) -> torch.Tensor:
        out = network(_channels_last(torch.cat(inputs, dim=1)))
        return z + out if self.config.residual else out

    def _load_channel(self, like: torch.Tensor, load: torch.Tensor | None) -> list[torch.Tensor]:
        if not self.config.load_conditioning:
            return []
        b, _, y, x = like.shape
        if load is None or load.shape != (b,):
            got = "none" if load is None else f"shape {tuple(load.shape)}"
            raise ValueError(f"this model needs the scaled load of each sample, shape ({b},); got {got}")
        return [load.to(like).view(b, 1, 1, 1).expand(b, 1, y, x)]

    def _enter(self, latent: Latent) -> Latent:
        return Latent(*self.scaling.scale(*latent)) if self.config.standardize else latent

    def _leave(self, inside: Latent, outside: Latent) -> Latent:
        mean, logvar = self.scaling.unscale(*inside) if self.config.standardize else inside
        logvar = logvar if self.config.evolve_logvar else outside.logvar
        return Latent(mean.to(outside.mean.dtype), logvar.to(outside.logvar.dtype))


class MicroDynamics(LatentDynamics):
    """The micro scale: one micro step a frame."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config, steps_per_frame=1)


class MesoDynamics(LatentDynamics):
    """The meso scale: `meso_micro_ratio` micro steps a frame, with coupled networks of its own."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config, steps_per_frame=config.meso_micro_ratio)

    @classmethod
    def from_micro(
        cls,
        micro: LatentDynamics,
        shared: Sequence[str] = ("vaes", "decoupled_mean", "decoupled_logvar"),
    ) -> MesoDynamics:
        """A meso model that starts from a micro model: `shared` parts are the same modules, others copies."""
        meso = cls(micro.config)
        for name in micro.parts():
            part = getattr(micro, name)
            setattr(meso, name, part if name in shared else copy.deepcopy(part))
        meso.scaling = copy.deepcopy(micro.scaling)
        return meso


def _channels_last(x: torch.Tensor) -> torch.Tensor:
    return x.contiguous(memory_format=torch.channels_last)
