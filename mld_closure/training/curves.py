"""Training of the curve network: on the curves of simulations, with the loop of all other stages."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ..models.curve_net import PRESSURE, CurveConfig, CurveNet
from .curriculum import Curriculum, Phase
from .curve_samples import CurveSamples, mean_curve
from .loop import Plan, Progress, fit

WEIGHTS: dict[str, float] = {"burned": 1.0, "pressure": 0.1, "hot_share": 0.3, "hot_temperature": 0.05}
STEPS, BATCH = 3000, 8


class Objective(nn.Module):
    """Mean squared errors of the curves, of parts and times that are known."""

    def __init__(self, net: CurveNet) -> None:
        super().__init__()
        self.net: CurveNet = net

    def forward(
        self,
        solid: torch.Tensor,
        load: torch.Tensor,
        known: torch.Tensor,
        halo: int,
        **curves: torch.Tensor,
    ) -> dict[str, torch.Tensor]:
        """Losses by name; the temperature counts in proportion to the hot area."""
        found = self.net.curves(self.net.features(solid, halo, known.shape[1]), load)
        weight = known.float()

        def error(name: str, scale: float, more: torch.Tensor | float = 1.0) -> torch.Tensor:
            w = weight * more
            return (w * ((found[name] - curves[name]) / scale) ** 2).sum() / w.sum().clamp_min(1e-6)

        hot = curves["hot_share"]
        return {
            "burned": error("burned_share", 1.0),
            "pressure": error("mean_pressure", PRESSURE),
            "hot_share": error("hot_share", 1.0),
            "hot_temperature": error("hot_temperature", 1000.0, hot),
        }


@dataclass
class CurveTask:
    """What the loop needs: the objective, batches of training cases, validation.

    Every batch is drawn from one of the sets of training cases, in turn, and mirrored in y at random.
    """

    objective: nn.Module
    train: Sequence[CurveSamples]
    valid: Sequence[CurveSamples]
    steps: int
    seed: int
    weights: Mapping[str, float] = field(default_factory=lambda: dict(WEIGHTS))

    def __post_init__(self) -> None:
        count = sum(len(one) for one in self.train)
        self.curriculum: Curriculum = Curriculum([Phase(steps=self.steps)], lambda phase: count, BATCH)

    def batch(self, phase: Phase, step: int, samples: range) -> dict[str, Any]:
        """Tensors of the cases that step number `step` sees."""
        rng = np.random.default_rng((self.seed, step))
        source = self.train[step % len(self.train)]
        some = source.take(rng.integers(0, len(source), len(samples)))
        solid = np.where(rng.random((len(samples), 1, 1)) < 0.5, some.solid, some.solid[:, ::-1])
        return tensors(dataclasses.replace(some, solid=np.ascontiguousarray(solid)))

    def validate(self) -> dict[str, float]:
        """Root mean square error of burned shares on all cases set aside."""
        net = self.objective.net
        errors = np.concatenate([case_errors(predict_curves(net, one), one) for one in self.valid])
        return {"score": float(np.sqrt(np.mean(errors**2)))}


def tensors(samples: CurveSamples) -> dict[str, Any]:
    """Samples as arguments of the objective."""
    curves = {name: torch.from_numpy(values) for name, values in samples.curves.items()}
    return {
        "solid": torch.from_numpy(samples.solid),
        "load": torch.from_numpy(samples.load),
        "known": torch.from_numpy(samples.known),
        "halo": samples.halo,
        **curves,
    }


@torch.no_grad()
def predict_curves(net: CurveNet, samples: CurveSamples, name: str = "burned_share") -> np.ndarray:
    """Curves (n, part, time) of samples, a few at a time."""
    found = []
    for i in range(0, len(samples), 16):
        solid, load = (torch.from_numpy(values[i : i + 16]) for values in (samples.solid, samples.load))
        found.append(net.curves(net.features(solid, samples.halo, samples.parts), load)[name])
    return torch.cat(found).numpy()


def burned_error(net: CurveNet, samples: CurveSamples) -> float:
    """Root mean square error of the burned share of whole patches, over cases and known times."""
    return float(np.sqrt(np.mean(case_errors(predict_curves(net, samples), samples) ** 2)))


def case_errors(found: np.ndarray, samples: CurveSamples) -> np.ndarray:
    """Root mean square error (n,) over time of the mean over parts of curves (n, part or 1, time)."""
    wrong = part_mean(found, samples) - part_mean(samples.curves["burned_share"], samples)
    return np.sqrt(np.nanmean(wrong**2, axis=1))


def part_mean(curves: np.ndarray, samples: CurveSamples) -> np.ndarray:
    """Mean (n, time) of curves (n, part or 1, time) over the parts that are known; NaN where none is."""
    weight = samples.known.astype(float)
    number = weight.sum(axis=1)
    return np.where(number > 0, (weight * curves).sum(axis=1) / np.maximum(number, 1.0), np.nan)


def train_curves(
    config: CurveConfig,
    train: Sequence[CurveSamples],
    valid: Sequence[CurveSamples],
    checkpoint: str | Path,
    *,
    steps: int = STEPS,
    seed: int = 0,
    report: Callable[[Progress, dict[str, float]], None] = lambda progress, losses: None,
) -> CurveNet:
    """Train a curve network on sets of cases; goes on from `checkpoint` where there is one.

    The weights that do best on the cases of `valid` are returned.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = CurveNet(config)
    task = CurveTask(Objective(net), train, valid, steps, seed)
    plan = Plan(batch=BATCH, lr=2e-3, lr_end=2e-5, warmup=0.02, validations=20, select=True, seed=seed)
    sizes = [len(one) for one in train]
    fit(task, plan, checkpoint, identity=f"curves {config} {sizes} {steps} {seed}", report=report)
    return net.eval()


def scores(net: CurveNet, train: Sequence[CurveSamples], cases: CurveSamples) -> dict[str, float]:
    """Root mean square errors of the burned share of patches: of the `network`, and of the `mean_curve` of
    training cases at about the same load, which beats chance and knows no pores."""
    baseline = mean_curve(train, cases.load)[:, None]
    return {
        "network": burned_error(net, cases),
        "mean_curve": float(np.sqrt(np.mean(case_errors(baseline, cases) ** 2))),
    }
