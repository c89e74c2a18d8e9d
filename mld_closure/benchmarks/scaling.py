"""Past this machine: the placement rule played through on up to 10,000 ranks, with a model of the network.

Macro cells lie in a square of square blocks, one per rank. A shock runs through it, plane or from a corner;
every cell it reaches is placed by the rule that the transport uses, takes a model step in some of the macro
steps, and ends after a number of steps of its own. Only the placement is simulated, no model is run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..runtime.placement import imbalance, place
from ..runtime.server import ANSWER, MOVE, READING, REQUEST

Shock = Literal["planar", "point"]
SETTLES = 5  # times that all ranks compare notes in a step
EXCHANGES = 3  # requests, answers, and what is kept


@dataclass(frozen=True)
class Machine:
    """What a machine is assumed to take.

    Parameters
    ----------
    cell : float
        Seconds of a model step of a cell.
    hydro : float
        Seconds per macro cell and step.
    latency : float
        Seconds of a message.
    partner : float
        Seconds for each rank in an all-to-all exchange, even where nothing goes there.
    bandwidth : float
        Of a rank, in bytes per second.
    """

    cell: float
    hydro: float = 2e-7
    latency: float = 2e-6
    partner: float = 2e-7
    bandwidth: float = 1e10

    def exchange(self, ranks: int, most_rows: float) -> float:
        """Seconds per step in exchanges, where `most_rows` requests lie on one rank."""
        tree = self.latency * np.log2(max(ranks, 2))
        settle = tree + 40 * ranks / self.bandwidth
        counts = tree + 8 * ranks / self.bandwidth
        row_bytes = REQUEST.itemsize + ANSWER.itemsize + READING.itemsize + MOVE.itemsize + 4
        rows = EXCHANGES * (tree + self.partner * ranks) + most_rows * row_bytes / self.bandwidth
        return SETTLES * settle + 2 * counts + rows


@dataclass(frozen=True)
class Scaling:
    """What was found for a number of ranks.

    Attributes
    ----------
    ranks : int
        Their number.
    active : float
        Served cells per rank, mean over ranks and steps.
    imbalance : float
        Greatest over mean number of served cells, less 1, mean over steps.
    efficiency : float
        Time of useful work over time taken, with cells placed by the rule.
    owner_efficiency : float
        The same if every rank served its own cells.
    exchange : float
        Share of the time spent in exchanges.
    """

    ranks: int
    active: float
    imbalance: float
    efficiency: float
    owner_efficiency: float
    exchange: float


def play(
    ranks: int,
    shock: Shock,
    machine: Machine,
    *,
    block: int = 32,
    speed: float = 0.2,
    service: tuple[int, int] = (20, 40),
    every: int = 1,
    steps: int = 60,
    seed: int = 0,
) -> Scaling:
    """Play a shock that has come half way through.

    By default macro steps are as long as the flow allows, about a model step.

    Parameters
    ----------
    ranks : int
        Number of ranks, rounded to a square.
    shock : str
        `planar`, or `point`: from a corner.
    machine : Machine
        What things take.
    block : int
        Cells along a side of each rank's block.
    speed : float
        Of the shock, in cells per step.
    service : tuple of int
        Fewest and most steps for which a cell is served, equally likely.
    every : int
        Macro steps to a model step.
    steps : int
        Steps that are counted, after the first cells have ended.
    seed : int
        Of the numbers of steps.
    """
    across = max(round(ranks**0.5), 1)
    ranks = across**2
    rng = np.random.default_rng(seed)
    placed, owned = (np.zeros((every, ranks), np.int64) for _ in range(2))  # by the steps they take
    ends: dict[int, list[tuple[int, np.ndarray, np.ndarray]]] = {}
    useful = spent = owner_spent = talk = active = 0.0
    uneven = []
    for step, owner in enumerate(_arrivals(shock, across, block, speed, service[1] + steps)):
        for phase, server, was in ends.pop(step, []):
            placed[phase] -= np.bincount(server, minlength=ranks)
            owned[phase] -= np.bincount(was, minlength=ranks)
        now = step % every
        server = place(placed[now], placed.sum(axis=0), len(owner))
        placed[now] += np.bincount(server, minlength=ranks)
        owned[now] += np.bincount(owner, minlength=ranks)
        end = step + rng.integers(service[0], service[1] + 1, len(owner))
        for when in np.unique(end):
            ends.setdefault(int(when), []).append((now, server[end == when], owner[end == when]))
        if step < service[1]:
            continue
        flow = machine.hydro * block**2
        exchange = machine.exchange(ranks, owned[now].max()) if ranks > 1 else 0.0
        useful += flow + machine.cell * placed[now].mean()
        spent += flow + machine.cell * placed[now].max() + exchange
        owner_spent += flow + machine.cell * owned[now].max() + SETTLES * machine.latency * np.log2(ranks)
        talk += exchange
        active += placed.sum() / ranks / steps
        uneven.append(imbalance(placed.sum(axis=0)))
    return Scaling(ranks, active, float(np.mean(uneven)), useful / spent, useful / owner_spent, talk / spent)


def _arrivals(shock: Shock, across: int, block: int, speed: float, steps: int) -> Iterator[np.ndarray]:
    """Owners (k,) of the cells that the shock reaches in each step, from half way through on."""
    side = across * block
    begin = max(side // 2 - int(0.5 * speed * steps), 0)
    if shock == "planar":
        rows = np.arange(side) // block * across
        for step in range(steps):
            first, last = (begin + int(speed * s) for s in (step, step + 1))
            columns = np.arange(first, min(last, side))
            yield (rows[:, None] + columns // block).ravel()
        return
    y = np.arange(side, dtype=np.float64)
    for step in range(steps):
        r0, r1 = begin + speed * step, begin + speed * (step + 1)
        low, high = (np.ceil(np.sqrt(np.maximum(r * r - y * y, 0.0))).astype(np.int64) for r in (r0, r1))
        low, high = (np.where(y < r, n, 0) for r, n in ((r0, low), (r1, high)))
        low, high = np.minimum(low, side), np.minimum(high, side)
        count = np.maximum(high - low, 0)
        row = np.repeat(np.arange(side), count)
        column = low[row] + np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
        yield row // block * across + column // block
