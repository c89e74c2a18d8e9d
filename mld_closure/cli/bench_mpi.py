"""`mld-closure bench mpi`: where the time of a distributed run goes, and how it scales on this machine."""

from __future__ import annotations

from typing import Any

import click

from .output import json_option, print_json, print_table


@click.command()
@click.option("--ranks", multiple=True, type=click.IntRange(1), help="Numbers of ranks; 1 and 2 by default.")
@click.option("--cells", type=click.IntRange(4), default=8, show_default=True, help="Cells along x.")
@click.option(
    "--frame",
    type=(click.IntRange(32), click.IntRange(96)),
    default=(160, 256),
    show_default=True,
    help="Height and width of a cell in pixels.",
)
@json_option
def command(ranks, cells, frame, as_json) -> None:
    """Time a shock through a slab whose cells compact networks with random weights serve, on several ranks.

    Strong: a slab of two rows on any number of ranks. Weak: one row per rank. Seconds are means over the
    ranks, with one torch thread each; "wait" is time that a rank waits in the closure for slower ones, and
    what it waits for neighbours in the flow is part of "hydro". Efficiency is against one rank in the same
    run; imbalance is the greatest over the mean of the ranks' time in the networks, less 1. Starts mpirun
    itself.

    \b
    Example:
      mld-closure bench mpi --ranks 1 --ranks 2 --frame 96 96
    """
    from ..benchmarks.mpi import scaling

    ranks = tuple(sorted(set(ranks or (1, 2)) | {1}))
    found = scaling(ranks, cells, frame)
    if as_json:
        print_json(found)
        return
    ny, nx = frame
    print_table(
        f"{cells} cells along x of {ny} x {nx} pixels; {found['machine']}",
        ["", *(f"{r['kind']}, {r['ranks']}" for r in found["results"])],
        _lines(found["results"]),
    )


def _lines(results: list[dict[str, Any]]) -> list[list[str]]:
    """One line per quantity, one column per run."""
    from ..benchmarks.mpi import PARTS

    def line(name: str, text: Any) -> list[str]:
        return [name, *(text(r) for r in results)]

    return [
        line("rows of cells", lambda r: str(r["rows"])),
        *(
            line(f"{p}, ms per step", lambda r, p=p: f"{1e3 * r['seconds'][p] / r['steps']:.2f}")
            for p in PARTS
        ),
        line("step, ms", lambda r: f"{1e3 * r['wall'] / r['steps']:.1f}"),
        line("efficiency", lambda r: f"{100 * r['efficiency']:.0f} %"),
        line("imbalance", lambda r: f"{100 * r['imbalance']:.0f} %"),
        line("bytes per request", lambda r: f"{r['bytes_a_row']:.0f}"),
    ]
