"""Forecasts of whole movies from frame 0, by the rollout of a model or otherwise, and the truth.

A forecaster is a function of a case number; `scoring` compares all of them in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch

from .. import fields as field_table
from ..fields import QUANTITIES
from ..metrics.calibration import EnsembleMoments
from ..metrics.hotspots import HotspotCurves, burned_fraction, curves_from, hot_fraction, hotspot_curves
from ..models.readout_head import ReadoutHead

SEEN = 1e-3  # smallest hot share of a frame for which the hot-spot temperature of a readout head is used
TOLERANCE = 1e-2  # relative difference allowed between frame intervals that should be equal


class Reader(Protocol):
    """What scoring needs of a trajectory file (`data.trajectories.Trajectories`)."""

    n_cases: int
    times: np.ndarray  # (time,) s
    shape: tuple[int, int]
    pixel: float  # m
    fields: Sequence[str]
    scalars: Mapping[str, np.ndarray]  # (case,) each

    def read(self, case: int, fields: Sequence[str] | None = None, frames: Any = ...) -> np.ndarray:
        """Return frames of a case, float32 (time, field, y, x) in SI units."""


class Model(Protocol):
    """The part of the interface of a surrogate that a rollout needs."""

    config: Any
    encode: Callable[..., Any]
    advance: Callable[..., Any]
    decode: Callable[..., torch.Tensor]


@dataclass(frozen=True)
class Forecast:
    """A movie, or hot-spot curves, or both; frame 0 included, SI units.

    Attributes
    ----------
    movie : array (time, field, y, x) or None
        Forecast fields.
    curves : HotspotCurves or None
        Arrays (time,).
    burned : array (time,) or None
        Burned fraction, where the forecaster gives one directly.
    mean, std : array (time, field, y, x) or None
        Mean and standard deviation of an ensemble.
    members : int
        Number of members of the ensemble.
    latents : array (time, channel, y, x) or None
        Latent means, unscaled.
    """

    movie: np.ndarray | None = None
    curves: HotspotCurves | None = None
    burned: np.ndarray | None = None
    mean: np.ndarray | None = None
    std: np.ndarray | None = None
    members: int = 0
    latents: np.ndarray | None = None


Forecaster = Callable[[int], Forecast]


def frame_interval(data: Reader) -> float:
    """Return the time between two frames [s].

    Raises
    ------
    ValueError
        Fewer than two frames, or frames that are not evenly spaced.
    """
    steps = np.diff(np.asarray(data.times, np.float64))
    if not len(steps) or np.ptp(steps) > TOLERANCE * steps.mean():
        raise ValueError(
            f"rates need at least two evenly spaced frames, got times {list(data.times)[:5]} s ..."
        )
    return float(steps.mean())


def rollout(
    model: Model,
    data: Reader,
    *,
    members: int = 0,
    seed: int = 0,
    precision: str = "fp32",
    frames: int | None = None,
    sample: bool = False,
    keep_latents: bool = False,
    restart: int | None = None,
    report: Callable[[int], None] = lambda frame: None,
) -> Forecaster:
    """Make forecasts by a model, from frame 0 of a case.

    Parameters
    ----------
    model : Model
        The surrogate.
    data : Reader
        Trajectories in SI units.
    members : int
        Members of an ensemble, 0 or at least 2: samples of each latent, in addition to the movie.
    seed : int
        Seed of the samples; case numbers are added to it.
    precision : {"fp32", "bf16", "bf16-decode"}
        Used by autocast.
    frames : int, optional
        Number of frames, frame 0 included; by default that of the data.
    sample : bool
        Whether the movie shows a sample of each latent instead of its mean.
    keep_latents : bool
        Whether the forecast includes the latent means.
    restart : int, optional
        Restart from the true frame after so many steps; 0 only encodes and decodes each true frame.
    report : callable
        Called with the number of each finished frame.

    Returns
    -------
    Forecaster

    Raises
    ------
    ValueError
        Fields or a load that the data do not have, or samples of a model that cannot sample.
    """
    names = tuple(model.config.fields)
    if missing := [name for name in names if name not in data.fields]:
        raise ValueError(f"the data lack the field '{missing[0]}' that the model needs")
    if members == 1 or members < 0:
        raise ValueError(f"an ensemble needs at least 2 members, got {members}")
    if (members or sample) and not model.config.evolve_logvar:
        raise ValueError("this model evolves no log-variances, so it has no ensemble and no samples")
    device = next(model.parameters()).device

    def autocast(on: bool) -> Any:
        return torch.autocast(device.type, dtype=torch.bfloat16) if on else nullcontext()

    def decode(latent: Any, generator: torch.Generator | None = None) -> np.ndarray:
        with autocast(precision != "fp32"):
            scaled = model.decode(latent, generator=generator)[0].float().cpu().numpy()  # (field, y, x)
        return np.stack([field_table.get(n).unscale(v) for n, v in zip(names, scaled, strict=True)])

    @torch.inference_mode()
    def forecast(case: int) -> Forecast:
        first = data.read(case, names, slice(0, 1))[0]  # (field, y, x)
        load = _load(model, data, case, device)
        generator = torch.Generator(device).manual_seed(seed + case)
        movie, means, stds = [first], [first], [np.zeros_like(first)]
        was_training = model.training
        model.eval()
        latents = []
        with autocast(precision == "bf16"):
            steps = _latents(model, data, case, load, frames or len(data.times), restart)
            for frame, latent in enumerate(steps):
                if keep_latents:
                    latents.append(latent)
                if not frame:
                    continue
                movie.append(decode(latent, generator if sample else None))
                if members:
                    moments = EnsembleMoments()
                    for _ in range(members):
                        moments.add(decode(latent, generator))
                    means.append(moments.mean.astype(np.float32))
                    stds.append(moments.std.astype(np.float32))
                report(frame)
        model.train(was_training)
        return Forecast(
            movie=np.stack(movie),
            mean=np.stack(means) if members else None,
            std=np.stack(stds) if members else None,
            members=members,
            latents=np.stack([z.mean[0].float().cpu().numpy() for z in latents]) if keep_latents else None,
        )

    return forecast


def _latents(
    model: Model, data: Reader, case: int, load: torch.Tensor | None, frames: int, restart: int | None
) -> Iterator[Any]:
    """Latents of frames 0, 1, ...: a rollout from frame 0, restarted from the truth every `restart` steps."""
    device = next(model.parameters()).device
    names = tuple(model.config.fields)

    def encoded(frame: int) -> Any:
        truth = data.read(case, names, slice(frame, frame + 1))[0]  # (field, y, x)
        scaled = np.stack([field_table.get(n).scale(v) for n, v in zip(names, truth, strict=True)])
        return model.encode(torch.from_numpy(scaled)[None].to(device))

    latent = encoded(0)
    yield latent
    for frame in range(1, frames):
        if restart == 0:
            yield encoded(frame)
            continue
        if restart and frame > 1 and (frame - 1) % restart == 0:
            latent = encoded(frame - 1)
        latent = model.advance(latent, load)
        yield latent


def read_rollout(
    model: Model, head: ReadoutHead, data: Reader, *, precision: str = "fp32", restart: int | None = None
) -> Forecaster:
    """Make forecasts of curves only, read by a readout head from the rollout of a model.

    A frame has a hot-spot temperature if at least the share `SEEN` of it is hot.

    Parameters
    ----------
    model : Model
        The surrogate.
    head : ReadoutHead
        Reads the latents.
    data : Reader
        Trajectories in SI units.
    precision, restart
        As in `rollout`.

    Returns
    -------
    Forecaster

    Raises
    ------
    ValueError
        A load that the data do not have.
    """
    device = next(model.parameters()).device
    names = list(QUANTITIES)
    interval, frame = frame_interval(data), data.shape[0] * data.shape[1] * data.pixel**2

    @torch.inference_mode()
    def forecast(case: int) -> Forecast:
        load = _load(model, data, case, device)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16"):
            steps = _latents(model, data, case, load, len(data.times), restart)
            means = [latent.mean for latent in steps]
        loads = load.expand(len(means)) if head.config.load_input else None
        read = head(torch.cat(means).float(), loads).double().cpu().numpy()  # (time, 6)
        area, hot, burned = (
            read[:, names.index(n)]
            for n in ("hotspot_area_fraction", "hotspot_temperature", "burned_fraction")
        )
        seen = area >= SEEN
        return Forecast(
            curves=curves_from(frame * area, np.where(seen, hot, 0.0), seen, interval), burned=burned
        )

    return forecast


def truth_curves(data: Reader, case: int) -> tuple[HotspotCurves, np.ndarray]:
    """Return the true hot-spot curves and the true burned fraction of a case.

    Parameters
    ----------
    data : Reader
        Trajectories in SI units.
    case : int
        Case number.

    Returns
    -------
    curves : HotspotCurves
        Arrays (time,).
    burned : array (time,)
        Burned share of the mass; without density the mean reaction progress; without reaction progress the
        hot share of the frame.
    """
    weights = [name for name in ("reaction_progress", "density") if name in data.fields]
    movie = data.read(case, ["temperature", *weights])
    curves = hotspot_curves(movie[:, 0], data.pixel, frame_interval(data))
    if "reaction_progress" not in weights:
        return curves, hot_fraction(movie[:, 0])
    return curves, burned_fraction(movie[:, 1], movie[:, 2] if "density" in weights else None)


def _load(model: Model, data: Reader, case: int, device: torch.device) -> torch.Tensor | None:
    """Scaled load of a case (1,), or None if the model takes none."""
    if not model.config.load_conditioning:
        return None
    speed = data.scalars["piston_speed"][case] if "piston_speed" in data.scalars else np.nan
    if not np.isfinite(speed):
        raise ValueError(f"the model needs the piston speed of case {case}, which the data do not give")
    return torch.tensor([model.config.scale_load(speed)], dtype=torch.float32, device=device)
