"""A meeting place for facts about cells that lie on different ranks: each id has one rank where they meet."""

from __future__ import annotations

import numpy as np

from .exchange import Exchange, Plan

_MIX = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: spreads ids evenly (Knuth, TAOCP 3, 6.4)


def meeting_rank(ids: np.ndarray, size: int) -> np.ndarray:
    """The rank (n,) where facts about each of these ids (n,) meet."""
    return ((ids.astype(np.uint64) * _MIX) >> np.uint64(33)).astype(np.int64) % size


def meet(exchange: Exchange, ids: np.ndarray) -> tuple[Plan, np.ndarray]:
    """A plan that takes rows about ids (n,) to their meeting ranks; the ids that meet here. Collective."""
    plan = exchange.plan(meeting_rank(ids, exchange.comm.size))
    return plan, plan.forward(ids)


def repeated(exchange: Exchange, ids: np.ndarray) -> np.ndarray:
    """Ids that meet here and that were named more than once on all ranks together. Collective."""
    _, met = meet(exchange, ids)
    values, counts = np.unique(met, return_counts=True)
    return values[counts > 1]
