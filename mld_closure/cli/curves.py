"""`mld-closure curves`: train a network of whole burn curves."""

from __future__ import annotations

from pathlib import Path

import click

from .output import json_option, print_json, print_table, progress


@click.command()
@click.argument("data", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder of the run."
)
@click.option(
    "--held-out",
    multiple=True,
    type=click.Path(path_type=Path),
    help="File whose cases only judge; repeatable.",
)
@click.option("--steps", type=click.IntRange(1), default=3000, show_default=True, help="Steps of training.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of weights and batches.")
@click.option("--threads", type=click.IntRange(1), help="CPU threads; all cores by default.")
@json_option
def command(data, out, held_out, steps, seed, threads, as_json) -> None:
    """Train a network of whole burn curves on DATA, trajectory files of wall frames, and make a bundle of it.

    The bundle serves material points: `mld_closure.open` evaluates the whole curve of a point once, when its
    load is known. Killed and started again in the same folder, it goes on where it was. Printed are root mean
    square errors of the burned share on cases that were not trained on, beside those of the mean curve of
    training cases at about the same load.

    `mld-closure campaign wall --out data` makes such files.

    \b
    Example:
      mld-closure curves data/micro_train.h5 data/meso_train.h5 --held-out data/meso_test.h5 --out model
    """
    from ..offline.burn_curves import train_burn_curves

    with progress() as bar:
        task = bar.add_task("burn curves", total=steps, status="")

        def report(at, losses: dict[str, float]) -> None:
            bar.update(task, completed=at.step, status=f"burned {losses['burned'] ** 0.5:.3f}")

        made = train_burn_curves(out, data, held_out, steps=steps, seed=seed, threads=threads, report=report)
    if as_json:
        print_json({"bundle": str(made.bundle), "scores": made.scores})
        return
    rows = [(name, int(one["cases"]), one["network"], one["mean_curve"]) for name, one in made.scores.items()]
    print_table("error of the burned share", ("cases of", "cases", "network", "mean curve"), rows)
    click.echo(f"bundle: {made.bundle}")
