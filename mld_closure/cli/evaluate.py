"""`mld-closure evaluate`: whole rollouts from frame 0 held against the truth and against baselines."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from mld_closure import durable

from .output import json_option, print_json, print_table, progress


@click.command()
@click.argument("bundle")
@click.argument("data", type=click.Path(exists=True, dir_okay=False))
@click.option(
    "--scale", type=click.Choice(["meso", "micro"]), help="By default the one whose step is the data's."
)
@click.option("--cases", help="Cases to score, such as 0,3,5-7; all by default.")
@click.option("--limit", type=click.IntRange(1), help="Score at most so many cases.")
@click.option(
    "--train",
    type=click.Path(exists=True, dir_okay=False),
    help="Training data, for the mean-curve baseline.",
)
@click.option("--against", multiple=True, help="Another bundle or PARCv2 baseline; may be repeated.")
@click.option("--budget", is_flag=True, help="Where errors come from: truth in place of each part in turn.")
@click.option("--plot", type=click.Path(dir_okay=False), help="Draw the hot-spot curves of all cases (.png).")
@click.option("--ensemble", type=click.IntRange(2), help="Draw so many samples and score their spread too.")
@click.option("--seed", default=0, show_default=True, help="Of the samples.")
@click.option("--device", default="auto", show_default=True, help="auto | cpu | cuda[:i].")
@click.option(
    "--precision",
    type=click.Choice(["fp32", "bf16", "bf16-decode"]),
    default="fp32",
    show_default=True,
    help="Of the networks.",
)
@click.option("--threads", type=click.IntRange(1), help="CPU threads of torch; all cores by default.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, writable=True),
    help="Also write all scores to this JSON file.",
)
@json_option
def command(
    bundle: str,
    data: str,
    scale: str | None,
    cases: str | None,
    limit: int | None,
    train: str | None,
    against: tuple[str, ...],
    budget: bool,
    plot: str | None,
    ensemble: int | None,
    seed: int,
    device: str,
    precision: str,
    threads: int | None,
    out: str | None,
    as_json: bool,
) -> None:
    """Score a bundle on whole movies, rolled out from frame 0, beside baselines.

    A surrogate's movies are decoded; what its readout head says stands in a column of its own. Every number
    is a root-mean-square error unless it says otherwise, in brackets its share of the truth's mean value in
    the last frame. Baselines: nothing changes; with --train, the training cases' hot-spot curves regressed
    on the piston speed; with --against, other bundles or a PARCv2 file. "Empty left out" drops the frames
    without a hot pixel, where the reference's definition counts a temperature of 0 K.

    With --budget the truth stands in for parts of the surrogate: "no dynamics" encodes and reads every true
    frame, "8 steps" rolls out from every eighth.

    \b
    Examples:
      mld-closure evaluate hmx-compact heldout.h5 --plot curves.png
      mld-closure evaluate run/bundle heldout.h5 --train train.h5 --ensemble 8 --out scores.json
    """
    from ..offline.evaluate import BUDGET, evaluate

    if plot:
        from ..viz.plots import picture_path

        picture_path(plot)
    with progress() as bar:
        found = evaluate(
            bundle,
            data,
            cases=cases,
            limit=limit,
            scale=scale,
            training=train,
            against=against,
            budget=budget,
            ensemble=ensemble or 0,
            seed=seed,
            device=device,
            precision=precision,
            threads=threads,
            report=_Ticker(bar),
        )
    chosen, results, report = list(found.cases), found.results, found.to_dict()
    if plot:
        _draw(data, chosen, results, plot)
    if out:
        durable.write_text(Path(out), json.dumps(report, indent=2, allow_nan=False) + "\n")
    if as_json:
        print_json(report)
        return
    where_from = [r for r in results if r.name.removesuffix(", head") in BUDGET.values()]
    _print(data, chosen, [r for r in results if r not in where_from])
    if where_from:
        _print(f"the truth put in, {data}", chosen, where_from)


def _draw(data: str, chosen: list[int], results: Sequence[Any], path: str) -> None:
    from ..data.trajectories import Trajectories
    from ..viz.curves import draw_curves

    with Trajectories(data) as file:
        times, speeds = file.times, file.scalars.get("piston_speed")
    order = list(range(len(chosen)))
    titles = [f"case {case}" for case in chosen]
    if speeds is not None:
        order.sort(key=lambda i: speeds[chosen[i]])
        titles = [f"case {chosen[i]}, {speeds[chosen[i]]:.0f} m/s" for i in order]
    truth = {}
    shown = {}
    for result in results:
        if result.name == "persistence":
            continue
        truth |= _ordered(result.scores.truth_curves, order)
        shown[result.name] = _ordered(result.scores.curves, order)
    draw_curves(times, titles, truth, shown, path)


def _ordered(curves: dict[str, list[list[float]]], order: list[int]) -> dict[str, list[list[float]]]:
    return {name: [values[i] for i in order] for name, values in curves.items()}


class _Ticker:
    """One progress bar for each forecaster, a step per case."""

    def __init__(self, bar: Any) -> None:
        self.bar = bar
        self.tasks: dict[str, Any] = {}

    def __call__(self, name: str, total: int, case: int | None) -> None:
        if case is None:
            self.tasks[name] = self.bar.add_task(name, total=total, status="")
        else:
            self.bar.update(self.tasks[name], advance=1, status=f"case {case}")


def _print(data: str, chosen: list[int], results: Sequence[Any]) -> None:
    """One row per quantity, one column per forecaster."""
    tables = [{row.quantity: row for row in r.scores.rows()} for r in results]
    quantities: list[str] = []
    for table in tables:
        at = 0
        for name in table:
            if name not in quantities:
                quantities.insert(at, name)
            at = quantities.index(name) + 1
    units = {name: row.unit for table in tables for name, row in table.items()}
    rows = [
        [q if units[q] == "1" else f"{q} ({units[q]})", *(_cell(table.get(q)) for table in tables)]
        for q in quantities
    ]
    columns = ["error (RMSE)", *(r.name for r in results)]
    print_table(f"{data}: {len(chosen)} cases from frame 0", columns, rows)


def _cell(row: Any) -> str:
    if row is None or not math.isfinite(row.value):
        return "-"
    value = f"{row.value:.0f}" if abs(row.value) >= 100 else f"{row.value:.3g}"
    return value + ("" if row.share is None else f" ({100 * row.share:.0f}%)")
