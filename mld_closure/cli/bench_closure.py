"""`mld-closure bench closure`: what a cell costs, beside the simulation it stands for."""

from __future__ import annotations

from typing import Any

import click

from .output import json_option, print_json, print_table, progress

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
    from ..benchmarks.closure import measure

    with progress() as bar:
        task = bar.add_task("timing", total=None, status="simulation")
        result = measure(
            bundle,
            frame=frame,
            batches=batches or (1, 8),
            precisions=precisions or ("fp32", "bf16", "bf16-decode"),
            readouts=readouts or tuple(TARGETS),
            read_every=read_every or (1,),
            decode_fields=decode_fields or None,
            compiled=compiled,
            limit=limit,
            dns_frames=dns_frames,
            threads=threads,
            report=lambda what: bar.update(task, status=what),
        )
    if as_json:
        print_json(result)
    else:
        _print(result)


def _print(result: dict[str, Any]) -> None:
    ny, nx = result["frame"]
    peak = ", ".join(f"{name} {value:.0f} GFLOP/s" for name, value in result["peak_gflops"].items())
    title = (
        f"{result['bundle']}; cells of {ny} x {nx} pixels, {result['horizon']} frames; {result['machine']}; "
        f"matrix product {peak}; per cell and frame; DNS {result['dns_seconds_per_frame']:.2f} s per frame"
    )
    heads = ["readout", "type", "batch", "GFLOP", "ms", "frames/s", "of peak", "to DNS"]
    print_table(title, heads, [_texts(row) for row in result["results"]])
    idle = result["idle_seconds_per_1000_cells"]
    targets = ", ".join(f"{n} times with {name}" for name, n in TARGETS.items())
    click.echo(f"target: {targets}")
    click.echo(
        f"no active cell: advance {1e6 * idle['advance']:.1f} us, commit {1e6 * idle['commit']:.1f} us "
        "per thousand cells (target: under 50)"
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
