"""Many cases: spread over worker processes and ranks, resumable, one failure at a time.

Why: workers are processes started afresh, and end by themselves when their parent is killed, so that a
campaign killed at any instant leaves nothing running that writes beside its successor.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing.connection import wait
from typing import Any, Protocol

import numpy as np

from mld_closure.dns.cases import CaseConfig, simulate_case


class Store(Protocol):
    """Where cases go: durable when `write` or `fail` returns, safe for several writing processes."""

    def write(self, index: int, arrays: dict[str, np.ndarray], scalars: dict, description: dict) -> None:
        """Keep a finished case."""

    def fail(self, index: int, reason: str) -> None:
        """Keep the reason why there is no such case."""


def make_case(config: CaseConfig, seed: int, index: int, store: Store) -> str | None:
    """Simulate a case and store it, or store why it failed; returns the reason, None for a good case."""
    try:
        movie = simulate_case(config, seed, index)
    except (ValueError, ArithmeticError, RuntimeError) as err:
        reason = f"{type(err).__name__}: {err}"
        store.fail(index, reason)
        return reason
    store.write(index, *movie)
    return None


def run(
    config: CaseConfig,
    seed: int,
    indices: Sequence[int],
    store: Store,
    *,
    workers: int = 1,
    done: Callable[[int, str | None], Any] | None = None,
) -> None:
    """Make the cases `indices`, `workers` at a time; `done(index, reason)` is called after each."""
    for index, reason in _results(config, seed, indices, store, workers):
        if done is not None:
            done(index, reason)


def _results(
    config: CaseConfig, seed: int, indices: Sequence[int], store: Store, workers: int
) -> Iterator[tuple[int, str | None]]:
    if workers <= 1 or len(indices) <= 1:
        for index in indices:
            yield index, make_case(config, seed, index, store)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(indices)), context, _end_with_parent) as pool:
        cases = {pool.submit(make_case, config, seed, index, store): index for index in indices}
        try:
            for case in as_completed(cases):
                yield cases[case], case.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _end_with_parent() -> None:
    """Worker start: a thread that ends this process as soon as the parent is gone."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
