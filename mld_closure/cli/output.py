"""What every command prints with: one progress bar, one table, one JSON form."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table


def json_option(command: Any) -> Any:
    """Adds `--json` to a command, as the argument `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")(command)


def progress() -> Progress:
    """A progress bar on standard error: description, bar, count, elapsed and remaining time, status text.

    Shows nothing where standard error is not a terminal.
    """
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[status]}"),
        console=console,
        disable=not console.is_terminal,
    )


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print rows under column heads; numbers are given as text by the caller or shown with 4 digits."""
    table = Table(title=escape(title), title_justify="left")
    for i, name in enumerate(columns):
        table.add_column(escape(name), justify="left" if i == 0 else "right")
    for row in rows:
        table.add_row(*(escape(f"{v:.4g}" if isinstance(v, float) else str(v)) for v in row))
    Console().print(table)


def print_json(value: Any) -> None:
    """Print a JSON document on standard output."""
    click.echo(json.dumps(value, indent=2, allow_nan=False, default=_number))


def _number(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"cannot print {type(value).__name__} as JSON")


class CaseBar:
    """A bar over the cases of a campaign, which this process of a communicator shares with others."""

    def __init__(self, bar: Progress, what: str, comm: Any) -> None:
        self._bar, self._comm, self._failed = bar, comm, 0
        self._task = bar.add_task(what, total=None, status="", visible=comm.rank == 0)

    def started(self, n_done: int, n_all: int, what: str | None = None) -> None:
        """n_done of n_all cases are there already; what: the set that they belong to."""
        self._failed = 0
        mine = len(range(self._comm.rank, n_all - n_done, self._comm.size))
        self._bar.update(self._task, total=n_done + mine, completed=n_done, status="")
        if what is not None:
            self._bar.update(self._task, description=what)

    def done(self, index: int, reason: str | None) -> None:
        """A case is done, or has failed for a reason."""
        if reason is not None:
            self._failed += 1
            self._bar.console.print(f"case {index} failed: {reason}")
        self._bar.update(self._task, advance=1, status=f"{self._failed} failed" if self._failed else "")
