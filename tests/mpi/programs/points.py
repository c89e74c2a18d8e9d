"""Points of patches on any number of ranks: served, migrated, and continued from a restart of other ranks."""

from pathlib import Path

import numpy as np
from shared import argument, by_id, ids, on_each_size, owners, write

import mld_closure as mld

SHAPE, STEPS, DT = (16, 40), 8, 4e-9
FOLDER = Path(argument(1))


def specimen():
    rng = np.random.default_rng(4)
    solid = np.ones((16, 8 + 4 * 32), np.float32)
    for _ in range(20):
        y, x = rng.integers(0, 13), rng.integers(0, solid.shape[1] - 4)
        solid[y : y + 3, x : x + 3] = 0.0
    return mld.Specimen.from_array(solid, 200e-9)


def opened(comm, kind):
    """A closure with 13 points of four patches, those of this rank registered."""
    engine = {"patch_shape": SHAPE, "reproducible": True, "micro_batch": 4}
    closure = mld.open(mld.testing.random_curves(), comm, device="cpu", threads=1, engine=engine)
    mine = np.flatnonzero(owners(kind, comm.size) == comm.rank)
    corners = np.stack([mine // 4 * 32 * 200e-9, np.zeros(len(mine))], axis=1)
    closure.register(ids[mine], specimen=specimen(), offsets=corners, parts=mine % 4)
    return closure


def run(comm, closure, first):
    """Burned fractions (step, 13) of steps in which the shock reaches one point after the other."""
    values = []
    for k in range(first, first + STEPS):
        at = closure.ids - ids[0]
        arrived = at <= 2 * k
        closure.begin_step(k * DT, DT)
        out = closure.advance(
            pressure=np.where(arrived, 9e9, 0.0), entropy=np.where(arrived, 1.4e5 + 1e4 * at, 0)
        )
        values.append(out.burned_fraction.copy())
        closure.commit()
    return by_id(comm, closure.ids, np.array(values))


def main(comm):
    closure = opened(comm, "blocks")
    early = run(comm, closure, 0)
    if comm.size == 2:
        closure.save(FOLDER / "restart")
    closure.migrate(closure.ids, (closure.ids + 1) % comm.size)
    late = run(comm, closure, STEPS)
    closure.close()
    write(comm, FOLDER, "points", early=early, late=late)


def after(comm):
    closure = opened(comm, "spread")
    closure.restore(FOLDER / "restart")
    late = run(comm, closure, STEPS)
    closure.close()
    write(comm, FOLDER, "restarted", late=late)


on_each_size(main)
on_each_size(after)
