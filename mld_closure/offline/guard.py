"""What a bundle says of its own limits: microstructures it was trained on, and its errors on other cases."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..config import ConfigError, from_dict
from ..data.trajectories import Trajectories
from ..dns.cases import PRESETS, CaseConfig, draw_voids
from ..dns.microstructure import solid_fraction
from ..models.bundle import Bundle
from ..models.manifest import resolve
from ..models.readout_head import EXTRA as HEAD
from ..patches.descriptors import describe
from ..surrogate.frame0 import EXTRA, LoadTable
from ..surrogate.known_errors import KnownErrors
from ..surrogate.novelty import Familiar
from .evaluate import Judged, evaluate

log: logging.Logger = logging.getLogger("mld_closure")
_DRAWN = (
    "shape",
    "pixel",
    "diameter",
    "porosity",
    "voids",
    "pack",
)  # what decides the microstructure of a case
Report = Callable[[str, int, int | None], object]


def guard(
    bundle: str | Path,
    *,
    training: str | Path | None = None,
    draw: int = 0,
    held_out: str | Path | None = None,
    scale: Literal["meso", "micro"] = "meso",
    cases: Sequence[int] | None = None,
    seal: bool = False,
    report: Report = lambda name, total, case: None,
) -> Bundle:
    """Write into a bundle what its guards compare with; its networks and its answers stay as they are.

    Parameters
    ----------
    bundle
        Path of the bundle, or name of a shipped one; it is replaced.
    training
        Trajectory file whose microstructures it was trained on: their ranges are kept.
    draw
        In place of `training`: so many microstructures are drawn as those of the training data were, by what
        the bundle says of its origin.
    held_out
        Trajectory file with cases it never saw: errors of its burn rate by load and time are kept.
    scale
        The model that is described.
    cases
        Numbers of the cases of `held_out`; all by default.
    seal
        Also take a bundle of the format version before, whose manifest has no hash.
    report
        Called with what is done, the number of cases, and None or the number of a finished case.

    Returns
    -------
    Bundle
        As it was written.

    Raises
    ------
    BundleError
        The bundle cannot be used.
    ConfigError
        It does not say how its data were made, or the data do not fit it.
    ValueError
        Too few cases, or both `training` and `draw`.
    """
    if training is not None and draw:
        raise ValueError("give either training data or a number of microstructures to draw")
    path = resolve(bundle)
    loaded = Bundle.load(path, unsealed=seal)
    if training is not None:
        loaded.microstructure[scale] = trained_on(loaded, training, scale).to_table()
    if draw:
        loaded.microstructure[scale] = drawn_as(loaded, scale, draw, report).to_table()
    if held_out is not None:
        found = evaluate(loaded, held_out, cases=cases, scale=scale, report=report)
        loaded.errors[scale] = errors_of(found.results, loaded, held_out, found.cases).to_table()
    loaded.save(path, overwrite=True)
    return loaded


def describe_limits(bundle: str | Path, data: Mapping[str, str | Path | None]) -> None:
    """Write into a bundle that was just trained what its data tell of its limits.

    data: trajectory files by scale, None where there is none. Errors are those of the validation cases, where
    there are at least 3 of them, until `guard` has cases that chose nothing.
    """
    loaded = Bundle.load(bundle)
    for scale, file in data.items():
        if file is None:
            continue
        split = loaded.provenance["data"][scale]
        try:
            loaded.microstructure[scale] = trained_on(loaded, file, scale, split["train"]).to_table()
        except ValueError as err:  # too few cases, or none with pores
            log.warning("the bundle will not tell strange %s patches: %s", scale, err)
        if HEAD in loaded.extras and len(split["validation"]) >= 3:
            found = evaluate(loaded, file, cases=split["validation"], scale=scale)
            loaded.errors[scale] = errors_of(found.results, loaded, file, found.cases).to_table()
    loaded.save(bundle, overwrite=True)


def trained_on(bundle: Bundle, data: str | Path, scale: str, cases: Sequence[int] | None = None) -> Familiar:
    """What the microstructures of a trajectory file are like, of all cases or some."""
    with Trajectories(data) as file:
        first = min(first_column(bundle), file.shape[1] // 2)
        if abs(file.pixel - bundle.pixel) > 1e-3 * bundle.pixel:
            raise ConfigError(f"{data} has pixels of {file.pixel:g} m, the {scale} model {bundle.pixel:g} m")
        chosen = range(file.n_cases) if cases is None else cases
        known = [describe(file.read(c, ["microstructure"], [0])[0], bundle.pixel, first)[0] for c in chosen]
        return Familiar.of(np.array(known), file.shape, first)


def drawn_as(bundle: Bundle, scale: str, count: int, report: Report = lambda *_: None) -> Familiar:
    """What `count` microstructures are like, drawn as those of the bundle's training data were."""
    try:
        origin = bundle.provenance["data"][scale]["origin"]["configuration"]
        told: dict[str, Any] = {name: origin["case"][name] for name in _DRAWN if name in origin["case"]}
        config = from_dict(CaseConfig, {"kind": scale, "frames": 2, "frame_interval": 1e-9, **told})
        seed = int(origin["seed"])
    except (KeyError, TypeError, ConfigError) as err:
        raise ConfigError(f"this bundle does not say how its {scale} data were drawn ({err})") from None
    if scale not in PRESETS or config.wall is not None:
        raise ConfigError(f"microstructures of {scale} data cannot be drawn; give the training data")
    first, known = first_column(bundle), []
    report("microstructures", count, None)
    for index in range(count):
        mu = solid_fraction(config.shape, draw_voids(config, seed, index)).astype(np.float32)
        known.append(describe(mu[None], bundle.pixel, first)[0])
        report("microstructures", count, index)
    return Familiar.of(np.array(known), config.shape, first)


def errors_of(
    results: Sequence[Judged], bundle: Bundle, data: str | Path, cases: Sequence[int]
) -> KnownErrors:
    """Errors of the burn rate by load and time, from an evaluation: of the head where there is one."""
    scored = [one.scores for one in results if "burned" in one.scores.curves and one.path != "-"]
    if not scored:
        raise ConfigError(
            "no forecast of the burned fraction: the bundle needs a readout head, and the data progress"
        )
    with Trajectories(data) as file:
        times, speeds = file.times, file.scalars.get("piston_speed")
    if speeds is None:
        raise ConfigError(f"{data} has no piston speeds")
    wrong = np.array(scored[-1].curves["burned"]) - np.array(
        scored[-1].truth_curves["burned"]
    )  # (case, time)
    rates = np.diff(wrong, axis=1) / np.diff(times)
    return KnownErrors.learn(speeds[list(cases)], 0.5 * (times[1:] + times[:-1]), rates, bundle.load_range)


def first_column(bundle: Bundle) -> int:
    """Columns that the entering shock takes in frame 0."""
    return LoadTable.from_bundle(bundle).entry if EXTRA in bundle.extras else 0
