"""The progress bar of a macro run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from .output import progress


@contextmanager
def run_progress(comm: Any) -> Iterator[Callable[[Any], None]]:
    """A bar on rank 0, moved by the reports (`study.run.Progress`) that are given to what this yields."""
    if comm.rank != 0:
        yield lambda now: None
        return
    with progress() as bar:
        task = bar.add_task("shock, % of the time", total=100, status="")

        def report(now: Any) -> None:
            status = f"{now.active_cells} active cells, front at {1e3 * now.front:.2f} mm"
            bar.update(task, completed=int(100 * now.time / now.end_time), status=status)

        yield report
