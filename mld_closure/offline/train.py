"""Train a surrogate from trajectory files, from Python in one call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .. import device as devices
from ..config import from_dict
from ..dns.load_table import load_table
from ..models.bundle import Extra
from ..surrogate.frame0 import EXTRA, LoadTable
from ..training import parallel
from ..training.run import Run, StepReport, Summary
from ..training.settings import TrainConfig, load_config
from ..viz.history import draw_history
from .guard import describe_limits


def train(
    config: str | Path | Mapping[str, Any] | TrainConfig,
    out: str | Path,
    micro: str | Path | None = None,
    meso: str | Path | None = None,
    *,
    stages: Sequence[str] = (),
    budget: float | None = None,
    device: str = "auto",
    threads: int | None = None,
    stop: Callable[[], bool] = lambda: False,
    report: StepReport = lambda stage, progress, losses, total, left: None,
) -> Summary:
    """Train a surrogate, stage by stage; called again on the same folder, it goes on where it stopped.

    Without a budget the result is the same to the last bit on a CPU, however often the run was interrupted.
    Under `torchrun` the processes share the work.

    Parameters
    ----------
    config
        A TOML file, one of the presets `compact`, `hmx-compact`, `paper` and `parc`, the same as nested
        dicts, or a `TrainConfig`.
    out
        Folder of this run: checkpoints, history, a picture of the losses and at the end the bundle.
    micro, meso
        Trajectory files with micro and with meso movies; at least one of them.
    stages
        Names of the stages to run; all by default.
    budget
        Time for the whole run (s), earlier calls included, shared among the stages. None takes what the
        configuration says; 0 lets every stage take all its steps.
    device
        `auto`, `cpu`, `cuda` or `cuda:<index>`.
    threads
        CPU threads of torch; all cores by default.
    stop
        Asked after every step; where it returns True the run writes a checkpoint and returns.
    report
        Called after every step with the stage, where it stands, its losses, its total number of steps and
        the seconds left to it (None without a budget).

    Returns
    -------
    Summary
        Finished and open stages, steps, seconds and validation of each, and the path of the bundle once all
        stages are finished.

    Raises
    ------
    ConfigError
        The configuration cannot be used, the data do not fit it, or `out` holds another run.
    FileNotFoundError, ValueError
        A trajectory file is missing or cannot be read.

    References
    ----------
    The stages follow Azarfar et al., arXiv:2506.12996.

    Examples
    --------
    >>> import mld_closure as mld
    >>> run = mld.train("tiny.toml", "run", micro="micro.h5", threads=1)
    >>> run.finished
    ['vae-temperature', 'vae-pressure', 'vae-microstructure', 'decoupled']
    >>> mld.Bundle.load(run.bundle).pixel
    5e-08
    """
    settings = _settings(config)
    settings.select(tuple(stages))
    place = devices.choose(device, "fp32", threads)
    world, name = parallel.connect(place.name)
    place = devices.Device(name, place.precision, place.threads)
    try:
        summary = Run(settings, out, micro, meso, device=place, world=world, extras=_loading).train(
            stages,
            budget=budget,
            stop=stop,
            report=report,
            finished=lambda history: draw_history(history, Path(out) / "losses.png"),
        )
        if summary.bundle is not None and world.rank == 0:
            describe_limits(summary.bundle, {"micro": micro, "meso": meso})
        return summary
    finally:
        parallel.disconnect(world)


def _settings(config: str | Path | Mapping[str, Any] | TrainConfig) -> TrainConfig:
    if isinstance(config, TrainConfig):
        return config
    return from_dict(TrainConfig, config) if isinstance(config, Mapping) else load_config(config)


def _loading(pixel: float) -> dict[str, Extra]:
    """What a closure needs to start from a load alone; see `dns.load_table`."""
    return {EXTRA: LoadTable.from_arrays(load_table(pixel=pixel)).to_extra()}
