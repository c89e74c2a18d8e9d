"""Which rank owns which cell: what ranks agree on when cells are registered, and cells that change owners."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np

from ..closure.cells import COLUMNS, Cells, CellState, columns_dtype
from ..closure.sources import DirectPatches, Sources, SpecimenPatches
from ..errors import ClosureError, name_cells, name_ranks
from .agree import Attempt, same_everywhere
from .home import repeated
from .server import DIRECT
from .transport import Transport

_SIDE = 64  # pixels of the corner by which specimens are compared
_MIGRANT = np.dtype(
    [("id", "i8"), ("specimen", "i4"), ("offset", "f8", (2,)), ("state", columns_dtype(COLUMNS))]
)


class Ownership:
    """Who owns which cell, over the ranks of a transport. All methods are collective."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def agree_on_patches(
        self, call: Attempt, count: int, patches: Any, specimen: Any
    ) -> tuple[int, int] | None:
        """The size (ny, nx) of the patches that any rank gives, None where none does.

        count: cells that this rank registers. Raises ClosureError, on all ranks, for patches of different
        sizes, and for specimens that are not the same or not given on every rank."""
        shape = call(_shape, count, patches) or (0, 0)
        looks = call(_looks, specimen) if specimen is not None else None
        every = self._transport.settle(call, specimen is not None, count, *shape)
        shapes = np.unique(every[every[:, 2] > 0, 2:].astype(np.int64), axis=0)
        call(_check_alike, every, shapes)
        self._transport.settle(call)
        if looks is not None and self._transport.size > 1:
            same_everywhere(self._transport.comm, looks)
        return (int(shapes[0][0]), int(shapes[0][1])) if len(shapes) else None

    def check_new(self, call: Attempt, ids: np.ndarray) -> None:
        """ClosureError, on all ranks, where an id is named twice on all ranks together; ids (n,) of this
        one."""
        if self._transport.size == 1:
            return
        again, ranks = repeated(self._transport.exchange, ids)
        if self._transport.settle(call, len(again)).any():
            raise _named_twice(self._transport.comm.allgather((again, ranks)))

    def use(self, specimen: Any) -> None:
        """Number a specimen that cells were registered with. The same call on every rank."""
        known = self._transport.specimens
        if specimen is not None and not any(specimen is other for other in known.values()):
            known[next(n for n in range(len(known) + 1) if n not in known)] = specimen

    def drop_unused(self, call: Attempt, sources: Sources) -> None:
        """Forget specimens from which no rank cuts patches any more."""
        for number in list(self._transport.specimens):
            here = sources.in_use(self._transport.specimens[number])
            if not self._transport.settle(call, here).any():
                del self._transport.specimens[number]

    def migrate(
        self, call: Attempt, cells: Cells, sources: Sources, ids: np.ndarray, new_owner: Any
    ) -> tuple[np.ndarray, list[tuple[np.ndarray, CellState, Any]]]:
        """Send cells (k,) of this rank to new owners (k,), or to one rank; nothing is changed here.

        Cells whose owner stays the same stay where they are. Returns the rows that leave, and what comes:
        (ids, states, source of their patches) by source."""
        to = call(_owners, ids, new_owner, self._transport.size)
        if to is not None:
            ids, to = ids[to != self._transport.rank], to[to != self._transport.rank]
        rows = call(cells.rows, ids)
        packed = call(self._pack, cells, sources, rows)
        direct = None if packed is None else packed["specimen"] == DIRECT
        patches = call(self._patches, sources, rows, direct)
        self._transport.settle(call)
        exchange = self._transport.exchange
        come = exchange.plan(to).forward(packed)
        patches = exchange.plan(to[direct]).forward(patches)
        arrivals = []
        for number in np.unique(come["specimen"]):
            mine = come[come["specimen"] == number]
            if number == DIRECT:
                source: Any = DirectPatches(patches)
            else:
                specimen = self._transport.specimens[int(number)]
                source = SpecimenPatches(specimen, mine["offset"], self._transport.shape)
            arrivals.append((mine["id"].copy(), CellState.unpack(mine["state"]), source))
        return rows, arrivals

    def _pack(self, cells: Cells, sources: Sources, rows: np.ndarray) -> np.ndarray:
        out = np.empty(len(rows), _MIGRANT)
        out["id"], out["state"] = cells.ids[rows], cells.state.take(rows).pack()
        out["specimen"], out["offset"] = self._transport.origins(sources, rows)
        return out

    def _patches(self, sources: Sources, rows: np.ndarray, direct: np.ndarray) -> np.ndarray:
        if direct.any():
            return sources.gather(rows[direct])
        return np.empty((0, *(self._transport.shape or (1, 1))), np.float32)


def _shape(count: int, patches: Any) -> tuple[int, int]:
    """Size of the patches given here, (0, 0) where none are."""
    if patches is None or not count:
        return (0, 0)
    shape = np.shape(patches)
    if len(shape) != 3:
        raise ClosureError(f"patches of shape {shape}; expected (cells, ny, nx)")
    return shape[1:]


def _check_alike(every: np.ndarray, shapes: np.ndarray) -> None:
    if len(shapes) > 1:
        raise ClosureError(f"ranks give patches of different sizes: {shapes.tolist()}")
    if every[:, 0].any() and not every[:, 0].all():
        lacks = np.flatnonzero(every[:, 0] == 0)[0]
        raise ClosureError(f"rank {lacks} gives no specimen; open it on every rank, cells or not")


def _named_twice(found: list[tuple[np.ndarray, np.ndarray]]) -> ClosureError:
    """The error, the same on all ranks, for ids and the ranks that named them, as found on every rank."""
    ids, ranks = (np.unique(np.concatenate(column)) for column in zip(*found, strict=True))
    error = ClosureError(
        f"{name_cells(ids)} registered on {name_ranks(ranks)}; every id stands for one cell of one rank", ids
    )
    error.everywhere = True
    return error


def _looks(specimen: Any) -> list[tuple[str, Any]]:
    """What tells one specimen from another."""
    ny, nx = (min(_SIDE, n) for n in specimen.shape)
    corner = zlib.crc32(np.ascontiguousarray(specimen.window(0, 0, nx, ny)))
    return [
        ("size of the specimen", tuple(specimen.shape)),
        ("pixel of the specimen", float(specimen.pixel)),
        ("checksum of the specimen's corner", corner),
    ]


def _owners(ids: np.ndarray, new_owner: Any, size: int) -> np.ndarray:
    to = np.asarray(new_owner)
    if not len(ids):
        return np.empty(0, np.int64)
    if to.dtype.kind not in "iu" or to.shape not in ((), ids.shape):
        raise ClosureError(f"{len(ids)} cells but new owners of shape {to.shape}; give one each, or one rank")
    to = np.broadcast_to(to, ids.shape).astype(np.int64)
    bad = (to < 0) | (to >= size)
    if bad.any():
        there = f"there are {size} ranks" if size > 1 else "this closure has one rank, 0"
        raise ClosureError(f"{name_cells(ids[bad])} to rank {to[bad][0]}; {there}", ids[bad])
    return to
