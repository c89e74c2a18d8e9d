"""Train a network of whole burn curves on wall frames, and make a bundle of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..config import ConfigError, from_dict
from ..data.trajectories import Trajectories
from ..device import available_cores, torch_threads
from ..dns.eos import Material
from ..dns.load_table import wall_table
from ..models.bundle import CURVES, Bundle
from ..models.curve_net import CurveConfig, CurveNet
from ..patches.descriptors import describe
from ..surrogate.frame0 import EXTRA, LoadTable
from ..surrogate.known_errors import KnownErrors
from ..surrogate.novelty import Familiar
from ..training.curve_samples import CurveSamples, halo_of, read_samples
from ..training.curves import STEPS, part_mean, predict_curves, scores, train_curves
from ..training.loop import Progress

INTERVALS = 128  # of the curves
SET_ASIDE = 7  # every so manieth case of a file chooses the weights


@dataclass(frozen=True)
class CurveSummary:
    """What became of a training.

    Attributes
    ----------
    bundle : Path
        Where the bundle was written.
    scores : dict
        By file, root mean square errors of the burned share of patches on cases that were not trained on: of
        the `network`, and of the `mean_curve` of training cases at about the same load. `cases`: how many.
    """

    bundle: Path
    scores: dict[str, dict[str, float]]


def train_burn_curves(
    out: str | Path,
    data: Sequence[str | Path],
    held_out: Sequence[str | Path] = (),
    *,
    steps: int = STEPS,
    seed: int = 0,
    threads: int | None = None,
    report: Callable[[Progress, dict[str, float]], None] = lambda progress, losses: None,
) -> CurveSummary:
    """Train on trajectory files of wall frames; called again on the same folder, it goes on where it stopped.

    Frames of several sizes may be mixed: those of the file with the largest ones are what the bundle serves.
    Of every file each seventh case chooses the weights and is not trained on.

    Parameters
    ----------
    out
        Folder of the run: checkpoints, and at the end the bundle.
    data
        Trajectory files to train on.
    held_out
        Files that neither train nor choose. Errors by load and time, which become the uncertainty of a
        closure, are learned from them; without them, from the cases that chose.
    steps
        Steps of training, of 8 cases each.
    seed
        Of weights and batches.
    threads
        CPU threads of torch; all cores by default.
    report
        Called after every step with where it stands and the losses.

    Returns
    -------
    CurveSummary

    Raises
    ------
    ConfigError
        The files do not fit together, or hold too few cases.
    FileNotFoundError, ValueError
        A file is missing, cannot be read, or holds no wall frames.

    Examples
    --------
    >>> from mld_closure.offline.burn_curves import train_burn_curves
    >>> made = train_burn_curves("run", ["wall.h5"], steps=40, threads=1)
    >>> made.bundle
    PosixPath('run/bundle')
    """
    out = Path(out)
    files = [Trajectories(path) for path in (*data, *held_out)]
    try:
        _check_together(files)
        largest = max(files[: len(data)], key=lambda f: f.shape[0] * f.shape[1])
        halo = halo_of(largest)
        config = CurveConfig(
            duration=float(max(f.curve_times[-1] for f in files[: len(data)])), steps=INTERVALS, halo=halo,
            parts=largest.parts, part_width=(largest.shape[1] - halo) // largest.parts,
            arrival=_wall(largest, "arrival"), **_clock(largest),
        )  # fmt: skip
        samples = [read_samples(f, config) for f in files]
        train, choose = [], []
        for one in samples[: len(data)]:
            aside = np.arange(len(one)) % SET_ASIDE == SET_ASIDE - 1
            if not aside.any():
                raise ConfigError(f"a file has {len(one)} cases; at least {SET_ASIDE} are needed")
            train.append(one.take(~aside))
            choose.append(one.take(aside))
        with torch_threads(available_cores() if threads is None else threads):
            net = train_curves(config, train, choose, out / "curves", steps=steps, seed=seed, report=report)
            judged = dict(zip(map(str, held_out), samples[len(data) :], strict=True))
            chosen = {f"{path} (chose)": one for path, one in zip(data, choose, strict=True)}
            found = {
                name: {**scores(net, train, one), "cases": len(one)}
                for name, one in (judged | chosen).items()
            }
            bundle = _bundle(net, largest, train, [*(judged or chosen).values()])
        bundle.provenance |= {"scores": found, "seed": seed, "steps": steps}
        bundle.save(out / "bundle", overwrite=True)
        return CurveSummary(out / "bundle", found)
    finally:
        for file in files:
            file.close()


def _check_together(files: Sequence[Trajectories]) -> None:
    first = files[0]
    for file in files[1:]:
        for name, values in (("pixels", [f.pixel for f in (first, file)]),
                             ("materials", [_case(f, "material") for f in (first, file)]),
                             ("kinetics", [_case(f, "kinetics") for f in (first, file)])):  # fmt: skip
            if values[0] != values[1]:
                raise ConfigError(
                    f"{file.path} has other {name} than {first.path}: {values[1]}, not {values[0]}; "
                    "train on files of one kind"
                )


def _case(file: Trajectories, name: str) -> Any:
    try:
        return file.provenance["configuration"]["case"][name]
    except (KeyError, TypeError):
        raise ConfigError(f"{file.path} does not say its {name}; it must hold wall frames") from None


def _wall(file: Trajectories, name: str) -> Any:
    return _case(file, "wall")[name]


def _clock(file: Trajectories) -> dict[str, float]:
    """m of the clock, by the exponent of the rate limit in pressure; {} where rates have no such limit."""
    limit = _case(file, "kinetics").get("limit")
    return {} if limit is None else {"clock": 0.5 * float(limit["n"])}


def _bundle(
    net: CurveNet, largest: Trajectories, train: Sequence[CurveSamples], judged: Sequence[CurveSamples]
) -> Bundle:
    """The bundle of a network, with what it knows of its own limits."""
    config = net.config
    loads = np.concatenate([one.load for one in train])
    load_range = float(loads.min()), float(loads.max())
    material = from_dict(Material, _case(largest, "material"), f"{largest.path}: material")
    table = LoadTable.from_arrays(wall_table(pixel=largest.pixel, material=material))
    known = [
        describe(largest.read(c, ["microstructure"], [0])[0], largest.pixel, 0)[0]
        for c in range(largest.n_cases)
    ]
    return Bundle(
        None, None, largest.pixel, config.duration / config.steps, config.steps, load_range,
        provenance={
            "version": __version__,
            "data": {CURVES: {"origin": largest.provenance, "shape": list(largest.shape)}},
        },
        extras={CURVES: net.to_extra(), EXTRA: table.to_extra()},
        microstructure={CURVES: Familiar.of(np.array(known), largest.shape, 0).to_table()},
        errors=_errors(net, judged, load_range),
    )  # fmt: skip


def _errors(net: CurveNet, judged: Sequence[CurveSamples], load_range: tuple[float, float]) -> dict[str, Any]:
    """Errors of the burn rate of patches by load and time, of cases that were not trained on."""
    loads, rates = [], []
    for one in judged:
        wrong = part_mean(predict_curves(net, one), one) - part_mean(one.curves["burned_share"], one)
        loads.append(one.load)
        rates.append(np.diff(wrong, axis=1) * net.config.steps / net.config.duration)
    rate = np.concatenate(rates)
    seen = np.isfinite(rate).all(axis=0)
    if len(rate) < 3 or not seen.any():
        return {}
    times = 0.5 * (net.config.times[1:] + net.config.times[:-1])
    table = KnownErrors.learn(np.concatenate(loads), times[seen], rate[:, seen], load_range)
    return {CURVES: table.to_table()}
