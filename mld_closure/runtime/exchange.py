"""Rows of an array between ranks: planned once from where each row goes, then sent there and back.

Why: counts travel once, all rows to one rank lie together, and one collective call moves them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .comm import row_type


class Exchange:
    """Makes plans on a communicator, and counts what they send to other ranks.

    `bytes_sent`, `rows_sent`; `row_sizes`: the sizes (bytes) of such rows.
    """

    def __init__(self, comm: Any) -> None:
        self.comm = comm
        self.bytes_sent: int = 0
        self.rows_sent: int = 0
        self.row_sizes: set[int] = set()

    def plan(self, to: np.ndarray) -> Plan:
        """The plan for rows (k,) that go to ranks `to` (k,). Collective."""
        return Plan(self, np.asarray(to, np.int64))

    def move(self, rows: np.ndarray, send: np.ndarray, receive: np.ndarray) -> np.ndarray:
        """Rows (sum receive, ...) from all ranks for rows sorted by rank, `send` (size,) of them to each."""
        rows = np.ascontiguousarray(rows)
        if self.comm.size == 1:
            return rows
        out = np.empty((int(receive.sum()), *rows.shape[1:]), rows.dtype)
        row_bytes = rows.dtype.itemsize * int(np.prod(rows.shape[1:]))
        kind = row_type(row_bytes)  # counts are in rows, so that their bytes may exceed 2^31
        source, target = (a.reshape(-1).view(np.uint8) for a in (rows, out))
        self.comm.Alltoallv(
            [source, (send, _starts(send)), kind], [target, (receive, _starts(receive)), kind]
        )
        others = int(send.sum() - send[self.comm.rank])
        self.rows_sent += others
        self.bytes_sent += others * row_bytes
        self.row_sizes |= {row_bytes} if others else set()
        return out


class Plan:
    """Where rows (k,) go and what comes in: `count` rows, sorted by rank of origin, `origin` (count,)."""

    def __init__(self, exchange: Exchange, to: np.ndarray) -> None:
        comm = exchange.comm
        self._exchange, self._size, self._to = exchange, comm.size, to
        self._order = np.argsort(to, kind="stable")
        self._send = np.bincount(to, minlength=comm.size).astype(np.int64)
        self._receive = np.empty(comm.size, np.int64)
        comm.Alltoall(self._send, self._receive)
        self.count: int = int(self._receive.sum())
        self.origin: np.ndarray = np.repeat(np.arange(comm.size), self._receive)

    def forward(self, rows: np.ndarray) -> np.ndarray:
        """Send rows (k, ...); returns those received (count, ...). Collective."""
        return self._exchange.move(rows[self._order], self._send, self._receive)

    def back(self, rows: np.ndarray) -> np.ndarray:
        """Send rows (count, ...) back where they came from; returns (k, ...) as first sent. Collective."""
        sorted_rows = self._exchange.move(rows, self._receive, self._send)
        out = np.empty_like(sorted_rows)
        out[self._order] = sorted_rows
        return out

    def back_many(self, rows: np.ndarray, received: np.ndarray, sent: np.ndarray) -> np.ndarray:
        """Send several rows back for each row that came; returns them in the order of the rows first sent.

        received (count,): how many of `rows`, one after the other, belong to each row that came; sent (k,):
        the same for each row first sent. Collective."""
        send = np.bincount(self.origin, received, self._size).astype(np.int64)
        receive = np.bincount(self._to, sent, self._size).astype(np.int64)
        sorted_rows = self._exchange.move(rows, send, receive)
        counts = sent[self._order]
        first = np.cumsum(sent) - sent
        to = np.repeat(first[self._order] - (np.cumsum(counts) - counts), counts) + np.arange(counts.sum())
        out = np.empty_like(sorted_rows)
        out[to] = sorted_rows
        return out


def _starts(counts: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64)
