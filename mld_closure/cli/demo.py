"""`mld-closure demo`: a shock that builds up to a detonation, a slab of frames, or one pore, drawn."""

from __future__ import annotations

from pathlib import Path

import click

from .output import print_table, progress

SHIPPED = {"buildup": "hmx-points", "slab": "hmx-compact", "pore": ""}
SPEED = {"buildup": 1.2, "slab": 0.9, "pore": 1.0}  # km/s
OWN = {  # options that only one of the demonstrations has
    "pores": ("buildup",), "porosity": ("buildup",), "length": ("buildup",), "cells": ("slab",),
    "precision": ("slab",), "bundle": ("buildup", "slab"), "threads": ("buildup", "slab"),
}  # fmt: skip


@click.command()
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("demo"), show_default=True,
    help="Folder of the results.",
)  # fmt: skip
@click.option(
    "--buildup", "what", flag_value="buildup", default=True, help="Slabs whose shock builds up (the default)."
)
@click.option("--slab", "what", flag_value="slab", help="A slab whose cells are frames.")
@click.option("--pore", "what", flag_value="pore", help="One pore, simulated.")
@click.option(
    "--up", type=click.FloatRange(0.2, 2.0), help="Impact speed in km/s.  [default: 1.2, slab 0.9, pore 1.0]"
)
@click.option("--bundle", help="Surrogate, by name or path.  [default: hmx-points, slab hmx-compact]")
@click.option(
    "--pores", type=click.FloatRange(0.8, 6.0), multiple=True, default=(1.5, 3.0), show_default=True,
    help="Median pore size of a slab in um; one slab for each.",
)  # fmt: skip
@click.option(
    "--porosity", type=click.FloatRange(0.02, 0.25), default=0.1, show_default=True, help="Of the slabs."
)
@click.option(
    "--length", type=click.FloatRange(0.05), default=2.0, show_default=True, help="Of the slabs, mm."
)
@click.option("--cells", type=click.IntRange(8), default=96, show_default=True, help="Of the slab of frames.")
@click.option(
    "--precision", type=click.Choice(["auto", "fp32", "bf16"]), default="auto", show_default=True,
    help="Of networks; auto is bf16 where the device computes in it, else fp32.",
)  # fmt: skip
@click.option(
    "--threads",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="CPU threads of them; for cells that react one after another a second one gains nothing.",
)
def command(out, what, up, bundle, pores, porosity, length, cells, precision, threads) -> None:
    """Shock porous HMX, which a trained surrogate burns, and draw it.

    With --buildup (the default) slabs of equal porosity and different pores are thrown at a wall: the shock
    lights their pores, the burning pushes the shock, until it is a detonation, sooner or later by the size of
    the pores. OUT gets buildup.png and summary.json. With --slab the cells of one slab are frames as wide as
    those of training: xt.png (distance and time), profiles.png, front.png, steps.csv, history.h5,
    history.vtkhdf (ParaView) and summary.json; under mpirun the ranks share it. With --pore a shock collapses
    one 3 um pore, the jet lights a hot spot, the hot spot grows: OUT/pore.h5 (the data format of this
    package) and OUT/pore.png.

    \b
    Examples:
      mld-closure demo
      mld-closure demo --up 1.0 --pores 2 --length 3 --out slow
      mld-closure demo --slab --up 1.2 --cells 48 --out fast
      mld-closure demo --pore --up 0.5 --out quench
    """
    _check_options(what)
    speed = 1e3 * (up or SPEED[what])
    bundle = bundle or SHIPPED[what]
    if what == "pore":
        _pore(out, speed)
    elif what == "slab":
        _slab(out, speed, bundle, cells, precision, threads)
    else:
        _buildup(out, speed, bundle, pores, porosity, length, threads)


def _check_options(what: str) -> None:
    """UsageError for an option of another demonstration."""
    source = click.get_current_context().get_parameter_source
    for name, kinds in OWN.items():
        if what not in kinds and source(name) is not click.core.ParameterSource.DEFAULT:
            owner = " and ".join(f"--{kind}" for kind in kinds)
            raise click.UsageError(f"--{name} is an option of {owner}; leave it out with --{what}")


def _buildup(out, up, bundle, pores, porosity, length, threads) -> None:
    """Run and draw slabs whose shock builds up."""
    from ..models.manifest import read_manifest, resolve
    from ..study.buildup import patches_of, run_buildup, summary

    manifest = read_manifest(resolve(bundle))
    patches = patches_of(manifest, 1e-3 * length)
    with progress() as bar:
        tasks: dict[float, object] = {}

        def report(pore: float, depth: float, end: float) -> None:
            if pore not in tasks:
                tasks[pore] = bar.add_task(f"pores of {1e6 * pore:.2g} um", total=round(1e6 * end), status="")
            bar.update(tasks[pore], completed=round(1e6 * depth), status=f"front at {1e3 * depth:.2f} mm")

        slabs = run_buildup(
            bundle, out, up, porosity, [1e-6 * p for p in pores], patches, threads=threads, report=report
        )
    rows = []
    for one in map(summary, slabs):
        run = one["run_to_detonation"]
        rows.append((
            f"{1e6 * one['pore']:.2g} um", f"{1e-9 * one['input_pressure']:.1f} GPa",
            "-" if run is None else f"{1e3 * run:.2f} mm",
            "-" if run is None else f"{1e6 * one['time_to_detonation']:.2f} us",
            f"{1e-3 * one['front_speed']:.2f} km/s", f"{1e-3 * one['detonation_speed']:.2f} km/s",
        ))  # fmt: skip
    head = ("pores", "input", "run to detonation", "after", "front at the end", "Chapman-Jouguet")
    print_table(str(out), head, rows)
    click.echo(f"look at {out / 'buildup.png'}")


def _slab(out, speed, bundle, cells, precision, threads) -> None:
    """Run and draw a slab whose cells are frames."""
    from ..runtime.comm import default_comm
    from ..study.demo import PICTURES, run_slab
    from .ranks import as_one
    from .run_progress import run_progress

    comm = default_comm()
    with run_progress(comm) as report:
        result = as_one(
            comm,
            lambda: run_slab(bundle, out, cells, speed, precision, threads, comm=comm, progress=report),
        )
    if comm.rank == 0:
        print_table(str(out), ["", "result"], result.lines())
        click.echo(f"look at {', '.join(str(out / name) for name in PICTURES)}")


def _pore(out: Path, up: float) -> None:
    """Simulate and draw the collapse of one pore at piston speed up (m/s)."""
    from ..metrics.hotspots import THRESHOLD
    from ..study.demo import run_pore

    with progress() as bar:
        task = bar.add_task("pore collapse, frames", total=None, status="")

        def report(number: int, total: int, hottest: float) -> None:
            bar.update(task, advance=1, total=total, status=f"hottest {hottest:.0f} K")

        pore = run_pore(out, up, report)
    click.echo(
        f"after {1e9 * pore.time:.2f} ns: {100 * pore.hot_area:.1f} % of the frame above "
        f"{THRESHOLD:.0f} K, {100 * pore.burned:.1f} % burned"
    )
    click.echo(f"wrote {pore.data} and {pore.picture}")
