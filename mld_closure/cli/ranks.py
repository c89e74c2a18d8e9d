"""Commands on several ranks: one progress bar, one summary, and one line for an error of any of them."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import click

from .output import progress


def as_one(comm: Any, work: Callable[[], Any]) -> Any:
    """What work() returns. An error that all ranks share is rank 0's to tell; any other one ends the job."""
    try:
        return work()
    except Exception as err:
        if comm.size == 1:
            raise
        if not getattr(err, "everywhere", False):
            click.echo(f"mld-closure: rank {comm.rank}: {' '.join(str(err).split())}", err=True)
            comm.Abort(2)
        if comm.rank == 0:
            raise
        sys.exit(2)


def complete(run: Any, begun: float, status: Callable[[Any], str]) -> dict[str, Any] | None:
    """Take a `CaseRun` to its end under a progress bar, and close it; returns the summary on rank 0.

    begun: of the command (`time.perf_counter`). status(run): words beside the bar. Raises the same error
    everywhere. Collective.
    """
    from ..runtime.agree import Attempt
    from ..study.results import write_results

    attempt = Attempt(run.comm)
    try:
        with progress() if run.leads else nullcontext() as bar:
            if bar is None:
                run.go()
            else:
                task = bar.add_task("shock, % of the time", total=100, status="")
                run.go(
                    lambda r: bar.update(
                        task, completed=int(100 * r.solver.time / r.case.end_time), status=status(r)
                    )
                )
        summary = attempt(write_results, run, time.perf_counter() - begun) if run.leads else None
        attempt.settle()
    finally:
        run.close()
    return summary
