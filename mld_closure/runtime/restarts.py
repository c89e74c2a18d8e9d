"""Restart folders over the ranks: one file a rank and one manifest; read on any number of ranks.

A file holds the cells that its rank owned and the latent states that it served, which need not be of the same
cells. Reading, each rank takes its share of the files; latent states go to servers, evenly, and the states of
cells to whoever owns them now.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..closure import checkpoint
from ..closure.cells import COLUMNS, NO_SERVER, Cells, CellState
from ..closure.restart import check_cells, check_latents
from ..closure.sources import chosen
from ..errors import ClosureError, name_cells
from ..surrogate.messages import NO_SLOT
from .agree import Attempt
from .home import send_home
from .placement import spread
from .transport import Transport

log: logging.Logger = logging.getLogger("mld_closure")
_LATENTS = ("latent_ids", "latent_mean", "latent_logvar")
_PLACED = np.dtype([("id", "i8"), ("server", "i4"), ("slot", "i4")])


class Restarts:
    """Writes and reads the committed state of all ranks. All methods are collective."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def save(
        self, call: Attempt, path: str | Path, cells: Cells, describe: Callable[[], dict[str, Any]]
    ) -> None:
        """Write a restart folder; describe(): this rank's facts."""
        path = call(Path, path)
        facts = call(describe)
        self._transport.settle(call)
        self._write(call, path, _columns(cells.state, cells.ids), self._held(), facts)

    def load(
        self, call: Attempt, path: str | Path, cells: Cells, check: Callable[[Mapping[str, Any]], None]
    ) -> dict[str, Any]:
        """Take the states of the registered cells, and latent states, from a folder; returns its facts.

        check(facts): raises where the restart does not belong here. Raises FileNotFoundError where there is
        none, ClosureError for damaged files, other cells, and by `check`, with nothing changed.
        """
        transport = self._transport
        facts = call(checkpoint.read_manifest, path)
        call(lambda: check(facts))
        arrays = call(lambda: self._read(path, facts))
        every = transport.settle(call, 0 if arrays is None else len(arrays["latent_ids"]))
        first = int(every[: transport.rank].sum())
        held = arrays["latent_ids"]
        to = transport.servers[spread(int(every.sum()), len(transport.servers))][first : first + len(held)]
        plan = transport.exchange.plan(to)
        served = {name: plan.forward(arrays[name]) for name in _LATENTS if name in arrays}
        found = self._found(call, arrays, cells)
        server = transport.server
        if server is not None:
            call(server.pool.reserve, len(served["latent_ids"]))
        transport.settle(call)
        slots = np.empty(0, np.int64)
        if server is not None:
            server.clear(len(served["latent_ids"]))
            slots = server.hold(served["latent_ids"])
            if len(slots):
                server.pool.load(slots, served["latent_mean"], served.get("latent_logvar"))
        placed = np.empty(len(held), _PLACED)
        placed["id"], placed["server"], placed["slot"] = held, to, plan.back(slots)
        self._place(found, cells.ids, placed)
        cells.replace(found)
        return facts

    def record(
        self,
        call: Attempt,
        failures: Path,
        cells: Cells,
        ids: np.ndarray,
        arrays: Callable[[], dict[str, np.ndarray]],
        facts: Mapping[str, Any],
    ) -> Path | None:
        """Write the committed state of cells `ids` (k,) of this rank, with arrays of a failing call, to a
        folder of its own under `failures`; returns it, or None where it could not be written, which is a
        warning."""
        transport, folder = self._transport, None
        try:
            folder = call(_next_folder, failures) if transport.rank == 0 else None
            rows = call(cells.rows, ids)
            given = call(arrays)
            transport.settle(call)
            folder = transport.comm.bcast(folder)
            state = cells.state.take(rows)
            has = state.slot != NO_SLOT
            held = transport.exchange.plan(state.server[has]).forward(ids[has])
            self._write(call, folder, _columns(state, ids) | given, self._held(held), dict(facts))
        except (ClosureError, OSError) as err:
            if transport.rank == 0:
                log.warning("failing call not written: %s", err)
                if folder is not None:
                    shutil.rmtree(folder, ignore_errors=True)
            return None
        if transport.rank == 0:
            log.warning("failing call written to %s", folder)
        return folder

    def _write(
        self,
        call: Attempt,
        path: Path,
        arrays: dict[str, np.ndarray],
        latents: dict[str, np.ndarray],
        facts: dict[str, Any],
    ) -> None:
        """Write one file a rank, then the manifest, which makes them the restart."""
        comm = self._transport.comm
        name = comm.bcast(checkpoint.new_name() if comm.rank == 0 else None)
        if comm.rank == 0:
            call(checkpoint.begin, path, name)
        self._transport.settle(call)
        entry = call(lambda: checkpoint.write_shard(path, name, comm.rank, arrays | latents))
        try:
            self._transport.settle(call)
        except (ClosureError, OSError):
            if comm.rank == 0:
                checkpoint.abandon(path, name)
            raise
        every = comm.gather((entry, facts["patches"]))
        if comm.rank == 0:
            known = {i: crc for _, patches in every for i, crc in patches.items()}
            ids = np.array([int(i) for i in known], np.int64)
            facts = facts | {"patches": {str(i): known[str(i)] for i in ids[chosen(ids)]}}
            call(checkpoint.write_manifest, path, name, [e for e, _ in every], facts)
        self._transport.settle(call)

    def _held(self, ids: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """Ids (k,) of cells served here, all or those named, and their latent states."""
        server = self._transport.server
        if server is None:
            return {}
        known, slots = server.held()
        if ids is not None:
            here = np.isin(known, ids)
            known, slots = known[here], slots[here]
        latent = server.pool.read(slots)
        arrays = {"latent_ids": known, "latent_mean": latent.mean.cpu().numpy()}
        if server.pool.with_logvar:
            arrays["latent_logvar"] = latent.logvar.cpu().numpy()
        return arrays

    def _read(self, path: str | Path, facts: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """The arrays of this rank's share of the files, empty ones where it has none."""
        mine = facts["shards"][self._transport.rank :: self._transport.size]
        parts = [self._empty(), *(checkpoint.read_shard(path, shard) for shard in mine)]
        for part in parts[1:]:
            check_cells(part)
            check_latents(part, parts[0])
        return {name: np.concatenate([p[name] for p in parts if name in p]) for name in parts[0]}

    def _empty(self) -> dict[str, np.ndarray]:
        arrays = _columns(CellState.new(0), np.empty(0, np.int64)) | {"latent_ids": np.empty(0, np.int64)}
        arrays["latent_mean"] = np.empty((0, *self._transport.latent_shape), np.float32)
        if self._transport.with_logvar:
            arrays["latent_logvar"] = arrays["latent_mean"]
        return arrays

    def _found(self, call: Attempt, arrays: Mapping[str, np.ndarray], cells: Cells) -> CellState:
        """States (n,) of the cells registered here, from wherever they were read."""
        exchange = self._transport.exchange
        stored = CellState(*(arrays[f"cell_{name}"] for name in COLUMNS)).pack()
        from_file, filed = send_home(exchange, arrays["ids"])
        found = from_file.forward(stored)
        from_owner, registered = send_home(exchange, cells.ids)
        joined = call(_join, filed, found, registered)
        from_reader, latents = send_home(exchange, arrays["latent_ids"])
        del from_reader
        call(_check_latents, registered, joined, latents)
        self._transport.settle(call)
        return CellState.unpack(from_owner.back(joined))

    def _place(self, state: CellState, ids: np.ndarray, placed: np.ndarray) -> None:
        """Fill in where the latent states of cells ids (n,) are now, from rows of `_PLACED` on any rank."""
        exchange = self._transport.exchange
        from_reader, _ = send_home(exchange, placed["id"])
        known = from_reader.forward(placed)
        from_owner, registered = send_home(exchange, ids)
        answer = np.empty(len(registered), _PLACED)
        answer["server"], answer["slot"] = NO_SERVER, NO_SLOT
        if len(known):
            order = np.argsort(known["id"])
            at = order[np.minimum(np.searchsorted(known["id"][order], registered), len(known) - 1)]
            hit = known["id"][at] == registered
            answer[hit] = known[at[hit]]
        mine = from_owner.back(answer)
        state.server[:], state.slot[:] = mine["server"], mine["slot"]


def _columns(state: CellState, ids: np.ndarray) -> dict[str, np.ndarray]:
    """The arrays of a restart file for these cells."""
    return {"ids": ids} | {f"cell_{name}": getattr(state, name) for name in COLUMNS}


def _join(filed: np.ndarray, found: np.ndarray, registered: np.ndarray) -> np.ndarray:
    """What was found in files about the cells registered, in their order."""
    if not np.array_equal(np.sort(filed), np.sort(registered)):
        odd = np.setxor1d(filed, registered)
        raise ClosureError(
            f"{name_cells(odd)} not both in the restart and registered; register the same cells", odd
        )
    order = np.argsort(filed)
    return found[order[np.searchsorted(filed[order], registered)]] if len(filed) else found


def _check_latents(registered: np.ndarray, joined: np.ndarray, latents: np.ndarray) -> None:
    if not np.array_equal(np.sort(registered[joined["slot"] != NO_SLOT]), np.sort(latents)):
        raise ClosureError("the restart lacks latents of some of its cells; use another restart")


def _next_folder(failures: Path) -> Path:
    """The folder of the next failing call: one beyond the last there is."""
    numbers = [int(p.name[8:]) for p in failures.glob("failure-*") if p.name[8:].isdigit()]
    return failures / f"failure-{max(numbers, default=-1) + 1:04d}"
