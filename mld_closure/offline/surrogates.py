"""Opening what is evaluated: a bundle or a PARCv2 baseline that fits a data file, and naming its cases."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

from ..data.trajectories import Trajectories
from ..errors import ConfigError
from ..models.bundle import Bundle
from ..models.parc_file import load_parc
from ..models.readout_head import EXTRA, ReadoutHead
from ..training.forecasts import frame_interval

TOLERANCE = 1e-2  # relative, of time steps and pixels that should agree


class Surrogate(NamedTuple):
    """A model at the scale of the data, what to call it, and its readout head if it has one."""

    name: str
    model: Any
    scale: str
    head: ReadoutHead | None


def open_data(data: str | Path | Trajectories) -> AbstractContextManager[Trajectories]:
    """A trajectory file as a context; one that the caller has opened stays open afterwards."""
    return nullcontext(data) if isinstance(data, Trajectories) else Trajectories(data)


def open_bundle(bundle: str | Path | Bundle, device: str) -> Bundle:
    """The bundle on a torch device: loaded from its path or name, or moved there where it is one."""
    return bundle.to(device) if isinstance(bundle, Bundle) else Bundle.load(bundle, device)


def label(bundle: str | Path | Bundle) -> str:
    """What a report calls a bundle: its path or name, or `bundle` for one in memory."""
    return "bundle" if isinstance(bundle, Bundle) else str(bundle)


def open_surrogate(
    bundle: str | Path | Bundle, data: Trajectories, scale: str | None, device: str
) -> Surrogate:
    """A bundle, or a PARCv2 baseline (a .safetensors file), for the frames of `data`.

    scale: `micro`, `meso`, or None for the one whose step is the data's. Raises ConfigError where pixel size
    or time step differ.
    """
    interval, path = frame_interval(data), label(bundle)
    if not isinstance(bundle, Bundle) and Path(bundle).suffix == ".safetensors":
        model = load_parc(bundle, device)
        _check("pixel size", data.pixel, model.config.pixel, "m", path)
        _check("frame interval", interval, model.config.interval, "s", path)
        return Surrogate(Path(path).stem, model, "-", None)
    opened = open_bundle(bundle, device)
    steps = {"meso": opened.meso_step, "micro": opened.micro_step}
    fitting = [s for s, step in steps.items() if abs(step - interval) <= TOLERANCE * step]
    if scale is None and not fitting:
        raise ConfigError(
            f"frames of the data are {interval:.4g} s apart; {path} steps by {opened.micro_step:.4g} s "
            f"(micro) or {opened.meso_step:.4g} s (meso)"
        )
    scale = scale or fitting[0]
    if scale not in steps:
        raise ConfigError(f"scale '{scale}': choose {' | '.join(steps)}")
    _check("pixel size", data.pixel, opened.pixel, "m", path)
    _check("frame interval", interval, steps[scale], "s", f"{path} ({scale})")
    head = ReadoutHead.from_extra(opened.extras[EXTRA]) if EXTRA in opened.extras else None
    return Surrogate(Path(path).name, opened.model(scale), scale, head)


def choose_cases(cases: str | Sequence[int] | None, n_cases: int, limit: int | None = None) -> list[int]:
    """Case numbers from numbers or text such as `0,3,5-7` (None = all), at most `limit`.

    Raises ConfigError for a case that is not there, and where no case is left.
    """
    if cases is None:
        chosen = list(range(n_cases))
    elif isinstance(cases, str):
        chosen = _parse(cases)
    else:
        chosen = [int(case) for case in cases]
    chosen = list(dict.fromkeys(chosen))
    if beyond := [case for case in chosen if not 0 <= case < n_cases]:
        raise ConfigError(f"case {beyond[0]} is not in the file, which holds cases 0 to {n_cases - 1}")
    if not chosen:
        raise ConfigError(f"cases '{cases}' name no case")
    return chosen[:limit]


def _parse(text: str) -> list[int]:
    chosen: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdigit() or (dash and not last.isdigit()):
            raise ConfigError(f"cases '{text}': write numbers and ranges such as 0,3,5-7")
        chosen += range(int(first), int(last if dash else first) + 1)
    return chosen


def _check(what: str, data: float, model: float, unit: str, path: str) -> None:
    if abs(data - model) > TOLERANCE * model:
        raise ConfigError(
            f"{what} of the data is {data:.4g} {unit}, but {path} was made for {model:.4g} {unit}"
        )
