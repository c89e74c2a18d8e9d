"""Commands on several ranks: one line for an error of any of them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import click


def as_one(comm: Any, work: Callable[[], Any]) -> Any:
    """What work() returns on this rank.

    An error that all ranks share is reported by rank 0 alone; an error of one rank ends the whole job.
    """
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
