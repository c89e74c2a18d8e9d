"""Restart folders of several ranks: one file a rank and one manifest; read on any number of ranks.

A file holds the cells that its rank owned and the latents that it served, which need not be of the same
cells. Reading, each rank takes its share of the files; latents go to servers, evenly, and records to whoever
owns their cells now.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..closure import checkpoint
from ..closure.cells import CELL, NO_SLOT
from ..closure.policies import ClosureError, cells
from ..closure.restart import check_facts, check_patches, facts
from ..closure.sources import chosen
from .agree import Attempt
from .directory import meet
from .placement import spread

if typing.TYPE_CHECKING:
    from .service import DistributedClosure

_STORED = np.dtype([("pressure", "f8"), *((name, CELL.fields[name][0]) for name in CELL.names)])


def save(closure: DistributedClosure, path: str | Path) -> None:
    """Write a restart; see `DistributedClosure.save`."""
    comm, attempt = closure.comm, Attempt(closure.comm)
    attempt(closure._no_step, "save")
    path = attempt(Path, path)
    attempt.settle()
    name = comm.bcast(checkpoint.new_name() if comm.rank == 0 else None)
    entry = attempt(lambda: checkpoint.write_shard(path, name, comm.rank, _shard(closure)))
    said = attempt(facts, closure)
    try:
        attempt.settle()
    except (ClosureError, OSError):
        if entry is not None:
            (path / entry["file"]).unlink(missing_ok=True)
        raise
    every = comm.gather((entry, said["patches"]))
    if comm.rank == 0:
        known = {i: crc for _, patches in every for i, crc in patches.items()}
        ids = np.array([int(i) for i in known], np.int64)
        said["patches"] = {str(i): known[str(i)] for i in ids[chosen(ids)]}
        attempt(checkpoint.write_manifest, path, name, [e for e, _ in every], said)
    attempt.settle()


def restore(closure: DistributedClosure, path: str | Path) -> None:
    """Take the state of a restart; see `DistributedClosure.restore`."""
    attempt, exchange = Attempt(closure.comm), closure.exchange
    attempt(closure._no_step, "restore")
    said = attempt(checkpoint.read_manifest, path)
    attempt(lambda: check_facts(closure, said))
    attempt(lambda: check_patches(closure, said))
    arrays = attempt(lambda: _read(closure, path, said))
    every = attempt.settle(0 if arrays is None else len(arrays["latent_ids"]))
    first = int(every[: closure.comm.rank].sum())
    held = arrays["latent_ids"]
    to = closure.servers[spread(int(every.sum()), len(closure.servers))][first : first + len(held)]
    plan = exchange.plan(to)
    served = {
        name: plan.forward(arrays[name])
        for name in ("latent_ids", "latent_mean", "latent_logvar")
        if name in arrays
    }
    record = _records(closure, attempt, arrays, held, to)
    attempt(lambda: closure.pool.reserve(len(served["latent_ids"])) if closure.server else None)
    attempt.settle()
    if closure.server is not None:
        closure.server.clear(len(served["latent_ids"]))
        slots = closure.server.hold(served["latent_ids"])
        if len(slots):
            closure.pool.load(slots, served["latent_mean"], served.get("latent_logvar"))
    own = np.empty(len(record), CELL)
    for name in CELL.names:
        own[name] = record[name]
    closure.cells.restore(own, record["pressure"].copy())
    closure.engine.fitting, closure.time = said["fitting"], said["time"]


def _shard(closure: DistributedClosure) -> dict[str, np.ndarray]:
    """What this rank owns and serves."""
    arrays = {"ids": closure.cells.ids, "pressure": closure.cells.pressure}
    arrays |= checkpoint.pack(closure.cells.record)
    held = {} if closure.server is None else closure.server.slots
    return arrays | latents(closure, np.array(list(held), np.int64))


def latents(closure: DistributedClosure, ids: np.ndarray) -> dict[str, np.ndarray]:
    """Ids (k,) of cells served here, and their latent states."""
    arrays = {"latent_ids": ids}
    if closure.server is not None:
        slots = [closure.server.slots[int(i)] for i in ids]
        latent = closure.pool.read(np.array(slots, np.int64))
        arrays["latent_mean"] = latent.mean.cpu().numpy()
        if closure.pool.with_logvar:
            arrays["latent_logvar"] = latent.logvar.cpu().numpy()
    return arrays


def _read(closure: DistributedClosure, path: str | Path, said: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The arrays of this rank's share of the files, empty ones where it has none."""
    mine = said["shards"][closure.comm.rank :: closure.comm.size]
    parts = [_empty(closure), *(checkpoint.read_shard(path, shard) for shard in mine)]
    for part in parts[1:]:
        checkpoint.unpack(part, CELL)
        part.setdefault("latent_ids", part["ids"][part["cell_slot"] != NO_SLOT])
    return {name: np.concatenate([p[name] for p in parts if name in p]) for name in parts[0]}


def _empty(closure: DistributedClosure) -> dict[str, np.ndarray]:
    arrays = {"ids": np.empty(0, np.int64), "pressure": np.empty(0), "latent_ids": np.empty(0, np.int64)}
    arrays |= checkpoint.pack(np.empty(0, CELL))
    if closure.server is not None:
        arrays["latent_mean"] = np.empty((0, *closure.pool.shape), np.float32)
        if closure.pool.with_logvar:
            arrays["latent_logvar"] = arrays["latent_mean"]
    return arrays


def _records(
    closure: DistributedClosure,
    attempt: Attempt,
    arrays: Mapping[str, np.ndarray],
    held: np.ndarray,
    to: np.ndarray,
) -> np.ndarray:
    """Records (n,) of the cells registered here, their slots the new servers. Collective."""
    exchange = closure.exchange
    stored = np.empty(len(arrays["ids"]), _STORED)
    stored["pressure"] = arrays["pressure"]
    for name in CELL.names:
        stored[name] = arrays[f"cell_{name}"]
    from_file, filed = meet(exchange, arrays["ids"])
    found = from_file.forward(stored)
    from_reader, placed = meet(exchange, held)
    server = from_reader.forward(to)
    from_owner, registered = meet(exchange, closure.cells.ids)
    joined = attempt(_join, filed, found, placed, server, registered)
    attempt.settle()
    return from_owner.back(joined)


def _join(
    filed: np.ndarray, found: np.ndarray, placed: np.ndarray, server: np.ndarray, registered: np.ndarray
) -> np.ndarray:
    """What was found in files about the cells registered, in their order, with their servers as slots."""
    if not np.array_equal(np.sort(filed), np.sort(registered)):
        odd = np.setxor1d(filed, registered)
        raise ClosureError(
            f"{cells(odd)} not both in the restart and registered; register the same cells", odd
        )
    order = np.argsort(filed)
    out = found[order[np.searchsorted(filed[order], registered)]] if len(filed) else found
    needs = out["slot"] != NO_SLOT
    by_id = np.argsort(placed)
    if not np.array_equal(np.sort(registered[needs]), placed[by_id]):
        raise ClosureError("the restart lacks latents of some of its cells; use another restart")
    out["slot"][needs] = server[by_id[np.searchsorted(placed[by_id], registered[needs])]]
    return out
