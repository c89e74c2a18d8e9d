"""Stages: from a `StageConfig` to what the loop trains, the samples it uses, and its validation.

The order of the reference (arXiv:2506.12996) is: VAEs, decoupled micro, coupled micro, coupled meso. The meso
model starts as a copy of the micro model when the first meso stage is built; both share the VAEs.
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
from ..fields import QUANTITIES, get
from ..models.dynamics import LatentDynamics, MesoDynamics, MicroDynamics
from ..models.parc import Parc
from ..models.readout_head import HeadConfig, ReadoutHead, pool_maps
from .curriculum import Curriculum, Phase
from .movies import Movies
from .objectives import DynamicsObjective, HeadObjective, ParcObjective, VAEObjective
from .samples import FrameSamples, HeadSamples, StateSamples, WindowSamples
from .settings import DECODED, READ, StageConfig, TrainConfig

BURN_RATE = "burn rate (1/s)"  # name of its error in the validation of a head
BURNED = list(QUANTITIES).index("burned_fraction")
FIT_PIXELS = 200_000  # latent pixels per file to which the scaling of latents is fitted

Samples = FrameSamples | WindowSamples | StateSamples | HeadSamples
Score = Callable[[nn.Module, Movies], dict[str, float]]


@dataclass
class Networks:
    """The networks of a run; `meso` and `head` are made when the first stage needs them."""

    micro: MicroDynamics
    meso: MesoDynamics | None = None
    head: ReadoutHead | None = None
    parc: Parc | None = None

    def meso_from_micro(self) -> MesoDynamics:
        """Return the meso model; made from the current weights of the micro model if there is none yet."""
        if self.meso is None:
            self.meso = MesoDynamics.from_micro(self.micro, shared=("vaes",))
        return self.meso

    def make_head(self, width: int) -> ReadoutHead:
        """Return the readout head; made with the models' scaling of latents if there is none yet."""
        if self.head is None:
            config = self.micro.config
            self.head = ReadoutHead(
                HeadConfig(config.latent_size, width, load_input=config.load_conditioning)
            ).to(next(self.micro.parameters()).device)
            self.head.shift.copy_(self.micro.scaling.mean_shift)
            self.head.scale.copy_(self.micro.scaling.mean_scale)
        return self.head


@dataclass
class StageTask:
    """A stage as the loop sees it (`loop.Task`)."""

    objective: nn.Module
    weights: Mapping[str, float]
    curriculum: Curriculum
    samples: Samples
    validation: Callable[[], dict[str, float]]

    def batch(self, phase: Phase, step: int, samples: range) -> dict[str, Any]:
        """Return the batch of these sample numbers."""
        return self.samples(phase, step, samples)

    def validate(self) -> dict[str, float]:
        """Return named numbers on the validation cases."""
        return self.validation()


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
    """Prepare a stage: data, frozen and learning parts, losses and validation.

    Parameters
    ----------
    stage : StageConfig
        The stage.
    config : TrainConfig
        The run.
    networks : Networks
        Changed in place: parts are frozen or unfrozen, missing networks are made.
    micro, meso : Movies or None
        Data by scale.
    seed : int
        Seed of the samples.
    processes : int
        Number of processes that train together.
    rollout : callable, optional
        Scores rollouts of a model on the validation cases of a file; its result must have `score`.

    Returns
    -------
    StageTask

    Raises
    ------
    ConfigError
        The stage needs data, fields or validation cases that do not exist.
    """
    kinds = [name for name, weight in stage.losses.items() if weight]
    if stage.kind == "vae":
        sources = [m for m in (micro, meso) if m is not None]
        objective, samples, validation = _vae(stage, networks, sources, kinds, seed, config)
        source = sources[-1]
    elif stage.kind == "head":
        sources = [m for m in (micro, meso) if m is not None]
        objective, samples, validation = _head(stage, networks, sources, seed, config)
        source = sources[-1]
    else:
        source = _needed(stage, {"meso": meso, "parc": meso or micro}.get(stage.kind, micro))
        if stage.kind == "parc":
            objective = ParcObjective(networks.parc)
            networks.parc.requires_grad_(True)
            samples = StateSamples(source, stage, seed)
        else:
            objective, samples = _dynamics(stage, networks, source, kinds, seed, config)
        validation = _Validation(stage, config, objective, samples, source, rollout)
    if stage.select != "last" and not source.split.validation:
        raise ConfigError(f"stage '{stage.name}' selects by {stage.select}; it needs validation cases")
    curriculum = Curriculum(stage.phases, samples.epoch, stage.batch * processes)
    return StageTask(objective, stage.losses, curriculum, samples, validation)


def fit_scaling(model: LatentDynamics, sources: Sequence[Movies]) -> None:
    """Fit the standardisation of latents to the training cases of all files, at most `FIT_PIXELS` of each.

    Why: meso frames are hotter than micro frames, so a fit to one scale alone would not suit the other.
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
    """The movies of a stage; ConfigError if they are missing."""
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
    """Objective, samples and validation of a VAE stage."""
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

    def validation() -> dict[str, float]:
        """RMSE of whole validation frames of the last file, decoded from means, in the field's unit."""
        squares = []
        for case, time in _spread(Windows(movies.split.validation, movies.n_frames, 0), config):
            frame = movies.frames[case, time, movies.channel(stage.field)]
            x = torch.from_numpy(np.array(frame))[None, None].to(next(vae.parameters()).device)
            squares.append(float((vae(x).reconstruction - x).square().mean()))
        field = get(stage.field)
        error = (field.high - field.low) * float(np.sqrt(np.mean(squares)))
        return {f"rmse ({field.units})": error} | ({} if stage.select == "last" else {"score": error})

    return objective, samples, validation if movies.split.validation else dict


def _dynamics(
    stage: StageConfig,
    networks: Networks,
    movies: Movies,
    kinds: Sequence[str],
    seed: int,
    config: TrainConfig,
) -> tuple[DynamicsObjective, WindowSamples]:
    """Objective and samples of a stage that trains evolution networks."""
    model = networks.meso_from_micro() if stage.kind == "meso" else networks.micro
    learning = [kind for kind in ("mean", "logvar") if kind in kinds]
    if {*DECODED, *READ} & set(kinds):
        learning += ["mean", *(["logvar"] if stage.sample else [])]
    if "logvar" in learning and not model.config.evolve_logvar:
        raise ConfigError(
            f"stage '{stage.name}': this model evolves no log-variances; "
            "leave out the loss 'logvar' and sample = true, or set evolve_logvar"
        )
    if ({"hot", "area"} & set(kinds) or stage.latent_hot_weight) and "temperature" not in model.config.fields:
        raise ConfigError(f"stage '{stage.name}': losses on hot places need the field temperature")
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
        head=networks.make_head(config.head_width).requires_grad_(True) if set(READ) & set(kinds) else None,
        truncate=stage.truncate,
    )
    load = None
    if model.config.load_conditioning:
        _need_load(stage, movies)
        load = model.config.scale_load(movies.load)
    return objective, WindowSamples(movies, stage, fields=fields, load=load, seed=seed)


def _head(
    stage: StageConfig, networks: Networks, sources: Sequence[Movies], seed: int, config: TrainConfig
) -> tuple[HeadObjective, HeadSamples, Callable[[], dict[str, float]]]:
    """Objective, samples and validation of a stage that trains the readout head."""
    if not sources:
        raise ConfigError(f"stage '{stage.name}' needs movies; give --micro FILE or --meso FILE")
    for movies in sources:
        if networks.micro.config.load_conditioning:
            _need_load(stage, movies)
        if stage.rollouts:
            model = networks.meso_from_micro() if movies.role == "meso" else networks.micro
            movies.roll(model.requires_grad_(False), bf16=config.encode_bf16)
    head = networks.make_head(config.head_width).requires_grad_(True)
    scale_load = networks.micro.config.scale_load if head.config.load_input else None
    samples = HeadSamples(sources, stage, scale_load, seed)
    movies = sources[-1]

    @torch.inference_mode()
    def validation() -> dict[str, float]:
        """Errors on the validation movies of the last file, on rollouts if the stage has them."""
        means = movies.rolled if stage.rollouts else movies.mean
        device = next(head.parameters()).device
        squares, final = [], []
        for case in movies.split.validation:
            load = None
            if scale_load is not None:
                load = torch.full((movies.n_frames,), float(scale_load(movies.load[case])), device=device)
            read = (
                head(torch.from_numpy(np.array(means[0, case])).to(device), load).cpu().numpy()
            )  # (time, 6)
            truth = pool_maps(torch.from_numpy(np.array(movies.maps[case]))).numpy()
            squares.append(np.square(read - truth).mean(axis=0))
            squares[-1] = np.append(squares[-1], np.square(np.diff((read - truth)[:, BURNED])).mean())
            final.append(truth[-1])
        errors = np.sqrt(np.mean(squares, axis=0))
        floor = [size for _, size in QUANTITIES.values()]
        whole = np.maximum(np.abs(np.mean(final, axis=0)), floor)
        shares = {n: float(errors[i] / whole[i]) for i, n in enumerate(QUANTITIES)}
        known = [shares[n] for n in ("hotspot_area_fraction", "burned_fraction") if np.isfinite(shares[n])]
        interval = float(movies.trajectories.times[1] - movies.trajectories.times[0])
        found = {f"{n} / final": v for n, v in shares.items()} | {BURN_RATE: float(errors[-1] / interval)}
        return {n: v for n, v in found.items() if np.isfinite(v)} | {"score": float(np.mean(known))}

    return HeadObjective(head), samples, validation if movies.split.validation else dict


def _need_load(stage: StageConfig, movies: Movies) -> None:
    """Raise ConfigError for movies without piston speeds."""
    if movies.load is None:
        raise ConfigError(f"stage '{stage.name}' needs piston speeds; {movies.role} data holds none")


def _decoupled_step(model: LatentDynamics, latent: Any, load: Any) -> Any:
    """One step of the decoupled networks, with the arguments of `advance`."""
    return model.decoupled_step(latent)


def _spread(windows: Windows, config: TrainConfig) -> list[tuple[int, int]]:
    """At most `validation_windows` windows, evenly spread over cases and times."""
    places = np.linspace(0, len(windows) - 1, min(len(windows), config.validation_windows))
    return [windows[int(i)] for i in places]


class _Validation:
    """Validation: losses on windows of whole frames, and rollouts where the stage selects by them."""

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
