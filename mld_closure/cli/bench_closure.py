"""`mld-closure bench closure`: what a cell costs, beside the simulation it stands for."""

from __future__ import annotations

import platform
import time
from typing import Any

import click

from .output import json_option, print_json, print_table, progress

SHIPPED = "hmx-compact"
UP = 900.0  # m/s
PEAK = {"fp32": "fp32", "bf16": "bf16", "bf16-decode": "bf16"}  # of most of the work
PIECES = 8  # of a frame interval
TARGETS = {"head": 100, "decode": 30}


@click.command()
@click.argument("bundle", required=False)
@click.option(
    "--batch", "batches", multiple=True, type=click.IntRange(1), help="Cells at once; 1 and 8 by default."
)
@click.option(
    "--precision",
    "precisions",
    multiple=True,
    type=click.Choice(["fp32", "bf16", "bf16-decode"]),
    help="All by default.",
)
@click.option(
    "--readout", "readouts", multiple=True, type=click.Choice(["head", "decode"]), help="Both by default."
)
@click.option(
    "--decode-field",
    "decode_fields",
    multiple=True,
    help="Fields that the decode readout decodes; all by default, temperature is enough for hot spots.",
)
@click.option(
    "--read-every",
    multiple=True,
    type=click.IntRange(1),
    help="Frames from one that is read to the next (an option of the closure); 1 by default.",
)
@click.option("--compiled", multiple=True, help="Also time this file that export made of BUNDLE.")
@click.option(
    "--frame",
    type=(click.IntRange(32), click.IntRange(96)),
    default=(320, 480),
    show_default=True,
    help="Height and width of a cell in pixels.",
)
@click.option(
    "--limit", default=20.0, show_default=True, help="Leave out calls expected to take longer than this (s)."
)
@click.option("--dns-frames", type=click.IntRange(1), default=1, show_default=True, help="Simulated.")
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True, help="CPU threads of torch.")
@json_option
def command(
    bundle,
    batches,
    precisions,
    readouts,
    decode_fields,
    read_every,
    compiled,
    frame,
    limit,
    dns_frames,
    threads,
    as_json,
) -> None:
    """Cost of a cell by readout, precision and batch, beside a simulation (DNS) of the same cell.

    BUNDLE is a path or name; without one the shipped hmx-compact is timed, or where there is none compact
    networks with random weights, which cost the same. "1 in 3": every third frame is read. "Of peak" is the
    FLOP rate against that of torch.mm. "To DNS" is the time of the simulation, on one core in this same run,
    over that of the cell, both from frame 0 to the horizon; the fastest eighth of the simulation's first
    frames stands for all, whose time steps only get shorter.

    \b
    Example:
      mld-closure bench closure --batch 8 --precision bf16 --readout head
    """
    from ..benchmarks.closure import cell_costs, idle_cost
    from ..device import choose
    from ..grids import check_frame

    check_frame(*frame)
    loaded, name = _open(bundle)
    where = choose("cpu", "fp32", threads)
    batches, readouts = batches or (1, 8), readouts or tuple(TARGETS)
    precisions = precisions or ("fp32", "bf16", "bf16-decode")
    costs = []
    with progress() as bar:
        task = bar.add_task("timing", total=None, status="simulation")
        dns = _dns_seconds(frame, loaded.pixel, loaded.meso_step, dns_frames)
        found = cell_costs(
            loaded, where, frame=frame, batches=batches, precisions=precisions, readouts=readouts,
            read_every=read_every or (1,), decode_fields=decode_fields or None, compiled=compiled,
            limit=limit,
        )  # fmt: skip
        for cost in found:
            costs.append(cost)
            bar.update(task, status=f"{cost.readout} {cost.precision} {cost.batch}")
    horizon = loaded.horizon
    peaks: dict[str, float] = {}
    for c in costs:
        peaks[PEAK[c.precision]] = max(peaks.get(PEAK[c.precision], 0.0), c.peak)
    rows = [
        {
            "readout": c.readout,
            "precision": c.precision + (", compiled" if c.compiled else ""),
            "read_every": c.every,
            "batch": c.batch,
            "gflop": c.gflop,
            "seconds": c.seconds,
            "cell_frames_per_second": c.rate,
            "of_peak": c.share(peaks[PEAK[c.precision]]),
            "encode_seconds": c.encode_seconds,
            "to_dns": horizon * dns / c.life(horizon) if c.seconds else None,
        }
        for c in costs
    ]
    result = {
        "machine": f"{platform.processor() or platform.machine()}, {where.threads} threads",
        "bundle": name,
        "frame": frame,
        "horizon": horizon,
        "dns_seconds_per_frame": dns,
        "peak_gflops": peaks,
        "results": rows,
        "idle_seconds_per_1000_cells": idle_cost(loaded),
    }
    if as_json:
        print_json(result)
    else:
        _print(result)


def _open(bundle: str | None) -> tuple[Any, str]:
    """The bundle to time, and what to call it."""
    from ..models.bundle import Bundle, is_bundle

    if bundle is not None or is_bundle(SHIPPED):
        return Bundle.load(bundle or SHIPPED), bundle or SHIPPED
    from ..testing import random_networks

    return random_networks(), "compact networks with random weights"


def _dns_seconds(frame: tuple[int, int], pixel: float, interval: float, frames: int) -> float:
    """Seconds that the solver takes for one frame interval (s) of a porous cell, by the fastest piece of it.

    The fastest counts for the networks too, so that other work on the machine slows neither.
    """
    from ..dns.eos import Material
    from ..dns.kinetics import Kinetics
    from ..dns.loading import PROFILE_COLUMNS, shocked_solver
    from ..patches.specimen import Specimen

    ny, nx = frame
    mu = Specimen.generate((ny, nx), pixel, 0, porosity=0.1).window(0, 0, nx, ny).copy()
    mu[:, :PROFILE_COLUMNS] = 1.0
    solver = shocked_solver(mu, UP, pixel, Material(), Kinetics())
    end = 0.02 * interval
    solver.run(end)  # compiles
    fastest = float("inf")
    for _ in range(PIECES * frames):
        end += interval / PIECES
        begun = time.perf_counter()
        solver.run(end)
        fastest = min(fastest, time.perf_counter() - begun)
    return PIECES * fastest


def _print(result: dict[str, Any]) -> None:
    ny, nx = result["frame"]
    peak = ", ".join(f"{name} {value:.0f} GFLOP/s" for name, value in result["peak_gflops"].items())
    title = (
        f"{result['bundle']}; cells of {ny} x {nx} pixels, {result['horizon']} frames; {result['machine']}; "
        f"matrix product {peak}; per cell and frame; DNS {result['dns_seconds_per_frame']:.2f} s a frame"
    )
    heads = ["readout", "type", "batch", "GFLOP", "ms", "frames/s", "of peak", "to DNS"]
    print_table(title, heads, [_texts(row) for row in result["results"]])
    idle = result["idle_seconds_per_1000_cells"]
    targets = ", ".join(f"{n} times with {name}" for name, n in TARGETS.items())
    click.echo(f"wanted: {targets}")
    click.echo(
        f"no active cell: advance {1e6 * idle['advance']:.1f} us, commit {1e6 * idle['commit']:.1f} us "
        "a thousand cells (wanted: under 50)"
    )


def _texts(row: dict[str, Any]) -> list[Any]:
    readout = row["readout"] if row["read_every"] == 1 else f"{row['readout']}, 1 in {row['read_every']}"
    texts = [readout, row["precision"], row["batch"], row["gflop"]]
    if row["seconds"] is None:
        return [*texts, "skipped", "-", "-", "-"]
    return [
        *texts,
        1e3 * row["seconds"],
        row["cell_frames_per_second"],
        f"{100 * row['of_peak']:.0f} %",
        f"{row['to_dns']:.0f} x",
    ]
