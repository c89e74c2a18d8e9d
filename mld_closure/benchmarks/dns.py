"""How fast the solver steps, beside what this machine's memory and arithmetic allow, measured alike."""

from __future__ import annotations

import multiprocessing
import platform
import time
from typing import Any

import numpy as np

from mld_closure import grids
from mld_closure.dns.cases import PRESETS, draw_voids
from mld_closure.dns.eos import jit
from mld_closure.dns.loading import shocked_solver
from mld_closure.dns.microstructure import solid_fraction

# Least traffic of one step in floats a cell: each stage reads its state and writes its target, the second
# reads its target too, and the pass of conduction and chemistry reads and writes the state.
FLOATS_MOVED = 5 * (2 + 3 + 2)
CHAINS, LINKS = 1024, 16  # independent chains of dependent multiply-adds


@jit
def _triad(a, b, c, s, repeat):
    for _ in range(repeat):
        for i in range(a.size):
            a[i] = b[i] + s * c[i]


@jit
def _multiply_add(x, m, b, repeat):
    for _ in range(repeat):
        for i in range(x.size):
            v = x[i]
            for _ in range(LINKS):
                v = v * m + b
            x[i] = v


def bandwidth() -> float:
    """Memory bandwidth of one core in byte/s (triad on arrays far beyond the caches)."""
    n = 8_000_000
    a, b, c = np.zeros(n), np.ones(n), np.ones(n)
    _triad(a, b, c, 2.0, 1)
    return 3 * 8 * n * 5 / min(_timed(_triad, a, b, c, 2.0, 5) for _ in range(3))


def peak(dtype: type) -> float:
    """Multiply-add rate of one core in FLOP/s, on independent chains in the nearest cache."""
    x, m, b = np.ones(CHAINS, dtype), dtype(0.999), dtype(1e-3)
    _multiply_add(x, m, b, 10)
    repeat = 20_000
    return 2 * CHAINS * LINKS * repeat / min(_timed(_multiply_add, x, m, b, repeat) for _ in range(3))


def _timed(f: Any, *args: Any) -> float:
    start = time.perf_counter()
    f(*args)
    return time.perf_counter() - start


def cell_steps(seconds: float = 4.0, dtype: type = np.float64, warm_up: float = 1.0e-9) -> float:
    """Two-stage cell-steps per second of a meso case at 0.9 km/s, from `warm_up` s of simulated time on."""
    config = PRESETS["meso"]
    mu = solid_fraction(grids.MESO_SHAPE, draw_voids(config, seed=1, index=0))
    run = shocked_solver(mu, 900.0, config.pixel, config.material, config.kinetics, dtype=dtype)
    run.run(warm_up)
    before, start = run.steps, time.perf_counter()
    while time.perf_counter() - start < seconds:
        run.step()
    return (run.steps - before) * mu.size / (time.perf_counter() - start)


def _worker(seconds: float, results: Any, start: Any) -> None:
    cell_steps(0.1)
    start.wait()
    results.put(cell_steps(seconds))


def together(workers: int, seconds: float = 4.0) -> float:
    """Cell-steps per second of several worker processes stepping at the same time, summed."""
    context = multiprocessing.get_context("spawn")
    results, start = context.Queue(), context.Barrier(workers)
    processes = [context.Process(target=_worker, args=(seconds, results, start)) for _ in range(workers)]
    for p in processes:
        p.start()
    total = sum(results.get() for _ in processes)
    for p in processes:
        p.join()
    return total


def measure(seconds: float = 4.0, workers: int = 2) -> dict[str, Any]:
    """All measurements of `mld-closure bench dns`; rates per second, one core unless named otherwise."""
    double, single = cell_steps(seconds), cell_steps(seconds, np.float32)
    many, bytes_per_step = together(workers, seconds), 8 * FLOATS_MOVED
    memory = bandwidth()
    return {
        "machine": f"{platform.machine()}, {_processor()}",
        "cell_steps": double,
        "cell_steps_fp32": single,
        "workers": workers,
        "cell_steps_workers": many,
        "worker_speedup": many / double,
        "bandwidth": memory,
        "peak_fp64": peak(np.float64),
        "peak_fp32": peak(np.float32),
        "least_bytes_per_cell_step": bytes_per_step,
        "bandwidth_bound_cell_steps": memory / bytes_per_step,
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as info:
            return next(line.split(":")[1].strip() for line in info if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown processor"
