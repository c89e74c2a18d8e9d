"""From latents to homogenised quantities, and what `advance` returns: the way out into SI units.

Uncertainty, plainly: it is the spread (standard deviation over 4 draws) of the head's burn rate between two
frames when the latents are drawn from the model's own log-variances, with the same noise at both frames. It
knows the noise of the autoencoder and of the log-variance networks; it knows nothing of what the model has
learnt wrongly, so it is a proxy, a lower bound in spirit. Where the model evolves no log-variances it is the
root-mean-square burn-rate error that training wrote into the head, the same for all cells, and NaN (unknown)
where there is neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
import torch

from .. import fields as field_table
from ..models.dynamics import Latent, LatentDynamics
from ..models.readout_head import QUANTITIES, ReadoutHead, targets_from_fields
from .cells import DRAWS

NAMES = tuple(QUANTITIES)
_RATES = {
    "burn_rate": "burned_fraction",
    "hotspot_area_rate": "hotspot_area_fraction",
    "hotspot_temperature_rate": "hotspot_temperature",
}


@dataclass
class Response:
    """Homogenised quantities of cells at the end of the step, (n,) each, and the next step they allow.

    Rates are averages over the step, so that rate times dt is exactly the change returned. A cell that has
    not reacted yet shows material at rest: burned fraction, area and hot-spot temperature 0, the pressure
    passed in, the porosity of its patch. `status`: words of `guards.Status`. `dt_max` (s): the longest step
    over which, at present rates, no burned fraction moves more than `Settings.max_burn_step`; a cell that
    starts in this step counts from the next one on.
    """

    ids: np.ndarray
    burned_fraction: np.ndarray
    burn_rate: np.ndarray  # 1/s
    hotspot_area_fraction: np.ndarray
    hotspot_area_rate: np.ndarray  # 1/s
    hotspot_temperature: np.ndarray  # K
    hotspot_temperature_rate: np.ndarray  # K/s
    mean_temperature: np.ndarray  # K
    mean_pressure: np.ndarray  # Pa
    porosity: np.ndarray
    uncertainty: np.ndarray  # 1/s, of burn_rate; see the module
    status: np.ndarray
    dt_max: float

    def part(self, where: slice | np.ndarray) -> Response:
        """The same for some of the cells, by position."""
        arrays = {f.name: getattr(self, f.name)[where] for f in fields(self) if f.name != "dt_max"}
        return Response(**arrays, dt_max=self.dt_max)


def at_rest(ids: np.ndarray, pressure: np.ndarray, porosity: np.ndarray, temperature: float) -> Response:
    """The response of cells that have not been shocked."""
    zero = np.zeros((7, len(ids)))
    return Response(
        ids, *zero[:6], np.full(len(ids), temperature), pressure, porosity, zero[6],
        np.zeros(len(ids), np.int64), float("inf"),
    )  # fmt: skip


def respond(response: Response, where: np.ndarray, values: np.ndarray, before: np.ndarray, dt: float) -> None:
    """Write values (k, 6) and their rates since `before` (k, 6) into positions `where` of a response."""
    for i, name in enumerate(NAMES):
        getattr(response, name)[where] = values[:, i]
    for rate, name in _RATES.items():
        i = NAMES.index(name)
        getattr(response, rate)[where] = (values[:, i] - before[:, i]) / dt


class Reading(NamedTuple):
    """Quantities (b, 6), float32, and burned fractions of latent samples (b, DRAWS), NaN where not drawn."""

    values: torch.Tensor
    draws: torch.Tensor


class HeadReader:
    """Quantities from the readout head of a bundle."""

    decodes = False
    known = np.ones(len(NAMES), bool)

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
        self.model, self.names, self.threshold = model, names, threshold
        self._sampler = Sampler(head) if head is not None else None
        known = {"mean_pressure": "pressure" in names, "porosity": "microstructure" in names}
        self.known = np.array([known.get(name, True) for name in NAMES])

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
