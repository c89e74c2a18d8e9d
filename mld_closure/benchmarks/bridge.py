"""The same step called from C++ and from Python, what opening a bundle costs, and memory over many openings.

`python -m mld_closure.benchmarks.bridge BUNDLE NY NX ROUNDS CELLS...` measures on the ranks it is started on.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import mld_closure as mld

from ..runtime.comm import default_comm
from ..testing import random_networks
from .ranks import machine, measured

ACTIVE = 64  # cells that react at most
OUTPUTS = ("burned_fraction", "burn_rate", "status")
SHORTEST = 0.05  # s of calls in a round
PAIRS = 4  # of closures that are compared
TINY = 2  # channels of the first level of networks that are only opened and closed


def time_bridge(
    bundle: str | None = None,
    *,
    ranks: Sequence[int] = (1, 2),
    cells: Sequence[int] = (1, 64, 512, 4096),
    frame: tuple[int, int] = (32, 96),
    rounds: int = 7,
    idle: Sequence[int] = (1000, 8000, 27000, 100_000),
) -> dict[str, Any]:
    """Times of a step begun, advanced and rolled back, from C++ and from Python, and of opening; JSON-ready.

    Parameters
    ----------
    bundle : str, optional
        Name or path; by default compact networks with random weights.
    ranks, cells : sequence of int
        Numbers of ranks and of cells, each number with each.
    frame : tuple of int
        (ny, nx) of a cell in pixels.
    rounds : int
        Repetitions of each pair of closures.
    idle : sequence of int
        Numbers of cells, all of them idle, of which whole steps are timed.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = bundle or _saved(Path(folder) / "random")
        words = [path, *frame, rounds, *cells]
        results = [r for n in ranks for r in measured(n, "mld_closure.benchmarks.bridge", words)]
        waiting = [time_idle(str(path), n, rounds) for n in idle]
        starts = _start_up(str(path))
    return {"machine": machine(), "results": results, "idle": waiting, "start": starts}


def time_idle(bundle: str, n: int, rounds: int = 7) -> dict[str, Any]:
    """Times of a whole step of n idle cells from C++, and of a plain copy of their pressures; JSON-ready.

    A step is begun, advanced with three outputs, and committed. Returns seconds of it (`step`), of the copy
    (`copy`), and the bytes per cell that a step takes from the heap (`bytes`).
    """
    ny, nx = 32, 64
    from mld_closure import _bridge

    closure = _bridge.Closure(bundle, f"device = 'cpu'\nthreads = 1\nengine.patch_shape = [{ny}, {nx}]\n")
    ids, pressure = np.arange(n), np.full(n, 1e5)
    pixel = closure.fact("pixel")
    closure.register_image(ids, np.ones((ny, nx), np.float32), pixel, np.zeros((n, 2)))
    out = {name: np.empty(n, np.int64 if name == "status" else np.float64) for name in OUTPUTS}
    count = max(20, int(2e6 / n))
    best, t, dt = float("inf"), 0.0, 1e-12
    for _ in range(rounds):
        best = min(best, closure.time_steps(t, dt, ids, pressure, out, count, True) / count)
        t += count * dt
    tracemalloc.start()
    closure.time_steps(t, dt, ids, pressure, out, 1, True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    closure.close()
    target, copies = np.empty(n), []
    for _ in range(rounds):
        begun = time.perf_counter()
        for _ in range(count):
            np.copyto(target, pressure)
        copies.append((time.perf_counter() - begun) / count)
    return {"cells": n, "step": best, "copy": min(copies), "bytes": peak / n}


def open_and_close(
    number: int, bundle: str | None = None, report: Callable[[int, float], None] = lambda done, mib: None
) -> dict[str, Any]:
    """Watch the memory of a program in C that opens, uses and closes a bundle again and again.

    Parameters
    ----------
    number : int
        Cycles.
    bundle : str, optional
        Name or path; by default networks as small as can be.
    report : callable
        Called with the number of cycles done and the memory in MiB, after each cycle.

    Returns
    -------
    dict
        JSON-ready: memory at the end (MiB), its growth since the first tenth of the cycles and since half of
        them, and everything on the way.
    """
    with tempfile.TemporaryDirectory() as folder:
        return _watched(str(bundle or _saved(Path(folder) / "random", TINY)), number, report)


def _watched(bundle: str, number: int, report: Callable[[int, float], None]) -> dict[str, Any]:
    found: list[tuple[int, float]] = []
    run = subprocess.Popen(
        [start_host(), bundle, str(number)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    with run:
        for line in run.stdout:
            done, mib = line.split()
            found.append((int(done), float(mib)))
            report(*found[-1])
        text = run.stderr.read().strip()
    if run.returncode:
        raise RuntimeError(text or f"mld-start ended with {run.returncode}")
    last = found[-1][1]
    return {
        "cycles": number,
        "mib": last,
        "grown_mib": last - next(mib for done, mib in found if done >= number / 10),
        "grown_late_mib": last - next(mib for done, mib in found if done >= number / 2),
        "on_the_way": found,
    }


def _saved(path: Path, *base: int) -> Path:
    """The folder of a bundle of random networks."""
    random_networks(*base).save(path)
    return path


def measure(bundle: str, cells: Sequence[int], frame: tuple[int, int], rounds: int) -> None:
    """Time steps on the ranks that there are; rank 0 prints what was found as a line of JSON."""
    comm = default_comm()
    results = []
    for n in cells:
        for active in (0, min(n, ACTIVE)):
            python, cpp = _best(bundle, comm, n, active, frame, rounds)
            results.append({"ranks": comm.size, "cells": n, "active": active, "python": python, "cpp": cpp})
    if comm.rank == 0:
        print(json.dumps(results))


def _best(
    bundle: str, comm: Any, n: int, active: int, frame: tuple[int, int], rounds: int
) -> tuple[float, float]:
    """Seconds of a step from Python and from C++, the best of pairs of closures opened in turns.

    Where weights and latents come to lie in memory makes one closure 1 to 2 % faster than its like.
    """
    pairs = [_pair(bundle, comm, n, active, frame, rounds, bool(k % 2)) for k in range(PAIRS)]
    return min(p[0] for p in pairs), min(p[1] for p in pairs)


def _pair(
    bundle: str, comm: Any, n: int, active: int, frame: tuple[int, int], rounds: int, python_first: bool
) -> tuple[float, float]:
    """Seconds of a step from Python and from C++; n cells, shared by the ranks, `active` of them reacting."""
    try:
        from mld_closure import _bridge
    except ImportError:
        raise ValueError("this installation has no compiled bridge; install mld_closure again") from None

    several = comm.size > 1
    ids = np.arange(comm.rank, n, comm.size)
    pressure = np.where(ids < active, 6e9, 0.0)
    patches = np.broadcast_to(np.float32(0.9), (len(ids), *frame))
    settings = f'device = "cpu"\nthreads = 1\nengine.patch_shape = [{frame[0]}, {frame[1]}]\n'

    def from_c() -> Any:
        return _bridge.Closure(bundle, settings, comm.py2f() if several else None)

    given = comm if several else None
    cpp = None if python_first else from_c()
    python = mld.open(bundle, comm=given, device="cpu", threads=1, engine={"patch_shape": tuple(frame)})
    cpp = cpp or from_c()
    python.register(ids, patches=patches)
    cpp.register_patches(ids, np.ascontiguousarray(patches))
    dt = mld.Bundle.load(bundle).meso_step
    for k in range(2):  # shock arrives, cells catch up
        for closure in (python, cpp):
            closure.begin_step(k * dt, dt)
            closure.advance(ids, pressure=pressure)
            closure.commit()
    out = {name: np.empty(len(ids), np.int64 if name == "status" else np.float64) for name in OUTPUTS}

    def from_python(count: int) -> float:
        begun = time.perf_counter()
        for _ in range(count):
            python.begin_step(2 * dt, dt)
            response = python.advance(ids, pressure=pressure)
            for name in OUTPUTS:
                out[name][...] = getattr(response, name)
            python.rollback()
        return time.perf_counter() - begun

    def from_cpp(count: int) -> float:
        return cpp.time_steps(2 * dt, dt, ids, pressure, out, count)

    once = max(from_python(1), from_python(1))
    count = comm.bcast(max(1, int(SHORTEST / once)))
    best = [float("inf"), float("inf")]
    for _ in range(rounds):
        for side, run in enumerate((from_python, from_cpp)):
            best[side] = min(best[side], run(count) / count)
    python.close()
    cpp.close()
    return best[0], best[1]


def start_host() -> Path:
    """The program in C that opens a bundle."""
    from mld_closure import _native

    host = Path(_native.__file__).parent / "bin/mld-start"
    if not host.exists():
        raise ValueError(f"no {host}; install mld_closure again")
    return host


def _start_up(bundle: str) -> dict[str, dict[str, float]]:
    """Seconds to open, and memory (MiB) after it, of a program in C and of Python."""
    code = (
        "import time, sys; t = time.perf_counter(); import mld_closure as mld;"
        "c = mld.open(sys.argv[1], device='cpu', threads=1); t = time.perf_counter() - t;"
        "import resource; print(t, 0, int(open('/proc/self/statm').read().split()[1])"
        " * resource.getpagesize() / 2**20)"
    )
    commands = {"C": [str(start_host()), bundle], "Python": [sys.executable, "-c", code, bundle]}
    found = {}
    for name, command in commands.items():
        tries = []
        for _ in range(3):
            run = subprocess.run(
                command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
            )
            if run.returncode:
                raise RuntimeError(run.stderr.strip())
            tries.append([float(x) for x in run.stdout.split()])
        found[name] = {"seconds": min(t[0] for t in tries), "mib": min(t[2] for t in tries)}
    return found


if __name__ == "__main__":
    given: list[int] = [int(word) for word in sys.argv[2:]]
    measure(sys.argv[1], given[3:], (given[0], given[1]), given[2])
