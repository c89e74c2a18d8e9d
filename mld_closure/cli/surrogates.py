"""What `evaluate` and `predict` share: opening a surrogate that fits a data file, and naming cases."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from ..config import ConfigError

TOLERANCE = 1e-2  # relative, of time steps and pixels that should agree


class Surrogate(NamedTuple):
    """A model at the scale of the data, what to call it, and its readout head if it has one."""

    name: str
    model: Any
    scale: str
    head: Any


def open_surrogate(path: str, data: Any, scale: str | None, device: str) -> Surrogate:
    """A bundle (path or name), or a PARCv2 baseline (a .safetensors file), for the frames of `data`.

    scale: `micro`, `meso`, or None for the one whose step is the data's. Raises ConfigError where pixel size
    or time step differ.
    """
    from ..training.forecasts import frame_interval

    interval = frame_interval(data)
    if Path(path).suffix == ".safetensors":
        from ..models.parc_file import load_parc

        model = load_parc(path, device)
        _check("pixel size", data.pixel, model.config.pixel, "m", path)
        _check("frame interval", interval, model.config.interval, "s", path)
        return Surrogate(Path(path).stem, model, "-", None)
    from ..models.bundle import Bundle
    from ..models.readout_head import EXTRA, ReadoutHead

    bundle = Bundle.load(path, device)
    steps = {"meso": bundle.meso_step, "micro": bundle.micro_step}
    fitting = [s for s, step in steps.items() if abs(step - interval) <= TOLERANCE * step]
    if scale is None and not fitting:
        raise ConfigError(
            f"frames of the data are {interval:.4g} s apart; {path} steps by {bundle.micro_step:.4g} s "
            f"(micro) or {bundle.meso_step:.4g} s (meso)"
        )
    scale = scale or fitting[0]
    _check("pixel size", data.pixel, bundle.pixel, "m", path)
    _check("frame interval", interval, steps[scale], "s", f"{path} ({scale})")
    head = ReadoutHead.from_extra(bundle.extras[EXTRA]) if EXTRA in bundle.extras else None
    return Surrogate(Path(path).name, getattr(bundle, scale), scale, head)


def parse_cases(text: str | None, n_cases: int, limit: int | None = None) -> list[int]:
    """Case numbers from `0,3,5-7` (None = all), at most `limit`; ConfigError for what is not there."""
    chosen = list(range(n_cases))
    if text is not None:
        chosen = []
        for part in text.split(","):
            first, dash, last = part.strip().partition("-")
            if not first.isdigit() or (dash and not last.isdigit()):
                raise ConfigError(f"cases '{text}': write numbers and ranges such as 0,3,5-7")
            chosen += range(int(first), int(last if dash else first) + 1)
        chosen = list(dict.fromkeys(chosen))
        if beyond := [case for case in chosen if case >= n_cases]:
            raise ConfigError(f"case {beyond[0]} is not in the file, which holds cases 0 to {n_cases - 1}")
    if not chosen:
        raise ConfigError(f"cases '{text}' name no case")
    return chosen[:limit]


def _check(what: str, data: float, model: float, unit: str, path: str) -> None:
    if abs(data - model) > TOLERANCE * model:
        raise ConfigError(
            f"{what} of the data is {data:.4g} {unit}, but {path} was made for {model:.4g} {unit}"
        )
