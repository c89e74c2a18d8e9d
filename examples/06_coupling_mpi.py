"""Couple a code of your own to the closure on its own communicator: arrays in, arrays out.

    mpirun -n 3 python -m mpi4py examples/06_coupling_mpi.py        (also without mpirun)

Networks with random weights stand in for a trained bundle, so the numbers mean nothing. Takes a few seconds.
"""

import numpy as np

import mld_closure as mld
from mld_closure.testing import random_networks

CELLS, STEPS, DT = 12, 6, 0.5e-9


def main() -> None:
    world = mld.default_comm()
    comm = world.Dup() if world.size > 1 else world  # the communicator of your code
    bundle = random_networks()
    sample = mld.Specimen.generate((96, 96 * CELLS), bundle.pixel, seed=1, porosity=0.1)
    mine = np.arange(CELLS)[comm.rank :: comm.size]  # which cells a rank owns is up to your code
    corners = np.stack([96 * bundle.pixel * mine, 0.0 * mine], axis=1)  # x, y in m
    engine = {"patch_shape": (96, 96), "reproducible": True}
    with mld.open(bundle, comm, device="cpu", threads=1, engine=engine) as closure:
        closure.register(mine, specimen=sample, offsets=corners)
        for step in range(STEPS):
            pressure = np.where(mine <= 2 * step, 7e9, 0.0)  # a shock that takes two cells per step
            closure.begin_step(step * DT, DT)
            out = closure.advance(mine, pressure=pressure)
            closure.commit()
        total = sum(comm.allgather(float(out.burned_fraction.sum())))
        reacting = sum(comm.allgather(int((out.burned_fraction > 0).sum())))
    if comm.rank == 0:
        print(f"{comm.size} ranks: {reacting} of {CELLS} cells react, burned {total:.10e}")
        assert 0 < reacting < CELLS
        assert 0 < total < CELLS


if __name__ == "__main__":
    main()
