"""How a closure is opened, on one rank or on many: what each rank computes on, and that all have the same."""

from __future__ import annotations

import platform
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..closure import closure as pipeline
from ..closure.closure import Closure
from ..closure.fallback import Fallback
from ..closure.parts import load_parts
from ..config import to_dict
from ..device import available_cores, gpu_count
from ..surrogate.frame0 import LoadTable
from .agree import Attempt, same_everywhere
from .placement import local_ranks, serving_ranks
from .service import DistributedClosure


def open(
    bundle: Any,
    comm: Any = None,
    device: str = "auto",
    precision: str = "fp32",
    readout: str = "head",
    *,
    serving: str = "auto",
    threads: int | None = None,
    load_table: LoadTable | Mapping[str, Any] | None = None,
    fallback: Fallback | None = None,
    capture: str | Path | None = None,
    failures: str | Path | None = None,
    **settings: Any,
) -> Closure:
    """A closure ready for cells, from a bundle given by name, path, or itself.

    comm: None, or a communicator with the calls of mpi4py's; with several ranks this and all calls of the
    closure are collective, and the communicator is duplicated. device: auto | cpu | cuda[:i], where auto and
    cuda give each rank of a node its own GPU; precision: fp32 | bf16 | bf16-decode; readout: head | decode.
    serving: which ranks hold latents: all | 1 per node | 1 per device | auto (1 per device where there are
    GPUs, else all). threads: of torch on each rank, None to share a node's cores among its ranks.
    load_table: in place of the bundle's own (`LoadTable`, or the arrays it is made from). fallback: physics
    for cells that the policies hand to it. capture: file for cells that needed a policy, of several ranks one
    each, named NAME-rankN; failures: folder, one for all ranks, for calls that failed (`replay`). settings:
    any field of `closure.settings.Settings`. Raises ValueError naming what cannot be used, FileNotFoundError.
    """
    size = 1 if comm is None else getattr(comm, "size", None) or comm.Get_size()
    parts = {"threads": threads, "load_table": load_table}
    other = {"fallback": fallback, "capture": capture, "failures": failures}
    if size == 1:
        serving_ranks(serving, [""], [gpu_count()])
        return pipeline.open(bundle, None, device, precision, readout, **parts, **other, **settings)
    own = comm.Dup()
    try:
        return _open(own, bundle, device, precision, {"readout": readout, **settings}, serving, parts, other)
    except BaseException:
        own.Free()
        raise


def _open(
    comm: Any,
    bundle: Any,
    device: str,
    precision: str,
    settings: dict[str, Any],
    serving: str,
    parts: dict[str, Any],
    other: dict[str, Any],
) -> DistributedClosure:
    attempt = Attempt(comm)
    nodes, gpus = zip(*comm.allgather((platform.node(), gpu_count() if device != "cpu" else 0)), strict=True)
    here = int(local_ranks(nodes)[comm.rank])
    servers = attempt(serving_ranks, serving, nodes, gpus)
    attempt.settle()
    if comm.rank not in servers:
        device = "cpu"
    elif device in ("auto", "cuda") and gpus[comm.rank]:
        device = f"cuda:{here % gpus[comm.rank]}"
    if parts["threads"] is None:
        parts["threads"] = max(1, available_cores() // nodes.count(nodes[comm.rank]))
    made = attempt(load_parts, bundle, device, precision, settings, **parts)
    attempt.settle()
    loaded, chosen, where, table = made
    folder = None if other["failures"] is None else str(other["failures"])
    facts = [("the bundle", loaded.content_hash()), ("failures", folder)]
    same_everywhere(comm, [*facts, *_choices(chosen, table, serving)])
    if comm.rank not in servers:
        chosen = replace(chosen, warm_start=False)
    closure = attempt(DistributedClosure, comm, np.asarray(servers), loaded, chosen, where, table, **other)
    attempt.settle()
    return closure


def _choices(settings: Any, table: LoadTable, serving: str) -> list[tuple[str, Any]]:
    """What must be the same on every rank for one answer."""
    prints = zlib.crc32(np.ascontiguousarray(table.profile), zlib.crc32(np.ascontiguousarray(table.p)))
    named = [(f"setting {name}", value) for name, value in to_dict(settings).items()]
    return [*named, ("the load table", prints), ("serving", serving)]
