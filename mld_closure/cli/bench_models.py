"""`mld-closure bench models`: what encoding, stepping and decoding cost on this machine."""

from __future__ import annotations

import platform
from typing import Any

import click

from .output import json_option, print_json, print_table, progress

SIZES = ("compact", "paper", "parc")
PARTS = ("encode", "micro step", "meso step", "decode")


@click.command()
@click.option("--size", "sizes", multiple=True, type=click.Choice(SIZES), help="Networks; all by default.")
@click.option("--part", "parts", multiple=True, type=click.Choice(PARTS), help="Parts; all by default.")
@click.option(
    "--batch", "batches", multiple=True, type=click.IntRange(1), help="Batch sizes; 1, 8, 32 by default."
)
@click.option(
    "--precision", "precisions", multiple=True, type=click.Choice(["fp32", "bf16"]), help="Both by default."
)
@click.option(
    "--frame", type=(int, int), default=(320, 480), show_default=True, help="Height and width in pixels."
)
@click.option(
    "--limit", default=10.0, show_default=True, help="Skip calls expected to take longer than this (s)."
)
@click.option("--device", default="auto", show_default=True, help="auto | cpu | cuda[:i].")
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True, help="CPU threads of torch.")
@json_option
def command(
    sizes: tuple[str, ...],
    parts: tuple[str, ...],
    batches: tuple[int, ...],
    precisions: tuple[str, ...],
    frame: tuple[int, int],
    limit: float,
    device: str,
    threads: int,
    as_json: bool,
) -> None:
    """Time the networks on random weights, per sample, beside the highest rate that torch reaches here.

    Seconds are those of the fastest repetition. "Of peak" is the FLOP rate against the highest of several
    matrix products, linear layers and convolutions at the same precision, measured in the same run: what the
    libraries reach on this machine, not what the maker of the processor states. PARCv2 has only a meso step:
    one scale, no latents.

    \b
    Example:
      mld-closure bench models --size compact --batch 1 --frame 160 256
    """
    from ..benchmarks.models import best_peaks, time_models
    from ..device import choose
    from ..grids import check_frame

    check_frame(*frame)
    where = choose(device, threads=threads)
    sizes, parts = sizes or SIZES, parts or PARTS
    batches, precisions = batches or (1, 8, 32), precisions or ("fp32", "bf16")
    results = []
    with progress() as bar:
        task = bar.add_task("timing", total=_count(sizes, parts) * len(batches) * len(precisions), status="")
        for timing in time_models(
            sizes,
            frame=frame,
            batches=batches,
            precisions=precisions,
            device=where.torch,
            limit=limit,
            parts=parts,
        ):
            results.append(timing)
            bar.update(task, advance=1, status=f"{timing.size} {timing.part} {timing.precision}")
    machine = f"{platform.processor() or platform.machine()}, {where.name}, {where.threads} threads"
    peaks = best_peaks(results)
    rows = [
        {
            "size": t.size,
            "part": t.part,
            "precision": t.precision,
            "batch": t.batch,
            "gflop": t.gflop,
            "seconds": t.seconds,
            "gflops": t.rate,
            "of_peak": t.share(peaks[t.precision]),
        }
        for t in results
    ]
    if as_json:
        print_json({"machine": machine, "frame": frame, "peak_gflops": peaks, "results": rows})
        return
    peak = ", ".join(f"{name} {value:.0f} GFLOP/s" for name, value in peaks.items())
    print_table(
        f"{frame[0]} x {frame[1]} pixels, per sample; {machine}; peak measured {peak}",
        ["network", "part", "type", "batch", "GFLOP", "ms", "GFLOP/s", "of peak"],
        [[*_texts(row)] for row in rows],
    )


def _count(sizes: tuple[str, ...], parts: tuple[str, ...]) -> int:
    return sum(len(parts) if size != "parc" else int("meso step" in parts) for size in sizes)


def _texts(row: dict[str, Any]) -> list[Any]:
    texts = [row["size"], row["part"], row["precision"], row["batch"], row["gflop"]]
    if row["seconds"] is None:
        return [*texts, "skipped", "-", "-"]
    return [*texts, 1e3 * row["seconds"], row["gflops"], f"{100 * row['of_peak']:.0f} %"]
