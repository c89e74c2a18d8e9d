"""`mld-closure bench dns`: speed of the solver."""

from __future__ import annotations

import click

from mld_closure.cli.output import json_option, print_json, print_table


@click.command()
@click.option(
    "--seconds", type=click.FloatRange(0.1), default=4.0, show_default=True, help="Time per figure."
)
@click.option("--workers", type=click.IntRange(1), default=2, show_default=True, help="Processes at once.")
@json_option
def command(seconds: float, workers: int, as_json: bool) -> None:
    """Cell-steps per second of the solver beside the core's memory bandwidth and peak.

    A cell-step is a full two-stage step of one cell with conduction and chemistry.

    \b
    Example:
      mld-closure bench dns
    """
    from mld_closure.benchmarks.dns import measure

    m = measure(seconds, workers)
    if as_json:
        print_json(m)
        return
    rows = [
        ("solver, fp64, one core", f"{m['cell_steps'] / 1e6:.1f} M cell-steps/s"),
        ("solver, fp32, one core", f"{m['cell_steps_fp32'] / 1e6:.1f} M cell-steps/s"),
        (f"solver, fp64, {workers} processes", f"{m['cell_steps_workers'] / 1e6:.1f} M cell-steps/s"),
        (f"{workers} processes to one", f"{m['worker_speedup']:.2f}"),
        ("memory bandwidth, one core", f"{m['bandwidth'] / 1e9:.1f} GB/s"),
        ("multiply-add peak, fp64", f"{m['peak_fp64'] / 1e9:.1f} GFLOP/s"),
        ("multiply-add peak, fp32", f"{m['peak_fp32'] / 1e9:.1f} GFLOP/s"),
        ("least traffic of a cell-step", f"{m['least_bytes_per_cell_step']} byte"),
        ("bound by that traffic", f"{m['bandwidth_bound_cell_steps'] / 1e6:.0f} M cell-steps/s"),
        ("time of a cell-step", f"{1e9 / m['cell_steps']:.0f} ns"),
    ]
    print_table(m["machine"], ("figure", "measured"), rows)
