"""`mld-closure bench bridge`: the same advance called from C++ and from Python, and what starting costs."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click

from . import mpirun
from .output import json_option, print_json, print_table, progress

CELLS = (1, 64, 512, 4096)
ACTIVE = 64  # cells that react at most
OUTPUTS = ("burned_fraction", "burn_rate", "status")
ROUNDS, SHORTEST = 7, 0.05  # s of calls in a round
PAIRS = 4  # of closures that are compared
TINY = 2  # channels of the first level of networks that are only opened and closed
LIMITS = "wanted: less than 20 us a call more, and less than 1 % at 64 active cells"


@click.command()
@click.argument("bundle", required=False)
@click.option("--ranks", multiple=True, type=click.IntRange(1), help="Numbers of ranks; 1 and 2 by default.")
@click.option("--cells", multiple=True, type=click.IntRange(1), help="1, 64, 512 and 4096 by default.")
@click.option(
    "--frame",
    type=(click.IntRange(32), click.IntRange(32)),
    default=(32, 96),
    show_default=True,
    help="Height and width of a cell in pixels.",
)
@click.option("--rounds", type=click.IntRange(1), default=ROUNDS, show_default=True, help="Of each pair.")
@click.option(
    "--cycles", type=click.IntRange(10), help="Open, use and close so many times in place of timing."
)
@click.option("--measure", hidden=True, help="Measure this bundle on the ranks there are.")
@json_option
def command(bundle, ranks, cells, frame, rounds, cycles, measure, as_json) -> None:
    """Time a step begun, advanced and rolled back, from C++ and from Python, in turns.

    "Idle" has all cells waiting for their shock, "active" has up to 64 of them take a step of the model. Then
    a program in C opens the bundle, beside `python -c` that does: seconds and memory. Without BUNDLE compact
    networks with random weights are used.

    With --cycles a program in C opens a bundle, makes every kind of call, wrong ones among them, and closes
    it, again and again, and its memory is watched; without BUNDLE the networks are as small as can be. Ends
    with an error if more than 2 MiB were added after the first tenth of the cycles.

    \b
    Examples:
      mld-closure bench bridge --ranks 1 --cells 64
      mld-closure bench bridge --cycles 10000
    """
    cells = cells or CELLS
    if measure is not None:
        _measure(measure, cells, frame, rounds)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = bundle or _saved(Path(folder) / "random", *([TINY] if cycles else []))
        if cycles is not None:
            _cycles(str(path), cycles, as_json)
            return
        words = [f"--cells={n}" for n in cells] + ["--frame", *frame, f"--rounds={rounds}"]
        words = ["bench", "bridge", "--measure", path, *words]
        results = [r for n in ranks or (1, 2) for r in mpirun.measured(n, words)]
        starts = _start_up(str(path))
    machine = f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, one torch thread a rank"
    if as_json:
        print_json({"machine": machine, "results": results, "start": starts})
        return
    print_table(
        f"{frame[0]} x {frame[1]} pixels a cell; {machine}; us a step",
        ["ranks", "cells", "active", "from Python", "from C++", "more", "more"],
        [_texts(r) for r in results],
    )
    click.echo(LIMITS)
    for name, s in starts.items():
        click.echo(f"opening from {name}: {s['seconds']:.2f} s, {s['mib']:.0f} MiB a process")


def _texts(r: dict[str, Any]) -> list[Any]:
    more = r["cpp"] - r["python"]
    share = f"{100 * more / r['python']:.1f} %"
    times = [f"{1e6 * s:.1f}" for s in (r["python"], r["cpp"], more)]
    return [r["ranks"], r["cells"], r["active"], *times, share]


def _saved(path: Path, *base: int) -> Path:
    """The folder of a bundle of random networks."""
    from ..testing import random_networks

    random_networks(*base).save(path)
    return path


def _measure(bundle: str, cells: tuple[int, ...], frame: tuple[int, int], rounds: int) -> None:
    from ..runtime.comm import default_comm

    comm = default_comm()
    results = []
    for n in cells:
        for active in (0, min(n, ACTIVE)):
            python, cpp = _best(bundle, comm, n, active, frame, rounds)
            results.append({"ranks": comm.size, "cells": n, "active": active, "python": python, "cpp": cpp})
    if comm.rank == 0:
        click.echo(json.dumps(results))


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
    import numpy as np

    import mld_closure as mld

    try:
        from mld_closure import _bridge
    except ImportError:
        raise ValueError("this installation has no compiled bridge; install mld_closure again") from None

    several = comm.size > 1
    ids = np.arange(comm.rank, n, comm.size)
    pressure = np.where(ids < active, 6e9, 0.0)
    patches = np.broadcast_to(np.float32(0.9), (len(ids), *frame))
    settings = f'device = "cpu"\nthreads = 1\npatch_shape = [{frame[0]}, {frame[1]}]\n'

    def from_c() -> Any:
        return _bridge.Closure(bundle, settings, comm.py2f() if several else None)

    given = comm if several else None
    cpp = None if python_first else from_c()
    python = mld.open(bundle, comm=given, device="cpu", threads=1, patch_shape=tuple(frame))
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


def _cycles(bundle: str, number: int, as_json: bool) -> None:
    """Watch the memory of the program that opens and closes a bundle again and again."""
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    found: list[tuple[int, float]] = []
    run = subprocess.Popen(
        [_start_host(), bundle, str(number)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=env,
    )
    with run, progress() as bar:
        task = bar.add_task("opening and closing", total=number, status="")
        for line in run.stdout:
            done, mib = line.split()
            found.append((int(done), float(mib)))
            bar.update(task, completed=int(done), status=f"{float(mib):.1f} MiB")
        said = run.stderr.read().strip()
    if run.returncode:
        raise RuntimeError(said or f"mld-start ended with {run.returncode}")
    warm = next(mib for done, mib in found if done >= number / 10)
    grown = found[-1][1] - warm
    late = found[-1][1] - next(mib for done, mib in found if done >= number / 2)
    if as_json:
        print_json(
            {
                "cycles": number,
                "mib": found[-1][1],
                "grown_mib": grown,
                "grown_late_mib": late,
                "on_the_way": found,
            }
        )
        return
    click.echo(
        f"{number} cycles: {found[-1][1]:.1f} MiB at the end, {grown:+.2f} MiB since the first tenth "
        f"({1024**2 * grown / (0.9 * number):+.0f} bytes a cycle), {late:+.2f} MiB since half-way"
    )


def _start_host() -> Path:
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
        "c = mld.open(sys.argv[1], device='cpu', threads=1, warm_start=False); t = time.perf_counter() - t;"
        "import resource; print(t, 0, int(open('/proc/self/statm').read().split()[1])"
        " * resource.getpagesize() / 2**20)"
    )
    commands = {"C": [str(_start_host()), bundle], "Python": [sys.executable, "-c", code, bundle]}
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
