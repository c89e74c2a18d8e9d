"""`mld-closure bench bridge`: the same advance called from C++ and from Python, and what starting costs."""

from __future__ import annotations

from typing import Any

import click

from .output import json_option, print_json, print_table, progress

CELLS = (1, 64, 512, 4096)
IDLE = (1000, 8000, 27000, 100_000)
ROUNDS = 7
MOST = 2.0  # MiB that many openings may add
LIMITS = "target: less than 20 us per call more, and less than 1 % more at 64 active cells"


@click.command()
@click.argument("bundle", required=False)
@click.option("--ranks", multiple=True, type=click.IntRange(1), help="Numbers of ranks; 1 and 2 by default.")
@click.option("--cells", multiple=True, type=click.IntRange(1), help="1, 64, 512 and 4096 by default.")
@click.option(
    "--frame",
    type=(click.IntRange(32), click.IntRange(32)),
    default=(32, 96),
    show_default=True,
    help="Height and width of a cell in pixels.",
)
@click.option(
    "--idle",
    multiple=True,
    type=click.IntRange(1),
    help="Idle cells; 1000, 8000, 27000 and 100000 by default.",
)
@click.option("--rounds", type=click.IntRange(1), default=ROUNDS, show_default=True, help="Of each pair.")
@click.option(
    "--cycles", type=click.IntRange(10), help="Open, use and close so many times in place of timing."
)
@json_option
def command(bundle, ranks, cells, frame, idle, rounds, cycles, as_json) -> None:
    """Time a step begun, advanced and rolled back, from C++ and from Python, in turns.

    "Idle" has all cells waiting for their shock, "active" has up to 64 of them take a step of the model. Then
    a program in C opens the bundle, beside `python -c` that does: seconds and memory. Without BUNDLE compact
    networks with random weights are used. Whole steps of many idle cells are timed too, beside a plain copy
    of as many numbers.

    With --cycles a program in C opens a bundle, makes every kind of call, wrong ones among them, and closes
    it, again and again, and its memory is watched; without BUNDLE the networks are as small as can be. Ends
    with an error if more than 2 MiB were added after the first tenth of the cycles.

    \b
    Examples:
      mld-closure bench bridge --ranks 1 --cells 64
      mld-closure bench bridge --cycles 10000
    """
    from ..benchmarks.bridge import open_and_close, time_bridge

    if cycles is not None:
        with progress() as bar:
            task = bar.add_task("opening and closing", total=cycles, status="")
            found = open_and_close(
                cycles, bundle, lambda done, mib: bar.update(task, completed=done, status=f"{mib:.1f} MiB")
            )
        if as_json:
            print_json(found)
        else:
            _print_cycles(found)
        if found["grown_mib"] > MOST:
            raise RuntimeError(f"memory grew by {found['grown_mib']:.2f} MiB, more than {MOST:g} MiB")
        return
    found = time_bridge(
        bundle, ranks=ranks or (1, 2), cells=cells or CELLS, frame=frame, rounds=rounds, idle=idle or IDLE
    )
    if as_json:
        print_json(found)
        return
    print_table(
        f"{frame[0]} x {frame[1]} pixels per cell; {found['machine']}; us per step",
        ["ranks", "cells", "active", "from Python", "from C++", "more", "share"],
        [_texts(r) for r in found["results"]],
    )
    click.echo(LIMITS)
    print_table(
        "whole steps of idle cells from C++: begun, advanced with three outputs, committed",
        ["cells", "us per step", "ns per cell", "ns to copy 8 bytes", "bytes allocated per cell"],
        [_idle_texts(r) for r in found["idle"]],
    )
    for name, s in found["start"].items():
        click.echo(f"opening from {name}: {s['seconds']:.2f} s, {s['mib']:.0f} MiB per process")


def _print_cycles(found: dict[str, Any]) -> None:
    grown, number = found["grown_mib"], found["cycles"]
    click.echo(
        f"{number} cycles: {found['mib']:.1f} MiB at the end, {grown:+.2f} MiB since the first tenth "
        f"({1024**2 * grown / (0.9 * number):+.0f} bytes per cycle), "
        f"{found['grown_late_mib']:+.2f} MiB since half-way"
    )


def _idle_texts(r: dict[str, Any]) -> list[Any]:
    n = r["cells"]
    times = 1e6 * r["step"], 1e9 * r["step"] / n, 1e9 * r["copy"] / n
    return [n, *(f"{x:.2f}" for x in times), f"{r['bytes']:.1f}"]


def _texts(r: dict[str, Any]) -> list[Any]:
    more = r["cpp"] - r["python"]
    share = f"{100 * more / r['python']:.1f} %"
    times = [f"{1e6 * s:.1f}" for s in (r["python"], r["cpp"], more)]
    return [r["ranks"], r["cells"], r["active"], *times, share]
