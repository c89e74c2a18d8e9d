"""A whole training run: stage after stage into one folder, resumable at any step, a bundle at the end.

OUT/run.json            configuration, data, split, versions
OUT/checkpoints/        one file a stage
OUT/cache/              scaled frames and latents
OUT/history.{json,csv}  losses and validations of all stages
OUT/bundle/             once every stage is finished
OUT/parc.safetensors    the rival, where a stage trained it
"""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from zlib import crc32

import torch

from .. import __version__
from ..config import ConfigError, to_dict
from ..data.trajectories import Trajectories
from ..data.windows import Split, split_cases
from ..device import Device
from ..models.bundle import Extra
from ..models.dynamics import MicroDynamics
from ..models.parc import Parc
from ..models.parc_file import save_parc
from . import checkpoints
from .clock import Clock
from .loop import Plan, Progress, fit
from .movies import Movies, digest, file_identity, weights_hash
from .parallel import World
from .results import judgement, make_bundle, write_history
from .scoring import score_rollouts
from .settings import StageConfig, TrainConfig
from .stages import Networks, build, fit_scaling

StepReport = Callable[[StageConfig, Progress, dict[str, float], int, float | None], None]
REQUIRED = ("name", "kind", "phases", "losses")
LATENT_KINDS = ("decoupled", "coupled", "meso", "head")


@dataclass
class Summary:
    """How far a run has come: seconds by stage, what is finished, and the bundle once there is one."""

    finished: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    steps: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    validation: dict[str, dict[str, float]] = field(default_factory=dict)
    bundle: Path | None = None

    def __repr__(self) -> str:
        lines = [f"Training: {len(self.finished)} stages finished, {len(self.open)} open"]
        for name, steps in self.steps.items():
            scores = ", ".join(f"{k} {v:.3g}" for k, v in self.validation.get(name, {}).items())
            lines.append(f"  {name}: {steps} steps, {self.seconds[name]:.0f} s; {scores or 'not validated'}")
        lines += [f"  {name}: not begun" for name in self.open if name not in self.steps]
        return "\n".join([*lines, f"  bundle: {self.bundle or 'none yet'}"])


def said(stage: StageConfig) -> dict[str, Any]:
    """What a stage says beyond defaults, so that a new option leaves old checkpoints valid."""
    plain = to_dict(StageConfig(stage.name, stage.kind, stage.phases, stage.losses))
    return {k: v for k, v in to_dict(stage).items() if k in REQUIRED or v != plain.get(k)}


class Run:
    """One run in the folder `out`; `train` may be called again and again until everything is finished.

    device: from `device.choose`; world: from `parallel.connect`; extras: what else the bundle should carry,
    given the pixel size (m). Raises ConfigError where the folder holds a
    run of another configuration or of other data.
    """

    def __init__(
        self,
        config: TrainConfig,
        out: str | Path,
        micro: str | Path | None = None,
        meso: str | Path | None = None,
        *,
        device: Device | None = None,
        world: World | None = None,
        extras: Callable[[float], dict[str, Extra]] | None = None,
    ) -> None:
        if micro is None and meso is None:
            raise ConfigError("nothing to train on; give --micro FILE, --meso FILE or both")
        self.config: TrainConfig = config
        self.out: Path = Path(out)
        self.extras: Callable[[float], dict[str, Extra]] | None = extras
        self.device: Device = device or Device("cpu", "fp32", 1)
        self.world: World = world or World()
        self.files: dict[str, Trajectories] = {
            role: Trajectories(p) for role, p in (("micro", micro), ("meso", meso)) if p is not None
        }
        aside = {"micro": config.micro_validation, "meso": config.meso_validation}
        self.splits: dict[str, Split] = {
            role: split_cases(file.n_cases, min(aside[role], file.n_cases - 1), config.seed)
            for role, file in self.files.items()
        }
        self._check_steps()
        self.movies: dict[str, Movies] = {}
        self._claim()

    def train(
        self,
        stages: Sequence[str] = (),
        *,
        budget: float | None = None,
        stop: Callable[[], bool] = lambda: False,
        report: StepReport = lambda stage, progress, losses, total, left: None,
        finished: Callable[[dict[str, list[dict[str, Any]]]], None] = lambda history: None,
    ) -> Summary:
        """Run the named stages (all by default) in order; finished ones are only loaded.

        budget: seconds for all stages together, earlier sittings included; None takes the configuration's,
        0 none. stop: asked after every step. report: called after every step with the stage, where it
        stands, its losses, its total steps and the seconds left to it (None without a budget). finished:
        called with the history after every stage.

        Raises ConfigError where a stage needs one before it that is not finished.
        """
        wanted = {stage.name for stage in self.config.select(tuple(stages))}
        budget = 60.0 * self.config.budget if budget is None else budget
        clock = Clock(budget, self.config.expanded(), self.out / "checkpoints", wanted)
        networks, summary, history = self._networks(), Summary(), {}
        for stage in self.config.expanded():
            path = self._checkpoint(stage)
            done = clock.finished.get(stage.name, False)
            if stage.name not in wanted and not done:
                summary.open.append(stage.name)
                continue
            if summary.open and not done:
                raise ConfigError(
                    f"stage '{stage.name}' starts from stage '{summary.open[0]}', which is not finished in "
                    f"{self.out}; run that first"
                )
            task, identity = self._prepare(stage, networks)
            limit = None if done else self.world.share(clock.limit(stage))
            total = task.curriculum.total
            progress, history[stage.name] = fit(
                task,
                self._plan(stage),
                path,
                world=self.world,
                budget=limit,
                stop=stop,
                identity=identity,
                report=lambda p, losses, s=stage, n=total, m=limit: report(s, p, losses, n, m),
            )
            clock.passed(stage, progress)
            summary.steps[stage.name] = progress.step
            summary.seconds[stage.name] = progress.seconds
            summary.validation[stage.name] = judgement(history[stage.name], stage.select != "last")
            (summary.finished if progress.finished else summary.open).append(stage.name)
            if self.world.rank == 0:
                write_history(self.out, history)
                finished(history)
            if not progress.finished:
                break
        done = set(summary.finished)
        summary.open = [s.name for s in self.config.expanded() if s.name not in done]
        if not summary.open and self.world.rank == 0:
            summary.bundle = self._write_models(networks, summary)
        self.world.wait()
        return summary

    def _networks(self) -> Networks:
        torch.manual_seed(self.config.seed)
        model = self.config.model_config()
        networks = Networks(MicroDynamics(model).to(self.device.torch))
        if any(stage.kind == "parc" for stage in self.config.stages):
            file = self.files[self._roles_of("parc")[0]]
            interval = float(file.times[1] - file.times[0])
            parc = replace(self.config.parc, pixel=file.pixel, interval=interval)
            networks.parc = Parc(parc).to(self.device.torch)
        return networks

    def _prepare(self, stage: StageConfig, networks: Networks) -> tuple[Any, str]:
        """The stage's task, and what its checkpoint must have been made from."""
        model = networks.micro
        fields = self.config.parc.fields if stage.kind == "parc" else model.config.fields
        movies = {role: self._movies(role, fields) for role in self._roles_of(stage.kind)}
        if stage.kind in LATENT_KINDS:
            mirror = any(s.mirror for s in self.config.stages if s.kind in LATENT_KINDS)
            for one in movies.values():
                one.encode(model, mirror=mirror, bf16=self.config.encode_bf16)
            if model.config.standardize and networks.meso is None:
                fit_scaling(model, list(movies.values()))
        identity = digest(
            {
                "stage": said(stage),
                "data": {role: one.identity for role, one in movies.items()},
                "splits": {role: [s.train, s.validation] for role, s in self.splits.items()},
                "seed": self.config.seed,
                "processes": self.world.size,
                "micro": weights_hash(model),
                "meso": weights_hash(networks.meso) if networks.meso is not None else "",
                "head": weights_hash(networks.head) if networks.head is not None else "",
            }
        )
        task = build(
            stage,
            self.config,
            networks,
            movies.get("micro"),
            movies.get("meso"),
            seed=crc32(stage.name.encode()) ^ self.config.seed,
            processes=self.world.size,
            rollout=self._rollout(stage),
        )
        return task, identity

    def _roles_of(self, kind: str) -> list[str]:
        """The files a kind of stage reads: the rival the meso movies if there are any, others all."""
        return ["meso"] if kind == "parc" and "meso" in self.files else list(self.files)

    def _movies(self, role: str, fields: Sequence[str]) -> Movies:
        name = role if tuple(fields) == self.config.model_config().fields else f"parc-{role}"
        if name not in self.movies:
            self.movies[name] = Movies(
                name, self.files[role], fields, self.splits[role], self.out / "cache", self.world
            )
        return self.movies[name]

    def _plan(self, stage: StageConfig) -> Plan:
        names = ("batch", "lr", "lr_end", "warmup", "betas", "clip", "ema", "bf16", "validations")
        return Plan(
            **{name: getattr(stage, name) for name in names},
            select=stage.select != "last",
            checkpoint_every=self.config.checkpoint_every,
            record_every=self.config.record_every,
            seed=crc32(stage.name.encode()) ^ self.config.seed,
        )

    def _rollout(self, stage: StageConfig) -> Callable[[Any, Movies], dict[str, float]] | None:
        if stage.select != "rollout":
            return None
        precision = "bf16-decode" if stage.bf16 else "fp32"

        def score(model: Any, movies: Movies) -> dict[str, float]:
            scores = score_rollouts(model, movies.trajectories, movies.split.validation, precision=precision)
            return {
                "score": scores.selection,
                "temperature RMSE (K)": scores.fields["temperature"],
                "hot area RMSE / final area": scores.hotspots["area"] / (scores.truth["area"] or 1.0),
                "final hot area bias / final area": scores.final_area_bias / (scores.truth["area"] or 1.0),
            }

        return score

    def _checkpoint(self, stage: StageConfig) -> Path:
        return self.out / "checkpoints" / f"{stage.name}.pt"

    def _check_steps(self) -> None:
        """A meso frame must be `meso_micro_ratio` micro frames long, and the pixels the same."""
        if len(self.files) < 2:
            return
        micro, meso = self.files["micro"], self.files["meso"]
        ratio = self.config.model_config().meso_micro_ratio
        steps = [float(f.times[1] - f.times[0]) for f in (micro, meso)]
        if abs(steps[1] - ratio * steps[0]) > 0.01 * steps[1]:
            raise ConfigError(
                f"meso frames are {steps[1]:.4g} s apart and micro frames {steps[0]:.4g} s; "
                f"meso_micro_ratio = {ratio} asks for {ratio * steps[0]:.4g} s"
            )
        if abs(micro.pixel - meso.pixel) > 1e-6 * meso.pixel:
            raise ConfigError(f"pixels differ: micro {micro.pixel} m, meso {meso.pixel} m")

    def _claim(self) -> None:
        """Write `run.json`, or refuse a folder that was begun with something else."""
        facts = {
            "config": to_dict(self.config),
            "data": {role: file_identity(file.path) for role, file in self.files.items()},
            "split": {
                role: {"train": list(s.train), "validation": list(s.validation)}
                for role, s in self.splits.items()
            },
        }
        facts = json.loads(json.dumps(facts))
        path = self.out / "run.json"
        if path.exists():
            there = json.loads(path.read_text())
            for key in facts:
                if there.get(key) != facts[key]:
                    raise ConfigError(
                        f"{path}: this folder holds a run with another {key}; choose another --out"
                    )
        elif self.world.rank == 0:
            versions = {
                "mld_closure": __version__,
                "torch": torch.__version__,
                "python": platform.python_version(),
            }
            checkpoints.write_text(path, json.dumps({**facts, "versions": versions}, indent=1))
        self.world.wait()

    def _write_models(self, networks: Networks, summary: Summary) -> Path | None:
        """The bundle and the rival, as far as there are stages for them; returns the bundle's path."""
        if networks.parc is not None:
            save_parc(networks.parc, self.out / "parc.safetensors")
        if all(stage.kind == "parc" for stage in self.config.stages):
            return None
        facts = {
            "steps": summary.steps,
            "seconds": {name: round(seconds, 1) for name, seconds in summary.seconds.items()},
            "scores": summary.validation,
        }
        bundle = make_bundle(self.config, networks, self.files, self.splits, facts)
        if self.extras is not None:
            bundle.extras |= self.extras(bundle.pixel)
        bundle.save(self.out / "bundle", overwrite=True)
        return self.out / "bundle"
