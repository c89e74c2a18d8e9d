"""`mld-closure campaign`: make all data files of a plan."""

from __future__ import annotations

from pathlib import Path

import click

from mld_closure.cli.output import CaseBar, json_option, print_json, progress


@click.command()
@click.argument("plan")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder of the data files."
)
@click.option(
    "--workers", type=click.IntRange(1), default=1, show_default=True, help="Processes (of each rank)."
)
@json_option
def command(plan: str, out: Path, workers: int, as_json: bool) -> None:
    """Make all data files of PLAN: `wall`, or a TOML file with sets of cases.

    Each set has a preset of `simulate`, a seed and a number of cases for each round; a round is finished for
    all sets before the next one begins and lengthens the same files, which can be used meanwhile. Killed and
    started again with the same plan, it goes on where it was and ends with the same data. Under mpirun the
    cases are dealt out to the ranks.

    \b
    Example:
      mld-closure campaign wall --out data --workers 2
    """
    from mld_closure.data.trajectories import Trajectories
    from mld_closure.runtime.comm import default_comm
    from mld_closure.simulation import load_plan, simulate_plan

    comm = default_comm()
    with progress() as bar:
        cases = CaseBar(bar, plan, comm)

        def started(name: str, n_done: int, n_all: int) -> None:
            cases.started(n_done, n_all, name)

        files = simulate_plan(
            load_plan(plan), out, workers=workers, comm=comm, started=started, done=cases.done
        )
    if comm.rank != 0:
        return
    summary = []
    for path in files:
        with Trajectories(path) as data:
            summary.append({"file": str(path), "cases": data.n_cases, "failures": data.failures,
                            "bytes": path.stat().st_size})  # fmt: skip
    if as_json:
        print_json(summary)
        return
    for row in summary:
        click.echo(f"{row['file']}: {row['cases']} cases, {len(row['failures'])} failed, "
                   f"{row['bytes'] / 1e6:.1f} MB")  # fmt: skip
