"""`mld-closure bench mpi`: where the time of a distributed run goes, and how it scales on this machine."""

from __future__ import annotations

import json
import os
import platform
import time
from typing import Any

import click

from . import mpirun
from .output import json_option, print_json, print_table

PARTS = ("hydro", "gather", "encode", "evolve", "readout", "exchange", "wait")
UP = 900.0  # m/s
STRONG_ROWS = 2


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
@click.option("--measure", type=int, hidden=True, help="Measure so many rows on the ranks there are.")
@json_option
def command(ranks, cells, frame, measure, as_json) -> None:
    """Time a shock through a slab whose cells compact networks with random weights serve, on several ranks.

    Strong: a slab of two rows on any number of ranks. Weak: one row a rank. Seconds are means over the ranks,
    with one torch thread each; "wait" is time that a rank waits in the closure for slower ones, and what it
    waits for neighbours in the flow is part of "hydro". Efficiency is against one rank in the same run;
    imbalance is the greatest over the mean of the ranks' time in the networks, less 1. Starts mpirun itself.

    \b
    Example:
      mld-closure bench mpi --ranks 1 --ranks 2 --frame 96 96
    """
    if measure is not None:
        _measure(measure, cells, frame)
        return
    ranks = tuple(sorted(set(ranks or (1, 2)) | {1}))
    results = []
    for kind in ("strong", "weak"):
        for n in ranks:
            rows = STRONG_ROWS if kind == "strong" else n
            words = ["bench", "mpi", "--measure", rows, "--cells", cells, "--frame", *frame]
            found = mpirun.measured(n, words)
            base = next((r["wall"] for r in results if r["kind"] == kind), found["wall"])
            ideal = base / n if kind == "strong" else base
            results.append({"kind": kind, "ranks": n, **found, "efficiency": ideal / found["wall"]})
    cores = os.cpu_count()
    machine = f"{platform.processor() or platform.machine()}, {cores} cores, one torch thread a rank"
    if as_json:
        print_json({"machine": machine, "cells": cells, "frame": frame, "results": results})
        return
    ny, nx = frame
    print_table(
        f"{cells} cells along x of {ny} x {nx} pixels; {machine}",
        ["", *(f"{r['kind']}, {r['ranks']}" for r in results)],
        _lines(results),
    )


def _lines(results: list[dict[str, Any]]) -> list[list[str]]:
    """One line a quantity, one column a run."""

    def line(name: str, text: Any) -> list[str]:
        return [name, *(text(r) for r in results)]

    return [
        line("rows of cells", lambda r: str(r["rows"])),
        *(line(f"{p}, ms a step", lambda r, p=p: f"{1e3 * r['seconds'][p] / r['steps']:.2f}") for p in PARTS),
        line("step, ms", lambda r: f"{1e3 * r['wall'] / r['steps']:.1f}"),
        line("efficiency", lambda r: f"{100 * r['efficiency']:.0f} %"),
        line("imbalance", lambda r: f"{100 * r['imbalance']:.0f} %"),
        line("bytes a request", lambda r: f"{r['bytes_a_row']:.0f}"),
    ]


def _measure(rows: int, cells: int, frame: tuple[int, int]) -> None:
    """Run on the ranks that there are; rank 0 prints what was found as a line of JSON."""
    import numpy as np

    import mld_closure as mld

    from ..macro.domain import Domain
    from ..macro.problems import ClosureChoice, MacroCase, sides, start
    from ..patches.specimen import Specimen
    from ..runtime.comm import default_comm
    from ..runtime.placement import imbalance
    from ..study.case import Watched
    from ..testing import random_networks

    comm, bundle = default_comm(), random_networks()
    size = frame[1] * bundle.pixel
    case = MacroCase(
        cells=cells, rows=rows, cell_size=size, piston_speed=UP, end_time=1.2 * cells * size / 3700.0,
        closure=ClosureChoice("surrogate", "random"),
    )  # fmt: skip
    domain = Domain(case.grid, sides(case), comm)
    closure = mld.open(bundle, comm, device="cpu", threads=1, patch_shape=frame, max_burn_step=1.0)
    sample = Specimen.generate((frame[0] * rows, frame[1] * cells), bundle.pixel, 1, porosity=0.1)
    corners = np.indices(case.grid.shape)[::-1] * np.array([size, frame[0] * bundle.pixel])[:, None, None]
    closure.register(
        domain.cut(case.ids).ravel(), specimen=sample, offsets=domain.cut(corners).reshape(2, -1).T
    )
    watched = Watched(closure)
    solver = start(case, watched, domain)
    solver.step()  # compiles
    comm.barrier()
    first, spent, begun = dict(closure.cost), watched.seconds, time.perf_counter()
    solver.run(case.end_time)
    wall = time.perf_counter() - begun
    parts = {name: closure.cost[name] - first[name] for name in first}
    parts["hydro"] = wall - (watched.seconds - spent)
    sent = getattr(closure, "exchange", None)
    mine = (wall, parts, (sent.rows_sent, sent.bytes_sent) if sent else (0, 0))
    every = comm.gather(mine)
    if comm.rank == 0:
        work = [sum(p[name] for name in ("gather", "encode", "evolve", "readout")) for _, p, _ in every]
        rows_sent, bytes_sent = (sum(e[2][k] for e in every) for k in (0, 1))
        found = {
            "rows": rows,
            "steps": solver.steps - 1,
            "wall": max(e[0] for e in every),
            "seconds": {n: float(np.mean([p.get(n, 0.0) for _, p, _ in every])) for n in PARTS},
            "imbalance": imbalance(np.array(work)),
            "bytes_a_row": bytes_sent / max(rows_sent, 1),
        }
        click.echo(json.dumps(found))
    closure.close()
