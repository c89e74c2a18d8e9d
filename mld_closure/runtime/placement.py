"""Which ranks serve latents, and which of them takes a new cell: functions of numbers that all ranks know."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

SERVING = ("auto", "all", "1 per node", "1 per device")


def local_ranks(nodes: Sequence[str]) -> np.ndarray:
    """Number (size,) of each rank among those on its node, from the node's name of every rank."""
    seen: dict[str, int] = {}
    out = np.empty(len(nodes), np.int64)
    for rank, node in enumerate(nodes):
        out[rank] = seen.get(node, 0)
        seen[node] = out[rank] + 1
    return out


def serving_ranks(serving: str, nodes: Sequence[str], devices: Sequence[int]) -> np.ndarray:
    """The ranks that hold a network and serve latents, rising.

    serving: `all`; `1 per node`; `1 per device`, the first ranks of a node, one for each of its GPUs; `auto`:
    1 per device where there are GPUs, else all. nodes: name of each rank's node; devices: GPUs that each rank
    sees. Raises ValueError for another word, and where no rank would serve.
    """
    if serving not in SERVING:
        raise ValueError(f"serving '{serving}': choose {' | '.join(SERVING)}")
    local, devices = local_ranks(nodes), np.asarray(devices)
    if serving == "auto":
        serving = "1 per device" if devices.any() else "all"
    if serving == "all":
        return np.arange(len(nodes))
    limit = np.ones(len(nodes)) if serving == "1 per node" else devices
    chosen = np.flatnonzero(local < limit)
    if not len(chosen):
        raise ValueError("serving '1 per device', but no rank sees a GPU; use serving='all'")
    return chosen


def assign(loads: np.ndarray, count: int) -> np.ndarray:
    """Server (count,) of each of `count` new cells, given the cells (servers,) that every server has.

    Each cell goes to the least loaded server, the first of several; the servers come out in that order.
    """
    loads = np.asarray(loads, np.int64)
    if not count:
        return np.empty(0, np.int64)
    ordered = np.sort(loads)
    room = np.arange(1, len(loads)) * ordered[1:] - np.cumsum(ordered[:-1])  # cells that fill up to each load
    filled = int((room < count).sum()) + 1  # servers that get any
    level = (int(ordered[:filled].sum()) + count) // filled + 1  # no server ends above this
    takes = np.clip(level - loads, 0, None)
    server = np.repeat(np.arange(len(loads)), takes)
    first = np.repeat(np.cumsum(takes) - takes, takes)
    height = loads[server] + np.arange(len(server)) - first
    return server[np.lexsort((server, height))[:count]]


def place(due: np.ndarray, held: np.ndarray, count: int) -> np.ndarray:
    """Server (count,) of each of `count` cells that start now.

    due: cells (servers,) of every server that take a model step now, as those that start do, and will again
    whenever those do; held: all its cells, which decide between servers that have as many due.
    """
    order = np.argsort(held, kind="stable")
    return order[assign(np.asarray(due)[order], count)]


def spread(count: int, servers: int) -> np.ndarray:
    """Server (count,) of each of `count` cells in a row, in blocks as even as can be."""
    return np.arange(count) * servers // max(count, 1)


def imbalance(loads: np.ndarray) -> float:
    """Greatest load over the mean, minus 1; 0 where there is no load."""
    mean = float(np.mean(loads))
    return float(np.max(loads)) / mean - 1.0 if mean > 0 else 0.0
