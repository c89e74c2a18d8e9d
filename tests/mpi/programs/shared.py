"""What the programs of these tests share: tiny networks, a shock over 13 cells, and who owns them."""

import contextlib
import importlib.util
import itertools
import json
import sys
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
ids = np.arange(700, 713)
peaks = np.linspace(5e9, 15e9, 13)
starts = np.linspace(0.1e-9, 2.2e-9, 13)
times = np.linspace(0, 4e-9, 7)


def load_kit():
    """The tiny bundles of the closure's own tests."""
    spec = importlib.util.spec_from_file_location("kit", HERE.parents[1] / "closure/conftest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


kit = load_kit()


def bundle(**changes):
    """Tiny networks with frames twice as far apart as those of `kit`: half as many steps to the same time."""
    given = kit.bundle(**changes)
    given.micro_step *= 2
    return given


def pressure(t, mine=slice(None)):
    return kit.ramp(t, peaks, starts)[mine]


def owners(kind, size):
    """Which rank owns each of the 13 cells."""
    return {
        "blocks": np.arange(13) * size // 13,
        "spread": np.arange(13)[::-1] % size,
        "last": np.full(13, size - 1),
    }[kind]


def open_closure(comm, kind="blocks", given=None, patches=True, **settings):
    """A closure with the 13 cells registered; the cells (k,) of this rank."""
    import mld_closure as mld

    options = {"micro_batch": 7, "reproducible": True, "patch_shape": (32, 32)}
    options = kit.options(**options | settings)
    closure = mld.open(given if given is not None else bundle(), comm, **options)
    mine = np.flatnonzero(owners(kind, comm.size) == comm.rank)
    if patches:
        closure.register(ids[mine], patches=kit.patches(13)[mine])
    else:
        sample = mld.Specimen.generate((64, 256), kit.PIXEL, 3, porosity=0.1)
        corners = np.stack([np.arange(13) * 16 * kit.PIXEL, np.full(13, 8 * kit.PIXEL)], axis=1)
        closure.register(ids[mine], specimen=sample, offsets=corners[mine])
    return closure, mine


QUANTITIES = (
    "burned_fraction",
    "burn_rate",
    "hotspot_temperature",
    "mean_temperature",
    "uncertainty",
    "status",
)


def by_id(comm, names, values):
    """Values (..., 13) of all cells, in the order of `ids`, from those (..., k) of each rank's cells."""
    parts = comm.allgather((names, values))
    every = np.concatenate([part[0] for part in parts])
    assert np.array_equal(np.sort(every), ids)
    return np.concatenate([part[1] for part in parts], axis=-1)[..., np.argsort(every)]


def quantities(out):
    """(6, k) of a response."""
    return np.stack([getattr(out, q).astype(float) for q in QUANTITIES])


def run(comm, closure, moments=times):
    """Steps between the moments, some rolled back or corrected; results (step, 6, 13), limits (step,)."""
    values, limits = [], []
    at = {int(i): k for k, i in enumerate(ids)}
    mine = [at[int(i)] for i in closure.ids]
    for n, (t0, t1) in enumerate(itertools.pairwise(moments)):
        if n % 4 == 1:
            closure.begin_step(t0, 2 * (t1 - t0))
            closure.advance(pressure=pressure(t0 + 2 * (t1 - t0), mine))
            closure.rollback()
        closure.begin_step(t0, t1 - t0)
        if n % 3 == 0:
            closure.advance(pressure=0.9 * pressure(t1, mine))
        out = closure.advance(pressure=pressure(t1, mine))
        closure.commit()
        values.append(quantities(out))
        limits.append(out.dt_max)
    return by_id(comm, closure.ids, np.array(values)), np.array(limits)


GIVEN = {}  # communicator and words of the program that `scenarios.py` runs


@contextlib.contextmanager
def given(comm, *words):
    """Let a program see this communicator and these words in place of those it was started with."""
    GIVEN.update(comm=comm, words=words)
    yield
    GIVEN.clear()


def communicator():
    from mpi4py import MPI

    return GIVEN.get("comm") or MPI.COMM_WORLD


def on_each_size(work):
    """Call work(comm) on communicators of 1, 2, 3, ... of the ranks that were started."""
    world = communicator()
    for size in range(1, world.size + 1):
        part = world.Split(int(world.rank < size), world.rank)
        if world.rank < size:
            work(part)
        waiting = world.Ibarrier()
        while not waiting.Test():
            time.sleep(0.01)  # a rank that waits in a collective call would take the time of those that work
        part.Free()


def write(comm, folder, name, **arrays):
    if comm.rank == 0:
        np.savez(Path(folder) / f"{name}-{comm.size}.npz", **arrays)


def write_json(comm, folder, name, value):
    every = comm.gather(value)
    if comm.rank == 0:
        (Path(folder) / f"{name}-{comm.size}.json").write_text(json.dumps(every))


def argument(number):
    return GIVEN["words"][number - 1] if GIVEN else sys.argv[number]
