"""Stages as data: from a `StageConfig` to what the loop trains, on what, and how it is judged.

Order of the reference (arXiv:2506.12996): VAEs, decoupled micro, coupled micro, coupled meso. The meso model
starts as a copy of the micro model the first time a meso stage is built; the VAEs are the same modules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from ..config import ConfigError
from ..data.windows import Windows
from ..fields import get
from ..models.dynamics import LatentDynamics, MesoDynamics, MicroDynamics
from ..models.parc import Parc
from .curriculum import Curriculum, Phase
from .movies import Movies
from .objectives import DynamicsObjective, ParcObjective, VAEObjective
from .samples import FrameSamples, StateSamples, WindowSamples
from .settings import StageConfig, TrainConfig

FIT_PIXELS = 200_000  # latent pixels of a file from which the scaling of latents is fitted

Samples = FrameSamples | WindowSamples | StateSamples
Score = Callable[[nn.Module, Movies], dict[str, float]]


@dataclass
class Networks:
    """What is being trained; `meso` appears with the first meso stage."""

    micro: MicroDynamics
    meso: MesoDynamics | None = None
    parc: Parc | None = None

    def meso_from_micro(self) -> MesoDynamics:
        """The meso model, made from the micro model's present weights where there is none yet."""
        if self.meso is None:
            self.meso = MesoDynamics.from_micro(self.micro, shared=("vaes",))
        return self.meso


@dataclass
class StageTask:
    """The loop's view of a stage (`loop.Task`)."""

    objective: nn.Module
    weights: Mapping[str, float]
    curriculum: Curriculum
    samples: Samples
    judge: Callable[[], dict[str, float]]

    def batch(self, phase: Phase, step: int, samples: range) -> dict[str, Any]:
        """The batch of these sample numbers."""
        return self.samples(phase, step, samples)

    def validate(self) -> dict[str, float]:
        """Numbers on the cases set aside."""
        return self.judge()


def build(
    stage: StageConfig,
    config: TrainConfig,
    networks: Networks,
    micro: Movies | None,
    meso: Movies | None,
    *,
    seed: int,
    processes: int = 1,
    rollout: Score | None = None,
) -> StageTask:
    """Make a stage ready: data, frozen and learning parts, losses, judgement.

    `rollout` scores whole rollouts of a model on a file's validation cases, giving at least `score`.
    Raises ConfigError where the stage needs data, fields or validation cases that are not there.
    """
    kinds = [name for name, weight in stage.losses.items() if weight]
    if stage.kind == "vae":
        sources = [m for m in (micro, meso) if m is not None]
        objective, samples, judge = _vae(stage, networks, sources, kinds, seed, config)
        judged = sources[-1]
    else:
        judged = _needed(stage, {"meso": meso, "parc": meso or micro}.get(stage.kind, micro))
        if stage.kind == "parc":
            objective = ParcObjective(networks.parc)
            networks.parc.requires_grad_(True)
            samples = StateSamples(judged, stage, seed)
        else:
            objective, samples = _dynamics(stage, networks, judged, kinds, seed)
        judge = _Judge(stage, config, objective, samples, judged, rollout)
    if stage.select != "last" and not judged.split.validation:
        raise ConfigError(f"stage '{stage.name}' selects by {stage.select}; set validation cases aside")
    curriculum = Curriculum(stage.phases, samples.epoch, stage.batch * processes)
    return StageTask(objective, stage.losses, curriculum, samples, judge)


def fit_scaling(model: LatentDynamics, sources: Sequence[Movies]) -> None:
    """Fit the standardisation of latents to the training cases of all files, `FIT_PIXELS` of each at most.

    Why: meso frames are hotter than micro ones, so either alone would leave the other badly scaled.
    """
    parts: dict[str, list[np.ndarray]] = {"mean": [], "logvar": []}
    for movies in sources:
        cases = list(movies.split.train)
        ny, nx = movies.mean.shape[-2:]
        pixels = np.linspace(0, len(cases) * movies.n_frames * ny * nx - 1, FIT_PIXELS).astype(int)
        which, time, y, x = np.unravel_index(np.unique(pixels), (len(cases), movies.n_frames, ny, nx))
        for name, kept in parts.items():
            kept.append(getattr(movies, name)[0, np.array(cases)[which], time, :, y, x])  # (pixel, channel)
    device = next(model.parameters()).device
    mean, logvar = (torch.from_numpy(np.concatenate(kept)).to(device) for kept in parts.values())
    model.scaling.fit(mean[:, :, None, None], logvar[:, :, None, None])


def _needed(stage: StageConfig, movies: Movies | None) -> Movies:
    if movies is None:
        scale = "micro" if stage.kind in ("decoupled", "coupled") else "meso"
        raise ConfigError(f"stage '{stage.name}' trains on {scale} movies; give --{scale} FILE")
    return movies


def _vae(
    stage: StageConfig,
    networks: Networks,
    sources: Sequence[Movies],
    kinds: Sequence[str],
    seed: int,
    config: TrainConfig,
) -> tuple[VAEObjective, FrameSamples, Callable[[], dict[str, float]]]:
    if not sources:
        raise ConfigError(f"stage '{stage.name}' needs movies; give --micro FILE or --meso FILE")
    model = networks.micro
    if stage.field not in model.vaes:
        raise ConfigError(f"stage '{stage.name}': no field '{stage.field}'; {', '.join(model.vaes)}")
    model.requires_grad_(False)
    vae = model.vaes[stage.field].requires_grad_(True)
    hot = stage.hot_weight if stage.field == "temperature" else 0.0
    objective = VAEObjective(vae, kinds, hot_weight=hot, l1=stage.l1)
    samples = FrameSamples(sources, stage, model.config.latent_channels, seed)
    movies = sources[-1]

    def judge() -> dict[str, float]:
        """Error of decoded means of whole frames of the last file, in the field's units."""
        squares = []
        for case, time in _spread(Windows(movies.split.validation, movies.n_frames, 0), config):
            frame = movies.frames[case, time, movies.channel(stage.field)]
            x = torch.from_numpy(np.array(frame))[None, None].to(next(vae.parameters()).device)
            squares.append(float((vae(x).reconstruction - x).square().mean()))
        field = get(stage.field)
        error = (field.high - field.low) * float(np.sqrt(np.mean(squares)))
        return {f"rmse ({field.units})": error} | ({} if stage.select == "last" else {"score": error})

    return objective, samples, judge if movies.split.validation else dict


def _dynamics(
    stage: StageConfig, networks: Networks, movies: Movies, kinds: Sequence[str], seed: int
) -> tuple[DynamicsObjective, WindowSamples]:
    model = networks.meso_from_micro() if stage.kind == "meso" else networks.micro
    learning = [kind for kind in ("mean", "logvar") if kind in kinds]
    if {"field", "hot"} & set(kinds):
        learning += ["mean", *(["logvar"] if stage.sample else [])]
    if "logvar" in learning and not model.config.evolve_logvar:
        raise ConfigError(
            f"stage '{stage.name}': this model evolves no log-variances; "
            "leave out the loss 'logvar' and sample = true, or set evolve_logvar"
        )
    if ("hot" in kinds or stage.latent_hot_weight) and "temperature" not in model.config.fields:
        raise ConfigError(f"stage '{stage.name}': emphasis on hot places needs the field temperature")
    groups = {"decoupled": ["decoupled"], "coupled": ["coupled"], "meso": ["coupled"]}[stage.kind]
    if stage.train == "all" and stage.kind != "decoupled":
        groups.append("decoupled")
    model.set_trainable(*{f"{group}_{kind}" for group in groups for kind in learning})
    fields = stage.decode_fields or (("temperature",) if kinds and "field" not in kinds else ())
    fields = tuple(fields) or model.config.fields
    objective = DynamicsObjective(
        model,
        LatentDynamics.advance if stage.kind != "decoupled" else _decoupled_step,
        kinds,
        fields=fields,
        hot_weight=stage.hot_weight,
        l1=stage.l1,
        latent_hot_weight=stage.latent_hot_weight,
    )
    load = None
    if model.config.load_conditioning:
        if movies.load is None:
            raise ConfigError(f"stage '{stage.name}' needs piston speeds; {movies.role} data holds none")
        load = model.config.scale_load(movies.load)
    return objective, WindowSamples(movies, stage, fields=fields, load=load, seed=seed)


def _decoupled_step(model: LatentDynamics, latent: Any, load: Any) -> Any:
    return model.decoupled_step(latent)


def _spread(windows: Windows, config: TrainConfig) -> list[tuple[int, int]]:
    """At most `validation_windows` windows, evenly over cases and times."""
    places = np.linspace(0, len(windows) - 1, min(len(windows), config.validation_windows))
    return [windows[int(i)] for i in places]


class _Judge:
    """Losses on windows of the cases set aside, whole frames; and whole rollouts where they select."""

    def __init__(
        self,
        stage: StageConfig,
        config: TrainConfig,
        objective: DynamicsObjective | ParcObjective,
        samples: WindowSamples | StateSamples,
        movies: Movies,
        rollout: Score | None,
    ) -> None:
        self.stage, self.config, self.objective, self.movies = stage, config, objective, movies
        self.samples, self.rollout = samples, rollout
        self.horizon = max(phase.horizon for phase in stage.phases)

    def __call__(self) -> dict[str, float]:
        if not self.movies.split.validation:
            return {}
        sums: dict[str, float] = {}
        places = _spread(
            Windows(self.movies.split.validation, self.movies.n_frames, self.horizon), self.config
        )
        device = next(self.objective.parameters()).device
        for number, (case, time) in enumerate(places):
            batch = self.samples.collect([(number, case, time)], self.horizon)
            batch = {k: v.to(device) if isinstance(v, torch.Tensor) else v for k, v in batch.items()}
            for name, value in self.objective(**batch).items():
                sums[name] = sums.get(name, 0.0) + float(value) / len(places)
        sums["loss"] = sum(self.stage.losses[name] * value for name, value in sums.items())
        if self.stage.select == "loss":
            sums["score"] = sums["loss"]
        if self.stage.select == "rollout" and self.rollout is not None:
            model = self.objective.parc if self.stage.kind == "parc" else self.objective.dynamics
            sums |= self.rollout(model, self.movies)
        return sums
