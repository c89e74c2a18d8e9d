"""A shock through a slab on several ranks: where the time of a step goes, and how it scales.

`python -m mld_closure.benchmarks.mpi ROWS CELLS NY NX` measures on the ranks it is started on.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

import mld_closure as mld

from ..macro.domain import Domain
from ..macro.problems import MacroCase, sides, start
from ..patches.specimen import Specimen
from ..runtime.comm import default_comm
from ..runtime.placement import imbalance
from ..study.timed_closure import TimedClosure
from ..testing import random_networks
from .ranks import machine, measured

PARTS = ("hydro", "gather", "encode", "evolve", "readout", "exchange", "wait")
UP = 900.0  # m/s
STRONG_ROWS = 2


def scaling(ranks: Sequence[int], cells: int, frame: tuple[int, int]) -> dict[str, Any]:
    """Strong scaling (a slab of two rows) and weak scaling (one row per rank), JSON-ready.

    Parameters
    ----------
    ranks : sequence of int
        Numbers of ranks, rising from 1.
    cells : int
        Cells along x.
    frame : tuple of int
        (ny, nx) of a cell in pixels.
    """
    results: list[dict[str, Any]] = []
    for kind in ("strong", "weak"):
        for n in ranks:
            rows = STRONG_ROWS if kind == "strong" else n
            found = measured(n, "mld_closure.benchmarks.mpi", [rows, cells, *frame])
            base = next((r["wall"] for r in results if r["kind"] == kind), found["wall"])
            ideal = base / n if kind == "strong" else base
            results.append({"kind": kind, "ranks": n, **found, "efficiency": ideal / found["wall"]})
    return {"machine": machine(), "cells": cells, "frame": frame, "results": results}


def measure(rows: int, cells: int, frame: tuple[int, int]) -> None:
    """Run on the ranks that there are; rank 0 prints what was found as a line of JSON."""
    comm, bundle = default_comm(), random_networks()
    size = frame[1] * bundle.pixel
    case = MacroCase(
        cells=cells, rows=rows, cell_size=size, piston_speed=UP, end_time=1.2 * cells * size / 3700.0,
    )  # fmt: skip
    domain = Domain(case.grid, sides(case), comm)
    closure = mld.open(
        bundle, comm, device="cpu", threads=1, engine={"patch_shape": frame}, policy={"max_burn_step": 1.0}
    )
    sample = Specimen.generate((frame[0] * rows, frame[1] * cells), bundle.pixel, 1, porosity=0.1)
    corners = np.indices(case.grid.shape)[::-1] * np.array([size, frame[0] * bundle.pixel])[:, None, None]
    closure.register(
        domain.cut(case.ids).ravel(), specimen=sample, offsets=domain.cut(corners).reshape(2, -1).T
    )
    timed = TimedClosure(closure)
    solver = start(case, timed, domain)
    solver.step()  # compiles
    comm.barrier()
    first, spent, begun = dict(closure.cost), timed.seconds, time.perf_counter()
    solver.run(case.end_time)
    wall = time.perf_counter() - begun
    parts = {name: closure.cost[name] - first[name] for name in first}
    parts["hydro"] = wall - (timed.seconds - spent)
    every = comm.gather((wall, parts, closure.traffic))
    if comm.rank == 0:
        work = [sum(p[name] for name in ("gather", "encode", "evolve", "readout")) for _, p, _ in every]
        rows_sent, bytes_sent = (sum(e[2][k] for e in every) for k in (0, 1))
        found = {
            "rows": rows,
            "steps": solver.steps - 1,
            "wall": max(e[0] for e in every),
            "seconds": {n: float(np.mean([p.get(n, 0.0) for _, p, _ in every])) for n in PARTS},
            "imbalance": imbalance(np.array(work)),
            "bytes_a_row": bytes_sent / max(rows_sent, 1),
        }
        print(json.dumps(found))
    closure.close()


if __name__ == "__main__":
    rows, cells, ny, nx = (int(word) for word in sys.argv[1:])
    measure(rows, cells, (ny, nx))
