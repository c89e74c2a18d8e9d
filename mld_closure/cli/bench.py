"""`mld-closure bench`: one subcommand for each thing to measure, each in its own file."""

from __future__ import annotations

import click

from .main import LazyGroup


class BenchGroup(LazyGroup):
    """The benchmarks by name."""

    table: dict[str, tuple[str, str]] = {  # noqa: RUF012
        "dns": ("bench_dns", "Cell-steps per second of the solver."),
        "models": ("bench_models", "Time and FLOP rate of encoding, stepping and decoding."),
        "closure": ("bench_closure", "Cost of a cell, beside its simulation, and of idle ones."),
        "mpi": ("bench_mpi", "Where the time of a distributed run goes, and how it scales."),
        "bridge": ("bench_bridge", "The same call from C++ and from Python, and starting."),
        "patches": ("bench_patches", "Gathering and adding back patches, beside plain copies."),
    }


@click.group(cls=BenchGroup)
def command() -> None:
    """Measure speed against the machine's limits.

    \b
    Example:
      mld-closure bench models --size compact
    """
