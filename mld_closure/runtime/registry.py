"""Which rank owns which cell: registration, its end, and migration, each on all ranks or on none."""

from __future__ import annotations

import typing
import zlib
from typing import Any

import numpy as np

from ..closure.cells import CELL, NO_SLOT
from ..closure.inputs import id_array
from ..closure.policies import ClosureError, cells
from ..closure.sources import DirectPatches, SpecimenPatches
from .agree import Attempt, same_everywhere
from .directory import repeated
from .serving import DIRECT, MOVE

if typing.TYPE_CHECKING:
    from .service import DistributedClosure

_SIDE = 64  # pixels of the corner by which specimens are compared
_MIGRANT = np.dtype(
    [("id", "i8"), ("pressure", "f8"), ("porosity", "f8"), ("specimen", "i4"), ("offset", "f8", (2,))]
    + [(name, CELL.fields[name][0]) for name in CELL.names]
)


def register(
    closure: DistributedClosure, ids: Any, patches: Any, specimen: Any, offsets: Any, pixel: float | None
) -> None:
    """Add cells; see `DistributedClosure.register`."""
    comm, attempt = closure.comm, Attempt(closure.comm)
    ids = attempt(_new_ids, closure, ids)
    shape = attempt(_shape, closure, ids, patches) or (0, 0)
    every = attempt.settle(specimen is not None, len(ids) if ids is not None else 0, *shape)
    shapes = np.unique(every[every[:, 2] > 0, 2:].astype(np.int64), axis=0)
    attempt(_check_alike, closure, every, shapes)
    attempt.settle()
    if specimen is not None:
        same_everywhere(comm, _looks(specimen))
    if closure.server is None and len(shapes):
        attempt(closure._prepare, tuple(int(n) for n in shapes[0]))
        attempt.settle()
    again = repeated(closure.exchange, np.concatenate([closure.cells.ids, ids]))
    attempt(_refuse, again)
    attempt.settle()
    if specimen is None and not len(ids):
        patches = np.empty((0, *(closure.settings.patch_shape or (1, 1))), np.float32)
    elif specimen is not None and not len(ids):
        offsets = np.empty((0, 2))
    if len(ids) or closure.settings.patch_shape is not None:
        attempt(closure.add, ids, patches, specimen, offsets, pixel)
    done = attempt.error is None
    try:
        attempt.settle()
    except (ClosureError, FileNotFoundError):
        if done and len(ids):
            closure._drop(closure.cells.rows(ids))
        raise
    if specimen is not None and not any(specimen is known for known in closure.specimens):
        closure.specimens.append(specimen)


def unregister(closure: DistributedClosure, ids: Any) -> None:
    """Forget cells; see `DistributedClosure.unregister`."""
    attempt = Attempt(closure.comm)
    rows = attempt(_own_rows, closure, ids, "unregister cells")
    attempt.settle()
    record = closure.cells.record[rows]
    served = record["slot"] != NO_SLOT
    moves = np.zeros(int(served.sum()), MOVE)
    moves["id"] = closure.cells.ids[rows[served]]
    plan = closure.exchange.plan(record["slot"][served])
    freed = plan.forward(moves)
    if closure.server is not None:
        closure.server.apply(freed, closure.time or 0.0)
    closure._drop(rows)


def migrate(closure: DistributedClosure, ids: Any, new_owner: Any) -> None:
    """Hand cells to other owners; see `DistributedClosure.migrate`."""
    attempt = Attempt(closure.comm)
    rows = attempt(_own_rows, closure, ids, "migrate cells")
    to = attempt(_owners, closure, rows, new_owner)
    packed = attempt(_pack, closure, rows)
    attempt.settle()
    direct = packed["specimen"] == DIRECT
    patches = np.empty((0, *(closure.settings.patch_shape or (1, 1))), np.float32)
    patches = closure.sources.gather(rows[direct]) if direct.any() else patches
    plan = closure.exchange.plan(to)
    come, patches = plan.forward(packed), closure.exchange.plan(to[direct]).forward(patches)
    closure._drop(rows)
    order = np.arange(len(come))
    for number in np.unique(come["specimen"]):
        mine = order[come["specimen"] == number]
        if number == DIRECT:
            source: Any = DirectPatches(patches)
        else:
            source = SpecimenPatches(
                closure.specimens[number], come["offset"][mine], closure.settings.patch_shape
            )
        _arrive(closure, come[mine], source)


def origins(closure: DistributedClosure, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number of the specimen (k,) of each row's patch, DIRECT without one, and its offset (k, 2) in m."""
    sources, which, offsets = closure.sources.origins(rows)
    numbers = np.array([_number(closure, source) for source in sources] + [DIRECT], np.int32)
    return numbers[which], offsets


def _number(closure: DistributedClosure, source: Any) -> int:
    if not isinstance(source, SpecimenPatches):
        return DIRECT
    return next(k for k, known in enumerate(closure.specimens) if known is source.specimen)


def _new_ids(closure: DistributedClosure, ids: Any) -> np.ndarray:
    closure._no_step("register cells")
    return id_array(ids) if np.size(ids) else np.empty(0, np.int64)


def _shape(closure: DistributedClosure, ids: np.ndarray, patches: Any) -> tuple[int, int]:
    """Size of the patches given here, (0, 0) where none are."""
    if patches is None or not len(ids):
        return (0, 0)
    shape = np.shape(patches)
    if len(shape) != 3:
        raise ClosureError(f"patches of shape {shape}; expected (cells, ny, nx)")
    return shape[1:]


def _check_alike(closure: DistributedClosure, every: np.ndarray, shapes: np.ndarray) -> None:
    if len(shapes) > 1:
        raise ClosureError(f"ranks give patches of different sizes: {shapes.tolist()}")
    if every[:, 0].any() and not every[:, 0].all():
        lacks = np.flatnonzero(every[:, 0] == 0)[0]
        raise ClosureError(f"rank {lacks} gives no specimen; open it on every rank, cells or not")


def _refuse(again: np.ndarray) -> None:
    if len(again):
        raise ClosureError(
            f"{cells(again)} registered twice; every id stands for one cell of one rank", again
        )


def _looks(specimen: Any) -> list[tuple[str, Any]]:
    """What tells one specimen from another."""
    ny, nx = (min(_SIDE, n) for n in specimen.shape)
    corner = zlib.crc32(np.ascontiguousarray(specimen.window(0, 0, nx, ny)))
    return [
        ("size of the specimen", tuple(specimen.shape)),
        ("pixel of the specimen", float(specimen.pixel)),
        ("checksum of the specimen's corner", corner),
    ]


def _own_rows(closure: DistributedClosure, ids: Any, what: str) -> np.ndarray:
    closure._no_step(what)
    return closure.cells.rows(id_array(ids) if np.size(ids) else np.empty(0, np.int64))


def _owners(closure: DistributedClosure, rows: np.ndarray, new_owner: Any) -> np.ndarray:
    to = np.asarray(new_owner)
    if not len(rows):
        return np.empty(0, np.int64)
    if to.dtype.kind not in "iu" or to.shape not in ((), rows.shape):
        raise ClosureError(
            f"{len(rows)} cells but new owners of shape {to.shape}; give one each, or one rank"
        )
    to = np.broadcast_to(to, rows.shape).astype(np.int64)
    bad = (to < 0) | (to >= closure.comm.size)
    if bad.any():
        ids = closure.cells.ids[rows[bad]]
        raise ClosureError(f"{cells(ids)} to rank {to[bad][0]}; there are {closure.comm.size} ranks", ids)
    return to


def _pack(closure: DistributedClosure, rows: np.ndarray) -> np.ndarray:
    out = np.empty(len(rows), _MIGRANT)
    out["id"], out["pressure"] = closure.cells.ids[rows], closure.cells.pressure[rows]
    out["porosity"] = closure._porosity[rows]
    out["specimen"], out["offset"] = origins(closure, rows)
    for name in CELL.names:
        out[name] = closure.cells.record[name][rows]
    return out


def _arrive(closure: DistributedClosure, packed: np.ndarray, source: Any) -> None:
    record = np.empty(len(packed), CELL)
    for name in CELL.names:
        record[name] = packed[name]
    closure.cells.take_over(packed["id"], record, packed["pressure"])
    closure.sources.add(source)
    closure._porosity = np.append(closure._porosity, packed["porosity"])
