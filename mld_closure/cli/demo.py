"""`mld-closure demo`: a slab of porous HMX that a trained surrogate burns, or one pore simulated, drawn."""

from __future__ import annotations

from pathlib import Path

import click

from .output import print_table, progress

SHIPPED = "hmx-compact"
OF_SLAB = ("bundle", "cells", "precision", "threads")


@click.command()
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("demo"), show_default=True,
    help="Folder of the results.",
)  # fmt: skip
@click.option("--slab/--pore", default=True, show_default="--slab", help="A slab under impact, or one pore.")
@click.option("--up", type=click.FloatRange(0.2, 2.0), help="Impact speed in km/s.  [default: 0.9, pore 1.0]")
@click.option("--bundle", default=SHIPPED, show_default=True, help="Surrogate of the slab, by name or path.")
@click.option("--cells", type=click.IntRange(8), default=96, show_default=True, help="Of the slab.")
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
def command(
    out: Path, slab: bool, up: float | None, bundle: str, cells: int, precision: str, threads: int
) -> None:
    """Shock a slab of porous HMX whose cells a trained surrogate burns, or simulate one pore, and draw it.

    The slab is thrown at a wall; the shock lights its pores, which no cell resolves: the surrogate says how
    they burn. OUT gets xt.png (distance and time), profiles.png, front.png, steps.csv, history.h5,
    history.vtkhdf (ParaView) and summary.json. Under mpirun the ranks share slab and threads. With --pore a
    shock collapses one 3 um pore, the jet lights a hot spot, the hot spot grows: OUT/pore.h5 (the data format
    of this package) and OUT/pore.png.

    \b
    Examples:
      mld-closure demo
      mld-closure demo --up 1.2 --cells 48 --out fast
      mld-closure demo --pore --up 0.5 --out quench
    """
    if not slab:
        source = click.get_current_context().get_parameter_source
        given = [name for name in OF_SLAB if source(name) is not click.core.ParameterSource.DEFAULT]
        if given:
            raise click.UsageError(
                f"--{given[0]} is an option of the slab; leave it out, or leave out --pore"
            )
        _pore(out, 1e3 * (up or 1.0))
        return
    from ..runtime.comm import default_comm
    from ..study.demo import PICTURES, run_slab
    from .ranks import as_one
    from .run_progress import run_progress

    comm, speed = default_comm(), 1e3 * (up or 0.9)
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
