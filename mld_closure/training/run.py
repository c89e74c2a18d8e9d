"""A whole training run: all stages in one folder, continued at any step, with a bundle at the end.

OUT/run.json            configuration, data, split, versions
OUT/checkpoints/        one file per stage
OUT/cache/              scaled frames and latents
OUT/history.{json,csv}  losses and validations of all stages
OUT/bundle/             once every stage is finished
OUT/parc.safetensors    the PARCv2 baseline, if a stage trained it
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
from .budget import Budget
from .loop import Plan, Progress, fit
from .movies import Movies, digest, file_identity, weights_hash
from .parallel import World
from .results import make_bundle, selected_validation, write_history
from .scoring import score_rollouts
from .settings import StageConfig, TrainConfig
from .stages import Networks, build, fit_scaling

StepReport = Callable[[StageConfig, Progress, dict[str, float], int, float | None], None]
REQUIRED = ("name", "kind", "phases", "losses")
LATENT_KINDS = ("decoupled", "coupled", "meso", "head")


@dataclass
class Summary:
    """Progress of a run.

    Attributes
    ----------
    finished, open : list of str
        Stages that are finished, and stages that are not.
    steps : dict of str to int
        Steps taken, by stage.
    seconds : dict of str to float
        Time used, by stage [s].
    validation : dict of str to dict
        Validation of the selected weights, by stage.
    bundle : Path or None
        The bundle, once every stage is finished.
    """

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


def changed_settings(stage: StageConfig) -> dict[str, Any]:
    """The settings of a stage that are not defaults, so that a new option leaves old checkpoints valid."""
    plain = to_dict(StageConfig(stage.name, stage.kind, stage.phases, stage.losses))
    return {k: v for k, v in to_dict(stage).items() if k in REQUIRED or v != plain.get(k)}


class Run:
    """One run in a folder; `train` may be called again until every stage is finished.

    Parameters
    ----------
    config : TrainConfig
        What to train.
    out : path
        Folder of the run.
    micro, meso : path, optional
        Trajectory files; at least one.
    device : Device, optional
        From `device.choose`; the CPU by default.
    world : World, optional
        From `parallel.connect`; one process by default.
    extras : callable, optional
        Returns further parts of the bundle, given the pixel size [m].

    Raises
    ------
    ConfigError
        No data, data that do not fit together, or a folder that holds a run of another configuration or other
        data.
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
            raise ConfigError("no data to train on; give --micro FILE, --meso FILE or both")
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
        """Run the named stages in order; finished ones are only loaded.

        Parameters
        ----------
        stages : sequence of str
            Names of the stages to run; all by default.
        budget : float, optional
            Time of all stages together, earlier calls included [s]. None takes that of the configuration, 0
            means no limit.
        stop : callable
            Called after every step; if it returns True, the run stops after writing a checkpoint.
        report : callable
            Called after every step with the stage, its progress, its losses, its number of steps and its time
            limit [s] (None without a budget).
        finished : callable
            Called with the history after every stage.

        Returns
        -------
        Summary

        Raises
        ------
        ConfigError
            A stage starts from an earlier one that is not finished.
        """
        wanted = {stage.name for stage in self.config.select(tuple(stages))}
        budget = 60.0 * self.config.budget if budget is None else budget
        time_budget = Budget(budget, self.config.expanded(), self.out / "checkpoints", wanted)
        networks, summary, history = self._networks(), Summary(), {}
        for stage in self.config.expanded():
            path = self._checkpoint(stage)
            done = time_budget.finished.get(stage.name, False)
            if stage.name not in wanted and not done:
                summary.open.append(stage.name)
                continue
            if summary.open and not done:
                raise ConfigError(
                    f"stage '{stage.name}' starts from stage '{summary.open[0]}', which is not finished in "
                    f"{self.out}; run that first"
                )
            task, identity = self._prepare(stage, networks)
            limit = None if done else self.world.share(time_budget.limit(stage))
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
            time_budget.close(stage)
            summary.steps[stage.name] = progress.step
            summary.seconds[stage.name] = progress.seconds
            summary.validation[stage.name] = selected_validation(history[stage.name], stage.select != "last")
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
        """The untrained networks."""
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
        """The task of a stage, and the identity (networks, data, settings) that its checkpoint must have."""
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
                "stage": changed_settings(stage),
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
        """The files that a kind of stage reads: the PARCv2 baseline only the meso file if there is one."""
        return ["meso"] if kind == "parc" and "meso" in self.files else list(self.files)

    def _movies(self, role: str, fields: Sequence[str]) -> Movies:
        """The movies of one file with these fields, made once."""
        name = role if tuple(fields) == self.config.model_config().fields else f"parc-{role}"
        if name not in self.movies:
            self.movies[name] = Movies(
                name, self.files[role], fields, self.splits[role], self.out / "cache", self.world
            )
        return self.movies[name]

    def _plan(self, stage: StageConfig) -> Plan:
        """The plan of the loop for a stage."""
        names = ("batch", "lr", "lr_end", "warmup", "betas", "clip", "ema", "bf16", "validations")
        return Plan(
            **{name: getattr(stage, name) for name in names},
            select=stage.select != "last",
            checkpoint_every=self.config.checkpoint_every,
            record_every=self.config.record_every,
            seed=crc32(stage.name.encode()) ^ self.config.seed,
        )

    def _rollout(self, stage: StageConfig) -> Callable[[Any, Movies], dict[str, float]] | None:
        """The function that scores rollouts where a stage selects its weights by them."""
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
        """Checkpoint file of a stage."""
        return self.out / "checkpoints" / f"{stage.name}.pt"

    def _check_steps(self) -> None:
        """Raise ConfigError for a ratio of frame intervals other than `meso_micro_ratio`, or other pixels."""
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
        """Write `run.json`, or refuse a folder that was begun with another configuration or data."""
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
        """Write bundle and PARCv2 baseline if there are stages for them; returns the path of the bundle."""
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
