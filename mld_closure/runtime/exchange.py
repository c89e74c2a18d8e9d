"""Rows of an array between ranks: planned once from where each row goes, then sent there and back.

Why: counts travel once, all rows to one rank lie together, and one collective call moves them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

_WIDTHS = (8, 4, 2, 1)


class Exchange:
    """Makes plans on a communicator, and counts what they send to other ranks: `bytes_sent`, `rows_sent`."""

    def __init__(self, comm: Any) -> None:
        self.comm = comm
        self.bytes_sent = self.rows_sent = 0

    def plan(self, to: np.ndarray) -> Plan:
        """The plan for rows (k,) that go to ranks `to` (k,). Collective."""
        return Plan(self, np.asarray(to, np.int64))

    def move(self, rows: np.ndarray, send: np.ndarray, receive: np.ndarray) -> np.ndarray:
        """Rows (sum receive, ...) from all ranks for rows sorted by rank, `send` (size,) of them to each."""
        rows = np.ascontiguousarray(rows)
        out = np.empty((int(receive.sum()), *rows.shape[1:]), rows.dtype)
        row_bytes = rows.dtype.itemsize * int(np.prod(rows.shape[1:]))
        width = next(w for w in _WIDTHS if row_bytes % w == 0)
        per_row = row_bytes // width
        if max(send.sum(), receive.sum()) * per_row >= 2**31:
            raise OverflowError(f"{max(send.sum(), receive.sum()) * row_bytes} bytes in one message")
        source, target = (a.reshape(-1).view(np.uint8).view(f"u{width}") for a in (rows, out))
        self.comm.Alltoallv(
            [source, (send * per_row, _starts(send) * per_row)],
            [target, (receive * per_row, _starts(receive) * per_row)],
        )
        others = int(send.sum() - send[self.comm.rank])
        self.rows_sent += others
        self.bytes_sent += others * row_bytes
        return out


class Plan:
    """Where rows (k,) go and what comes in: `count` rows, sorted by rank of origin, `origin` (count,)."""

    def __init__(self, exchange: Exchange, to: np.ndarray) -> None:
        comm = exchange.comm
        self._exchange = exchange
        self._order = np.argsort(to, kind="stable")
        self._send = np.bincount(to, minlength=comm.size).astype(np.int64)
        self._receive = np.empty(comm.size, np.int64)
        comm.Alltoall(self._send, self._receive)
        self.count = int(self._receive.sum())
        self.origin = np.repeat(np.arange(comm.size), self._receive)

    def forward(self, rows: np.ndarray) -> np.ndarray:
        """Send rows (k, ...); returns those received (count, ...). Collective."""
        return self._exchange.move(rows[self._order], self._send, self._receive)

    def back(self, rows: np.ndarray) -> np.ndarray:
        """Send rows (count, ...) back where they came from; returns (k, ...) as first sent. Collective."""
        sorted_rows = self._exchange.move(rows, self._receive, self._send)
        out = np.empty_like(sorted_rows)
        out[self._order] = sorted_rows
        return out


def _starts(counts: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64)
