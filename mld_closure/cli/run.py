"""`mld-closure run`: shock initiation of a slab on macro cells whose burning a closure gives."""

from __future__ import annotations

from pathlib import Path

import click

from .output import json_option, print_json, print_table
from .ranks import as_one
from .run_progress import run_progress


@click.command()
@click.argument("case_path", metavar="CASE.toml", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder of results."
)
@click.option(
    "--frames",
    type=click.IntRange(1),
    default=200,
    show_default=True,
    help="Frames kept, evenly over the run.",
)
@click.option("--checkpoint-every", type=click.IntRange(1), metavar="STEPS", help="Write checkpoints.")
@click.option(
    "--restart",
    type=click.Path(path_type=Path, file_okay=False),
    help="Checkpoint to go on from: DIR/checkpoints/NAME.",
)
@click.option("--device", help="Of a surrogate: auto | cpu | cuda[:i], over the case's own.")
@click.option("--precision", type=click.Choice(["fp32", "bf16", "bf16-decode"]), help="Of a surrogate.")
@click.option("--threads", type=click.IntRange(1), help="CPU threads of a surrogate.")
@json_option
def command(case_path, out, frames, checkpoint_every, restart, device, precision, threads, as_json) -> None:
    """Run a case of shock initiation and draw it.

    CASE.toml describes a slab and the closure that burns its cells: none, ignition-growth, or a surrogate
    (a bundle's name or path). DIR gets history.h5, history.vtkhdf (ParaView), steps.csv with the cost of
    every step, xt.png, profiles.png, front.png and summary.json. A run that goes on from a checkpoint gives
    the bits of one that was never interrupted; its case may have another end_time, nothing else. Under
    mpirun the slab is cut into blocks, one per rank, and a checkpoint may be continued on another number of
    ranks.

    \b
    Examples:
      mld-closure run examples/cases/slab_ignition_growth.toml --out slab
      mld-closure run case.toml --out slab --checkpoint-every 500
      mld-closure run case.toml --out slab --restart slab/checkpoints/step-00000500
      mpirun -n 4 mld-closure run case.toml --out slab
    """
    from ..runtime.comm import default_comm
    from ..study.run import run

    comm = default_comm()
    options = {"device": device, "precision": precision, "threads": threads}
    options = {name: value for name, value in options.items() if value is not None}
    with run_progress(comm) as report:
        result = as_one(
            comm,
            lambda: run(
                case_path,
                out,
                comm=comm,
                resume=restart,
                progress=report,
                frames=frames,
                checkpoint_every=checkpoint_every or 0,
                options=options,
            ),
        )
    if comm.rank == 0:
        if as_json:
            print_json(result.summary)
        else:
            print_table(str(out), ["", "result"], result.lines())
            click.echo(f"wrote {', '.join(result.summary['files'])} in {out}")
