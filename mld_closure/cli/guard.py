"""`mld-closure guard`: what a bundle says of its own limits, measured and written into it."""

from __future__ import annotations

import click

from .output import json_option, print_json, print_table, progress


@click.command()
@click.argument("bundle")
@click.option("--training", type=click.Path(), help="Trajectory file that it was trained on.")
@click.option(
    "--draw", type=click.IntRange(0), default=0, help="Or draw so many microstructures as its data had."
)
@click.option("--held-out", type=click.Path(), help="Trajectory file with cases that it never saw.")
@click.option(
    "--scale",
    type=click.Choice(["meso", "micro"]),
    default="meso",
    show_default=True,
    help="Model described.",
)
@click.option("--seal", is_flag=True, help="Take a bundle of the version before, without a hash.")
@json_option
def command(bundle, training, draw, held_out, scale, seal, as_json) -> None:
    """Measure the limits of BUNDLE (a path or a name) and write them into it.

    Ranges of the microstructures it was trained on, from the training data or drawn as these were, decide
    which patches are flagged as strange; its errors on cases set aside are the uncertainty that a closure
    returns. The networks and what they answer stay as they are; the content hash of the bundle changes.

    \b
    Examples:
      mld-closure guard model/bundle --training train.h5 --held-out heldout.h5
      mld-closure guard model/bundle --draw 400
    """
    from ..offline.guard import guard

    with progress() as bar:
        tasks: dict[str, object] = {}

        def report(name: str, total: int, case: int | None) -> None:
            if case is None:
                tasks[name] = bar.add_task(name, total=total, status="")
            else:
                bar.advance(tasks[name])

        made = guard(
            bundle, training=training, draw=draw, held_out=held_out, scale=scale, seal=seal, report=report
        )  # fmt: skip
    found = {
        "microstructure": made.microstructure,
        "errors": made.errors,
        "content_hash": made.content_hash(),
    }
    if as_json:
        print_json(found)
        return
    for name, entry in made.microstructure.items():
        rows = [(key, f"{low:.4g}", f"{high:.4g}") for key, (low, high) in entry["ranges"].items()]
        print_table(
            f"{name} microstructures, {entry['patches']} patches", ("descriptor", "least", "most"), rows
        )
    for name, entry in made.errors.items():
        rows = [
            (f"{load:.0f}", *(f"{1e-6 * e:.3g}" for e in row))
            for load, row in zip(entry["loads"], entry["burn_rate"], strict=True)
        ]
        head = ("m/s", *(f"{1e9 * t:.2f} ns" for t in entry["times"]))
        print_table(f"{name} burn rate, uncertainty (1/us), {entry['cases']} cases", head, rows)
