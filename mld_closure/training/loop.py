"""The training loop of every stage: step, validate, write checkpoints, continue after a stop.

Step n depends only on the weights and on (seed, n). A checkpoint holds everything that steps change: weights,
optimizer, averaged weights, best weights so far, history. So on a CPU a run that was interrupted and
continued equals the uninterrupted run bit for bit. With a time budget the progress depends on the time used
instead.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from . import checkpoints
from .curriculum import Curriculum, Phase, learning_rate
from .parallel import World


class Task(Protocol):
    """What a stage gives to the loop: networks with named losses, batches and validation."""

    objective: nn.Module  # forward(**batch) -> dict of scalar losses; parameters that require grad learn
    weights: Mapping[str, float]  # by name of the loss
    curriculum: Curriculum

    def batch(self, phase: Phase, step: int, samples: range) -> dict[str, Any]:
        """Return the arguments of the objective for these sample numbers."""

    def validate(self) -> dict[str, float]:
        """Return named numbers on the validation cases; the lowest `score`, if given, selects the weights."""


@dataclass(frozen=True)
class Plan:
    """How a stage is run.

    Attributes
    ----------
    batch : int
        Samples per step and process.
    lr, lr_end, warmup : float
        Arguments of `curriculum.learning_rate`.
    betas : (float, float)
        Of the Adam optimizer.
    clip : float
        Largest norm of the gradient; 0 for no limit.
    ema : float
        Decay of the averaged weights; 0 for no averaging.
    bf16 : bool
        Compute in bfloat16 by autocast.
    select : bool
        Keep the weights with the best validation score.
    validations : int
        Number of validations over the stage.
    checkpoint_every, record_every : int
        Steps from one checkpoint, or one entry of the history, to the next.
    seed : int
        Seed of samples and noise.
    """

    batch: int = 8
    lr: float = 1e-4
    lr_end: float = 0.0
    warmup: float = 0.0
    betas: tuple[float, float] = (0.5, 0.99)
    clip: float = 0.0
    ema: float = 0.0
    bf16: bool = False
    select: bool = False
    validations: int = 0
    checkpoint_every: int = 200
    record_every: int = 20
    seed: int = 0


@dataclass
class Progress:
    """Progress of a stage, reported after every step and kept in its checkpoint.

    Attributes
    ----------
    step : int
        Steps taken.
    seconds : float
        Time used, earlier calls included [s].
    fraction : float
        Progress, 0 to 1.
    finished : bool
        Whether the stage is over.
    """

    step: int = 0
    seconds: float = 0.0
    fraction: float = 0.0
    finished: bool = False


def fit(
    task: Task,
    plan: Plan,
    checkpoint: str | Path,
    *,
    world: World | None = None,
    budget: float | None = None,
    stop: Callable[[], bool] = lambda: False,
    identity: str = "",
    report: Callable[[Progress, dict[str, float]], None] = lambda progress, losses: None,
) -> tuple[Progress, list[dict[str, Any]]]:
    """Train `task.objective` in place, continuing from the checkpoint if there is one.

    Once the stage is finished, the objective holds the selected weights: the best validated ones
    (`plan.select`), otherwise the averaged ones (`plan.ema`), otherwise the last ones.

    Parameters
    ----------
    task : Task
        What to train.
    plan : Plan
        How to train.
    checkpoint : path
        Checkpoint file.
    world : World, optional
        The processes that train together.
    budget : float, optional
        Largest time of the stage, earlier calls included [s]. Phases and learning rate are shortened to fit.
    stop : callable
        Called after every step; if it returns True, a checkpoint is written and the call returns, with
        `finished` False.
    identity : str
        Identifies networks, data and settings; a checkpoint with another identity is refused.
    report : callable
        Called with progress and losses after every step.

    Returns
    -------
    progress : Progress
    history : list of dict
        Recorded losses and validations.

    Raises
    ------
    RuntimeError
        A loss is not finite.
    ValueError
        The checkpoint belongs to something else, or there is nothing to train.
    """
    world = world or World()
    run = _Run(task, plan, Path(checkpoint), world, budget, identity)
    run.restore()
    with torch.random.fork_rng(devices=[]):
        while not run.progress.finished:
            losses = run.step()
            report(run.progress, losses)
            if world.share(run.progress.finished or stop()) and not run.progress.finished:
                run.save()
                break
    return run.progress, run.history


class _Run:
    """State of one stage during training."""

    def __init__(
        self, task: Task, plan: Plan, path: Path, world: World, budget: float | None, identity: str
    ) -> None:
        self.task, self.plan, self.path, self.world, self.budget = task, plan, path, world, budget
        self.identity = identity
        self.learning = {n: p for n, p in task.objective.named_parameters() if p.requires_grad}
        if not self.learning:
            raise ValueError("nothing to train: every parameter of the stage is frozen")
        self.optimizer = torch.optim.Adam(self.learning.values(), lr=plan.lr, betas=plan.betas)
        self.average = {n: p.detach().clone() for n, p in self.learning.items()} if plan.ema else {}
        self.best: dict[str, Tensor] = {}
        self.best_score: float | None = None
        self.history: list[dict[str, Any]] = []
        self.progress = Progress()
        self.sums: dict[str, float] = {}
        self.summed = 0
        self.validation_cost = 0.0
        self.device = next(iter(self.learning.values())).device
        self.module = world.wrap(task.objective)
        task.objective.train()

    def step(self) -> dict[str, float]:
        """Take one step; then validate, record and write a checkpoint where due."""
        begun = time.perf_counter()
        progress, plan, total = self.progress, self.plan, self.task.curriculum.total
        before = progress.fraction
        phase = self.task.curriculum.phases[self.task.curriculum.at(before)]
        rate = learning_rate(before, plan.lr, plan.lr_end, plan.warmup)
        losses = self._descend(phase, rate)
        progress.step += 1
        progress.seconds += time.perf_counter() - begun
        fraction = progress.step / total
        if self.budget is not None:
            usable = max(self.budget - self.validation_cost, 1e-9)
            fraction = max(fraction, self.world.share(progress.seconds / usable))
        progress.fraction = min(1.0, fraction)
        last = progress.fraction >= 1.0
        due = plan.validations and int(progress.fraction * plan.validations + 1e-9) > int(
            before * plan.validations + 1e-9
        )
        if progress.step % plan.record_every == 0 or last or due:
            self._record(phase, rate)
        if due:
            begun = time.perf_counter()
            self._validate()
            self.validation_cost = time.perf_counter() - begun
            progress.seconds += self.validation_cost
        if last:
            self._finish()
        if last or progress.step % plan.checkpoint_every == 0:
            self.save()
        return losses

    def _descend(self, phase: Phase, rate: float) -> dict[str, float]:
        """Take one optimizer step; returns the values of the losses, and their weighted sum as `total`."""
        plan, step, world = self.plan, self.progress.step, self.world
        torch.manual_seed(hash((plan.seed, step, world.rank)) & 0x7FFFFFFF)
        first = (step * world.size + world.rank) * plan.batch
        batch = {
            name: value.to(self.device) if isinstance(value, Tensor) else value
            for name, value in self.task.batch(phase, step, range(first, first + plan.batch)).items()
        }
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=plan.bf16):
            losses = self.module(**batch)
        total = sum(self.task.weights[name] * value for name, value in losses.items())
        total.backward()
        named = {**losses, "total": total}
        if plan.clip:
            named["gradient norm"] = nn.utils.clip_grad_norm_(list(self.learning.values()), plan.clip)
        self.optimizer.step()
        numbers = torch.stack([value.detach().float() for value in named.values()]).tolist()
        values = dict(zip(named, numbers, strict=True))
        if not all(v == v and abs(v) != float("inf") for v in values.values()):
            raise RuntimeError(f"step {step}: losses {values} are not finite; lower the learning rate")
        if plan.ema:
            decay = min(plan.ema, (1.0 + step) / (10.0 + step))
            for name, parameter in self.learning.items():
                self.average[name].lerp_(parameter.detach(), 1.0 - decay)
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
        self.summed += 1
        return values

    def _record(self, phase: Phase, rate: float) -> None:
        """Append the mean losses since the last entry to the history."""
        means = {name: value / self.summed for name, value in self.sums.items()}
        self.history.append(
            {
                "step": self.progress.step,
                "seconds": self.progress.seconds,
                "horizon": phase.horizon,
                "lr": rate,
            }
            | means
        )
        self.sums, self.summed = {}, 0

    def _validate(self) -> None:
        """Validate the averaged weights, or the current ones without averaging, on rank 0 for all ranks."""
        if self.world.rank == 0:
            with _Swapped(self.learning, self.average), torch.no_grad():
                self.task.objective.eval()
                numbers = self.task.validate()
                self.task.objective.train()
                score = numbers.get("score")
                better = score is not None and (self.best_score is None or score < self.best_score)
                if self.plan.select and better:
                    self.best_score = score
                    self.best = {n: p.detach().clone() for n, p in self.learning.items()}
            self.history[-1].update({f"validation {name}": value for name, value in numbers.items()})
        self.world.wait()

    def _finish(self) -> None:
        """Copy the selected weights into the objective, the same on every rank."""
        chosen = self.best or self.average
        with torch.no_grad():
            for name, value in chosen.items():
                self.learning[name].copy_(value)
        self.world.share_tensors(p.data for p in self.learning.values())
        self.progress.finished = True

    def save(self) -> None:
        """Write the checkpoint, on rank 0."""
        if self.world.rank != 0:
            return
        checkpoints.save(
            self.path,
            {
                "identity": self.identity,
                "progress": vars(self.progress),
                "weights": {n: p.detach() for n, p in self.learning.items()},
                "optimizer": {} if self.progress.finished else self.optimizer.state_dict(),
                "average": {} if self.progress.finished else self.average,
                "best": {} if self.progress.finished else self.best,
                "best_score": self.best_score,
                "history": self.history,
                "sums": self.sums,
                "summed": self.summed,
                "validation_cost": self.validation_cost,
            },
        )

    def restore(self) -> None:
        """Continue from the checkpoint, if there is one."""
        state = checkpoints.load(self.path)
        if state is None:
            return
        if set(state["weights"]) != set(self.learning) or state["identity"] != self.identity:
            raise ValueError(
                f"{self.path} belongs to other networks, data or settings; remove it to train again"
            )
        load_weights(self.learning, state["weights"])
        self.progress = Progress(**state["progress"])
        self.best_score, self.history = state["best_score"], state["history"]
        self.sums, self.summed = state["sums"], state["summed"]
        self.validation_cost = state["validation_cost"]
        if not self.progress.finished:
            self.optimizer.load_state_dict(state["optimizer"])
            load_weights(self.average, state["average"])
            self.best = {n: v.to(self.device) for n, v in state["best"].items()}


class _Swapped:
    """Replaces the values of parameters inside the `with` block."""

    def __init__(self, parameters: dict[str, nn.Parameter], values: dict[str, Tensor]) -> None:
        self.parameters, self.values = parameters, values

    def __enter__(self) -> None:
        self.kept = {name: self.parameters[name].detach().clone() for name in self.values}
        load_weights(self.parameters, self.values)

    def __exit__(self, *exc: object) -> None:
        load_weights(self.parameters, self.kept)


def load_weights(into: Mapping[str, Tensor], values: Mapping[str, Tensor]) -> None:
    """Copy `values` into the tensors of the same names, in place; ValueError where a shape differs."""
    with torch.no_grad():
        for name, value in values.items():
            if into[name].shape != value.shape:
                raise ValueError(
                    f"{name}: stored {tuple(value.shape)}, needed {tuple(into[name].shape)}; another model"
                )
            into[name].copy_(value)
