"""From latent states to homogenised quantities: readers, and samples of the latents behind an uncertainty.

The uncertainty is the spread (standard deviation over 4 draws) of the head's burn rate between two frames
when the latents are drawn from the model's own log-variances, with the same noise at both frames. It knows
the noise of the autoencoder and of the log-variance networks, and nothing of what the model has learnt
wrongly: a lower bound in spirit. Where the model evolves no log-variances it is what set-aside cases of
about this load and time have shown (`known_errors`); in a bundle that does not say that, the
root-mean-square burn-rate error that training wrote into the head; NaN (unknown) where there is neither.
Beyond the loads and the patches of training the closure widens it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from .. import fields as field_table
from ..fields import QUANTITIES
from ..models.bundle import Bundle, BundleError
from ..models.dynamics import Latent, LatentDynamics
from ..models.readout_head import EXTRA, ReadoutHead, targets_from_fields
from .engine import one_kernel
from .known_errors import KnownErrors
from .messages import DRAWS
from .options import ReadoutOptions

NAMES = tuple(QUANTITIES)


class Reading(NamedTuple):
    """Quantities (b, 6), float32, and burned fractions of latent samples (b, DRAWS), NaN where not drawn."""

    values: torch.Tensor
    draws: torch.Tensor


class HeadReader:
    """Quantities from the readout head of a bundle."""

    decodes = False
    known: np.ndarray = np.ones(len(NAMES), bool)

    def __init__(self, head: ReadoutHead, samples: bool) -> None:
        self.head = head
        self._sampler = Sampler(head) if samples else None

    def __call__(self, latent: Latent, load: torch.Tensor) -> Reading:
        """The reading of latents (b, channel, y, x) under scaled loads (b,)."""
        return Reading(self.head(latent.mean, load), _draws(self._sampler, latent, load))


class DecodeReader:
    """Quantities measured on decoded fields: the reference's way. Fields as the model holds them.

    The burned fraction comes from the decoded reaction progress where the model has it; else the hot-spot
    area fraction stands for it. `known` (6,) says which quantities the decoded fields give.
    """

    decodes = True

    def __init__(
        self,
        model: LatentDynamics,
        threshold: float,
        names: Sequence[str] | None = None,
        head: ReadoutHead | None = None,
    ) -> None:
        names = tuple(model.config.fields if names is None else names)
        if "temperature" not in names:
            raise ValueError(f"the decode readout needs the temperature; it was to decode {', '.join(names)}")
        for name in names:
            if name not in model.config.fields:
                raise ValueError(f"cannot decode '{name}'; the model has {', '.join(model.config.fields)}")
        self.model: LatentDynamics = model
        self.names: tuple[str, ...] = names
        self.threshold: float = threshold
        self._sampler = Sampler(head) if head is not None else None
        known = {"mean_pressure": "pressure" in names, "porosity": "microstructure" in names}
        self.known: np.ndarray = np.array([known.get(name, True) for name in NAMES])

    def __call__(self, latent: Latent, load: torch.Tensor) -> Reading:
        """The reading of latents (b, channel, y, x) under scaled loads (b,)."""
        scaled = self.model.decode(latent, self.names).float()  # (b, field, y, x)
        frames = {name: field_table.get(name).unscale(scaled[:, i]) for i, name in enumerate(self.names)}
        found = targets_from_fields(frames, self.threshold)
        found.setdefault("burned_fraction", found["hotspot_area_fraction"])
        missing = torch.full_like(found["mean_temperature"], torch.nan)
        values = torch.stack([found.get(name, missing) for name in NAMES], dim=1)
        return Reading(values, _draws(self._sampler, latent, load))


class Sampler:
    """Burned fractions that a head reads from latents drawn with the same noise for every cell and frame."""

    def __init__(self, head: ReadoutHead) -> None:
        self.head = head
        self._noise: torch.Tensor | None = None

    def __call__(self, latent: Latent, load: torch.Tensor) -> torch.Tensor:
        """(b, DRAWS)."""
        if self._noise is None or self._noise.shape[1:] != latent.mean.shape[1:]:
            shape = (DRAWS, *latent.mean.shape[1:])
            noise = torch.randn(shape, generator=torch.Generator().manual_seed(0))
            self._noise = noise.to(latent.mean)
        deviation = torch.exp(0.5 * latent.logvar)
        burned = NAMES.index("burned_fraction")
        drawn = [self.head(latent.mean + deviation * eps, load)[:, burned] for eps in self._noise]
        return torch.stack(drawn, dim=1)


def _draws(sampler: Sampler | None, latent: Latent, load: torch.Tensor) -> torch.Tensor:
    if sampler is None:
        return latent.mean.new_full((len(latent.mean), DRAWS), torch.nan)
    return sampler(latent, load).float()


def make_reader(
    bundle: Bundle, model: LatentDynamics, options: ReadoutOptions
) -> tuple[HeadReader | DecodeReader, KnownErrors]:
    """The reader that the options ask for, and the uncertainty of burn rates where it can draw none.

    Raises BundleError where the bundle has no head for it, or one for other latents.
    """
    head = None
    if EXTRA in bundle.extras:
        head = ReadoutHead.from_extra(bundle.extras[EXTRA])
        one_kernel(head)
        if head.config.latent_size != model.config.latent_size:
            raise BundleError(
                f"the readout head reads {head.config.latent_size} channels, the model has "
                f"{model.config.latent_size}; export the bundle again"
            )
    error = head.config.burn_rate_error if head is not None else None
    scale = "meso" if model is bundle.meso else "micro"
    spread = KnownErrors.from_table(bundle.errors, scale, bundle.load_range)
    spread = KnownErrors.single(error, bundle.load_range) if spread is None else spread
    samples = model.config.evolve_logvar
    if options.kind == "head":
        if head is None:
            raise BundleError("this bundle has no readout head; use readout='decode' or train a head")
        return HeadReader(head, samples), spread
    return DecodeReader(model, options.threshold, options.fields, head if samples else None), spread
