"""Where the time of a closure goes: seconds in each of its parts.

Why: on a GPU work is only queued when a call returns, so a part ends when the device has done it; that wait
comes once between networks and readout of a micro-batch, whose results are fetched right after.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

import torch

PARTS = ("gather", "encode", "evolve", "readout")


class Cost:
    """Stop watches that exclude each other: a part inside another one is not counted twice.

    `seconds`: by part, since the closure was opened. device: waited for at the end of a part.
    """

    def __init__(self, device: torch.device) -> None:
        self.seconds: dict[str, float] = dict.fromkeys(PARTS, 0.0)
        self._wait = device if device.type == "cuda" else None
        self._running: list[str] = []
        self._since = 0.0

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count the time of the block as that of a part."""
        self._switch()
        self._running.append(name)
        try:
            yield
        finally:
            self._switch()
            self._running.pop()

    def _switch(self) -> None:
        if self._wait is not None:
            torch.cuda.synchronize(self._wait)
        now = perf_counter()
        if self._running:
            self.seconds[self._running[-1]] += now - self._since
        self._since = now
