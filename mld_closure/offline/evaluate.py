"""Score a surrogate on whole movies that it rolls out from frame 0, beside baselines."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from .. import device as devices
from ..data.trajectories import Trajectories
from ..device import Precision
from ..models.bundle import Bundle
from ..training.baselines import MeanCurves, persistence
from ..training.forecasts import Forecaster, read_rollout, rollout
from ..training.scoring import Scores, score
from .surrogates import Surrogate, choose_cases, label, open_data, open_surrogate

# steps from each true frame -> name of the forecast; 0 = no dynamics
BUDGET = {0: "no dynamics", 1: "1 step", 8: "8 steps"}

Report = Callable[[str, int, int | None], None]


@dataclass(frozen=True)
class Judged:
    """The scores of one forecaster.

    Attributes
    ----------
    name
        What a table calls it: the surrogate's name, `<name>, head` for its readout head, or a baseline.
    path
        Where it came from; `-` where from nowhere.
    scores
        Its errors, SI units.
    """

    name: str
    path: str
    scores: Scores

    def to_dict(self) -> dict[str, Any]:
        """The scores as plain numbers for JSON, with the table that people read."""
        scores = self.scores.to_dict()
        del scores["truth"], scores["cases"]
        rows = [
            {"quantity": r.quantity, "unit": r.unit, "value": _finite(r.value), "share": r.share}
            for r in self.scores.rows()
        ]
        return {"name": self.name, "path": self.path, "table": rows, "scores": scores}


@dataclass(frozen=True, repr=False)
class Evaluation:
    """What `evaluate` found.

    Attributes
    ----------
    data
        Path of the trajectory file.
    cases
        Numbers of the cases that were scored.
    device
        Device, precision and threads.
    results
        The surrogate first, then what it is held against.
    """

    data: str
    cases: tuple[int, ...]
    device: str
    results: tuple[Judged, ...]

    @property
    def scores(self) -> Scores:
        """Scores of the surrogate itself."""
        return self.results[0].scores

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain numbers, NaN as None, for JSON."""
        return {
            "data": self.data,
            "cases": list(self.cases),
            "device": self.device,
            "truth": self.scores.to_dict()["truth"],
            "results": [one.to_dict() for one in self.results],
        }

    def __repr__(self) -> str:
        width = max(len(one.name) for one in self.results)
        lines = [f"Evaluation on {len(self.cases)} cases of {self.data}, errors are RMSE"]
        lines += [f"  {one.name:<{width}}  {one.scores.summary()}" for one in self.results]
        return "\n".join(lines)


class _Entry(NamedTuple):
    name: str
    path: str
    forecaster: Forecaster
    fields: tuple[str, ...]


def evaluate(
    bundle: str | Path | Bundle,
    data: str | Path | Trajectories,
    *,
    cases: str | Sequence[int] | None = None,
    limit: int | None = None,
    scale: Literal["meso", "micro"] | None = None,
    training: str | Path | None = None,
    against: Sequence[str | Path | Bundle] = (),
    budget: bool = False,
    ensemble: int = 0,
    seed: int = 0,
    device: str = "auto",
    precision: Precision = "fp32",
    threads: int | None = None,
    report: Report = lambda name, total, case: None,
) -> Evaluation:
    """Score a bundle on whole movies, rolled out from frame 0 of each case, beside baselines.

    Movies are decoded; what a readout head says is scored apart. Two baselines cost nothing: nothing changes
    (persistence) and, where `training` is given, the training cases' hot-spot curves regressed on the piston
    speed.

    Parameters
    ----------
    bundle
        Path, name of a shipped bundle, or a `Bundle`; a `.safetensors` file is a PARCv2 baseline.
    data
        Trajectory file with cases the surrogate was not trained on.
    cases
        Numbers of the cases to score, or text such as `"0,3,5-7"`; all by default.
    limit
        Score at most so many cases.
    scale
        `meso` or `micro`; by default the one whose time step is the data's.
    training
        Trajectory file the surrogate was trained on, for the mean-curve baseline.
    against
        Further bundles or PARCv2 baselines to score beside it.
    budget
        Also put the truth in place of parts of the surrogate, which tells where errors come from: every true
        frame encoded and decoded (`no dynamics`), and rollouts from every frame or every eighth frame.
    ensemble
        Samples to draw per frame, to score their spread too; 0 for none, else at least 2.
    seed
        Seed of the samples.
    device, precision, threads
        As in `open`: `auto`, `cpu` or `cuda[:i]`; `fp32`, `bf16` or `bf16-decode`; CPU threads of torch. A
        `Bundle` is moved to the device.
    report
        Called with the name of a forecaster, its number of cases, and None when its work begins or the
        number of each finished case.

    Returns
    -------
    Evaluation
        `scores` of the surrogate, and the `results` of everything that was scored.

    Raises
    ------
    BundleError
        The bundle is missing, damaged or of another version.
    ConfigError
        Pixel size or time step of bundle and data differ, or a case is not in the file.
    ValueError
        The data lack a field or piston speed that the surrogate needs.

    References
    ----------
    Hot spots are defined as in Azarfar et al., arXiv:2506.12996; the PARCv2 baseline is that of
    arXiv:2402.12503.

    Examples
    --------
    >>> import mld_closure as mld
    >>> found = mld.evaluate("run/bundle", "heldout.h5", cases=[0, 1], threads=1)
    >>> [one.name for one in found.results]
    ['bundle', 'bundle, head', 'persistence']
    >>> found.scores.fields["temperature"] > 0  # K
    True
    """
    where = devices.choose(device, precision, threads)
    with open_data(data) as truth:
        chosen = choose_cases(cases, truth.n_cases, limit)
        judged: list[_Entry] = []
        for i, one in enumerate((bundle, *against)):
            found = open_surrogate(one, truth, scale if i == 0 else None, where.name)
            members = ensemble if i == 0 or found.model.config.evolve_logvar else 0
            forecaster = rollout(found.model, truth, members=members, seed=seed, precision=precision)
            name, fields, path = _unused(found.name, judged), found.model.config.fields, label(one)
            judged.append(_Entry(name, path, forecaster, fields))
            if found.head is not None:
                read = read_rollout(found.model, found.head, truth, precision=precision)
                judged.append(_Entry(f"{name}, head", path, read, fields))
            if budget and i == 0:
                judged += _budget(found, truth, path, precision)
        names = judged[0].fields
        if training is not None:
            curves = _mean_curves(training, truth.path, chosen, report).forecaster(truth)
            judged.append(_Entry("mean curve", str(training), curves, names))
        judged.append(_Entry("persistence", "-", persistence(truth, names), names))
        results = []
        for entry in judged:
            tick = _ticker(report, entry.name, len(chosen))
            scores = score(entry.forecaster, truth, chosen, entry.fields, report=tick)
            results.append(Judged(entry.name, entry.path, scores))
        return Evaluation(str(truth.path), tuple(chosen), str(where), tuple(results))


def _budget(found: Surrogate, truth: Trajectories, path: str, precision: Precision) -> list[_Entry]:
    """The same scores with the truth encoded at every frame, and with dynamics restarted from it."""
    judged, fields = [], found.model.config.fields
    for restart, name in BUDGET.items():
        one = rollout(found.model, truth, precision=precision, restart=restart)
        judged.append(_Entry(name, path, one, fields))
        if found.head is not None:
            one = read_rollout(found.model, found.head, truth, precision=precision, restart=restart)
            judged.append(_Entry(f"{name}, head", path, one, fields))
    return judged


def _mean_curves(training: str | Path, data: Path, judged: list[int], report: Report) -> MeanCurves:
    """The mean-curve baseline; cases that are judged never count as training cases."""
    with Trajectories(training) as file:
        same = Path(training).resolve() == data.resolve()
        cases = [case for case in range(file.n_cases) if not (same and case in judged)]
        return MeanCurves(file, cases, _ticker(report, "training curves", len(cases)))


def _ticker(report: Report, name: str, total: int) -> Callable[[int], None]:
    report(name, total, None)
    return lambda case: report(name, total, case)


def _unused(name: str, judged: list[_Entry]) -> str:
    """`name`, numbered where another surrogate has it already."""
    taken = {entry.name for entry in judged}
    return name if name not in taken else f"{name} ({len(judged) + 1})"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
