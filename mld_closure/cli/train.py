"""`mld-closure train`: the surrogate from trajectory files, stage by stage."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import Any

import click

from .output import json_option, print_json, print_table, progress


@click.command()
@click.argument("config")
@click.option("--micro", type=click.Path(exists=True, dir_okay=False), help="Micro movies (from simulate).")
@click.option("--meso", type=click.Path(exists=True, dir_okay=False), help="Meso movies.")
@click.option("--out", type=click.Path(file_okay=False), required=True, help="Folder of this run.")
@click.option("--stage", "stages", multiple=True, help="Run this stage only; may be repeated.")
@click.option(
    "--budget",
    type=click.FloatRange(min=0),
    help="Minutes for the whole run, shared among the stages; 0 lets every stage take all its steps."
    "  [default: what the configuration says]",
)
@click.option(
    "--stop-after",
    type=click.FloatRange(min=0, min_open=True),
    help="Minutes after which to checkpoint and stop; the same command goes on from there.",
)
@click.option("--threads", type=click.IntRange(min=1), help="Torch threads.  [default: all cores]")
@click.option("--device", default="auto", show_default=True, help="auto | cpu | cuda[:i]")
@json_option
def command(
    config: str,
    micro: str | None,
    meso: str | None,
    out: str,
    stages: tuple[str, ...],
    budget: float | None,
    stop_after: float | None,
    threads: int | None,
    device: str,
    as_json: bool,
) -> None:
    """Train the surrogate, stage by stage.

    CONFIG is a TOML file or one of the presets `compact` and `paper`. Interrupt at any time (Ctrl-C, kill,
    --stop-after); the same command continues. Without a budget the result is then the same to the last bit on
    a CPU; with one, phases and learning rates follow the clock. Under torchrun the processes share the work.

    \b
    Examples:
      mld-closure train compact --micro micro.h5 --meso meso.h5 --out run --budget 25
      mld-closure train my.toml --micro micro.h5 --out run --stage vae
      torchrun --nproc-per-node 2 --no-python mld-closure train paper --meso meso.h5 --out run
    """
    from mld_closure.offline.train import train

    first = os.environ.get("RANK", "0") == "0"  # as torchrun numbers its processes
    stop = _Stop(stop_after)
    try:
        with _Bars(first) as bars:
            summary = train(
                config,
                out,
                micro,
                meso,
                stages=stages,
                budget=None if budget is None else 60.0 * budget,
                device=device,
                threads=threads,
                stop=stop,
                report=bars.step,
            )
    finally:
        stop.restore()
    if first:
        _print(summary, as_json)


def _print(summary: Any, as_json: bool) -> None:
    state = {
        "finished": summary.finished,
        "open": summary.open,
        "steps": summary.steps,
        "seconds": summary.seconds,
        "validation": summary.validation,
        "bundle": str(summary.bundle) if summary.bundle else None,
    }
    if as_json:
        print_json(state)
        return
    rows = [
        (
            name,
            "finished" if name in summary.finished else "open",
            summary.steps[name],
            f"{summary.seconds[name]:.0f}",
            ", ".join(f"{k} {v:.3g}" for k, v in summary.validation[name].items() if k != "score"),
        )
        for name in summary.steps
    ]
    print_table("Training", ("stage", "state", "steps", "seconds", "validation of its weights"), rows)
    if summary.bundle:
        click.echo(f"bundle: {summary.bundle}")
    elif summary.open:
        click.echo(f"not finished: {', '.join(summary.open)}; the same command goes on")


class _Stop:
    """True once the time is up or the process is asked to end; asked between steps."""

    def __init__(self, minutes: float | None) -> None:
        self.until = time.monotonic() + 60.0 * minutes if minutes else None
        self.asked = False
        self.before: dict[int, Any] = {}
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self.before[number] = signal.signal(number, self._ask)

    def __call__(self) -> bool:
        return self.asked or (self.until is not None and time.monotonic() >= self.until)

    def _ask(self, number: int, frame: Any) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    def restore(self) -> None:
        """Give the signals back to whoever had them."""
        for number, handler in self.before.items():
            signal.signal(number, handler)


class _Bars:
    """One progress bar per stage: steps, or seconds of its budget; shown from the first step on."""

    def __init__(self, shown: bool) -> None:
        self.bars = progress() if shown else None
        self.tasks: dict[str, Any] = {}

    def __enter__(self) -> _Bars:
        return self

    def __exit__(self, *exc: object) -> None:
        if self.bars and self.tasks:
            self.bars.stop()

    def step(self, stage: Any, state: Any, losses: dict[str, float], total: int, left: float | None) -> None:
        """Show where a stage stands."""
        if not self.bars:
            return
        if not self.tasks:
            self.bars.start()
        if stage.name not in self.tasks:
            self.tasks[stage.name] = self.bars.add_task(stage.name, total=1000 if left else total, status="")
        parts = [f"{name} {value:.3g}" for name, value in losses.items() if name != "gradient norm"]
        done = 1000 * state.fraction if left else state.step
        status = " ".join(parts) + (f" (step {state.step})" if left else "")
        self.bars.update(self.tasks[stage.name], completed=int(done), status=status)
