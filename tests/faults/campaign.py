"""Faults by number: each is drawn from (seed, number) alone, so any of them can be made again by itself.

A kind of fault is a function of a random generator and a `Bench` (what is attacked, made once). It returns
None where everything held, or a sentence that says what did not. Results go to a file, one line each, and a
run goes on where another stopped.
"""

from __future__ import annotations

import json
import signal
import time
import traceback
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

SEED = 20
PATIENCE = 60  # ticks of a second after which a fault counts as one that hangs; a stopped process has none
KINDS: dict[str, Callable[[np.random.Generator, object], str | None]] = {}
WEIGHTS: dict[str, int] = {}


def kind(name: str, weight: int = 1):
    """Register a kind of fault; one of weight 2 is drawn twice as often as one of weight 1."""

    def register(function):
        KINDS[name], WEIGHTS[name] = function, weight
        return function

    return register


class TooLong(BaseException):
    """A fault that hangs."""


@contextmanager
def patience():
    """Raises `TooLong` in what takes more than `PATIENCE` ticks."""
    left = PATIENCE

    def tick(*_):
        nonlocal left
        left -= 1
        if left <= 0:
            raise TooLong

    before = signal.signal(signal.SIGALRM, tick)
    signal.setitimer(signal.ITIMER_REAL, 1.0, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


@dataclass
class Campaign:
    """Faults 0 to `count` - 1 of a seed; `store`: where results are kept, None for nowhere."""

    count: int
    bench: object
    seed: int = SEED
    store: Path | None = None
    results: dict[int, dict] = field(default_factory=dict)

    def __post_init__(self):
        if self.store is not None and self.store.exists():
            for line in self.store.read_text().splitlines():
                try:
                    one = json.loads(line)
                except json.JSONDecodeError:  # cut short by a kill
                    continue
                if one["seed"] == self.seed:
                    self.results[one["number"]] = one

    def kind_of(self, number: int) -> str:
        """The kind of a fault."""
        bag = [name for name in KINDS for _ in range(WEIGHTS[name])]
        round_, place = divmod(number, len(bag))
        return bag[np.random.default_rng([self.seed, 1, round_]).permutation(len(bag))[place]]

    def one(self, number: int) -> dict:
        """Make a fault, and say what became of it."""
        name, begun = self.kind_of(number), time.perf_counter()
        try:
            with patience():
                why = KINDS[name](np.random.default_rng([self.seed, 2, number]), self.bench)
        except TooLong:
            why = f"hung for {PATIENCE} ticks of a second"
        except Exception as err:
            where = traceback.extract_tb(err.__traceback__)[-1]
            why = f"{type(err).__name__}: {str(err)[:200]} ({Path(where.filename).name}, line {where.lineno})"
        return {"seed": self.seed, "number": number, "kind": name, "held": why is None, "why": why,
                "seconds": round(time.perf_counter() - begun, 4)}  # fmt: skip

    def run(self, numbers=None) -> None:
        """Make all faults that have not been made."""
        missing = [n for n in (range(self.count) if numbers is None else numbers) if n not in self.results]
        file = None if self.store is None else open(self.store, "a")  # noqa: SIM115 (closed below)
        try:
            for number in missing:
                self.results[number] = self.one(number)
                if file is not None:
                    file.write(json.dumps(self.results[number]) + "\n")
                    file.flush()
        finally:
            if file is not None:
                file.close()

    @property
    def failures(self) -> list[dict]:
        """What did not hold."""
        return [one for one in self.results.values() if not one["held"]]

    def table(self) -> str:
        """Markdown: kind, tried, held."""
        rows = ["| kind | tried | held |", "|---|---|---|"]
        for name in KINDS:
            found = [one for one in self.results.values() if one["kind"] == name]
            rows.append(f"| {name} | {len(found)} | {sum(one['held'] for one in found)} |")
        held = sum(one["held"] for one in self.results.values())
        return "\n".join([*rows, f"| **all** | **{len(self.results)}** | **{held}** |"])

    def reproductions(self) -> str:
        """A line for each fault that did not hold: how to make it again, and what it did."""
        return "\n".join(
            f"pytest -n0 tests/faults -k draw --fault {one['number']} --fault-seed {one['seed']}"
            f"  # {one['kind']}: {one['why']}"
            for one in self.failures
        )
