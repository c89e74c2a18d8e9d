"""Pairs of results, one served and one computed beside it, kept as steps are committed."""

from __future__ import annotations

import numpy as np

MOST = 100_000  # pairs kept, the latest ones


class Pairs:
    """Rows of one structured type: pending while a step is open, then kept, the latest `MOST` of them."""

    def __init__(self, dtype: np.dtype) -> None:
        self.dtype = dtype
        self._pending: list[np.ndarray] = []
        self._kept: list[np.ndarray] = []
        self._count = 0

    def add(self, rows: np.ndarray) -> None:
        """Take rows (k,) that belong to the open step."""
        self._pending.append(rows)

    def commit(self) -> None:
        """Keep what was added since the last commit."""
        self._kept += self._pending
        self._count += sum(map(len, self._pending))
        self._pending = []
        while self._kept and self._count - len(self._kept[0]) >= MOST:
            self._count -= len(self._kept.pop(0))

    def rollback(self) -> None:
        """Forget what was added since the last commit."""
        self._pending = []

    def records(self) -> np.ndarray:
        """The rows kept (n,)."""
        return np.concatenate(self._kept) if self._kept else np.empty(0, self.dtype)
