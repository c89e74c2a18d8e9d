"""The home rank of an id: the one rank where facts about a cell, held by different ranks, come together."""

from __future__ import annotations

import numpy as np

from ..ids import mixed
from .exchange import Exchange, Plan


def home_rank(ids: np.ndarray, size: int) -> np.ndarray:
    """The rank (n,) where facts about each of these ids (n,) come together."""
    return (mixed(ids) >> np.uint64(33)).astype(np.int64) % size


def send_home(exchange: Exchange, ids: np.ndarray) -> tuple[Plan, np.ndarray]:
    """A plan that takes rows about ids (n,) to their home ranks; the ids that come here. Collective."""
    plan = exchange.plan(home_rank(ids, exchange.comm.size))
    return plan, plan.forward(ids)


def repeated(exchange: Exchange, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ids whose home is here and that were named more than once on all ranks together, and the ranks that
    named them: (k,) and (k,), one row for each time. Collective."""
    plan, come = send_home(exchange, ids)
    values, counts = np.unique(come, return_counts=True)
    again = np.isin(come, values[counts > 1])
    return come[again], plan.origin[again]
