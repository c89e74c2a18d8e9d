"""A shock inside one rank's domain: who serves its cells, and what is sent for patches of two sizes."""

from pathlib import Path

import numpy as np
from shared import argument, bundle, communicator, kit, write

import mld_closure as mld

comm = communicator()
cells = np.arange(64)
kit.whole_frames().__enter__()  # burned fractions as the readouts give them
loads, sent = [], []
for side, horizon in ((32, None), (64, None), (32, 3)):  # frames; cells of the last end early
    sample = mld.Specimen.generate((64, 1100), kit.PIXEL, 3, porosity=0.1)
    closure = mld.open(bundle(), comm, **kit.options(patch_shape=(side, side), horizon=horizon))
    corners = np.stack([cells * 16 * kit.PIXEL, 0.0 * cells], axis=1)
    mine = cells if comm.rank == 1 else cells[:0]
    closure.register(mine, specimen=sample, offsets=corners[mine])
    served = []
    for step in range(10):
        closure.begin_step(step * 0.3e-9, 0.3e-9)
        closure.advance(pressure=np.where(mine < 8 * step, 8e9 + 1e8 * (mine % 7), 0.0))
        closure.commit()
        served.append(comm.allgather(closure._ranks.server.load))
    loads.append(served)
    sizes = set().union(*comm.allgather(closure._ranks.exchange.row_sizes))
    sent.append(sorted(sizes))
    closure.close()


def two_cells(comm, mine):
    """Burned fractions (step, k) of two cells: one idle for good, after a step in which all are."""
    with mld.open(kit.bundle(), comm, **kit.options(reproducible=True)) as closure:
        closure.register(mine, patches=kit.patches(2)[mine])
        found = []
        for step in range(4):
            closure.begin_step(step * 1e-9, 1e-9)
            pressure = np.where((mine == 1) & (step > 0), 8e9, 0.0)
            found.append(closure.advance(pressure=pressure).burned_fraction.copy())
            closure.commit()
        return np.array(found)


alone = two_cells(None, np.arange(2))
found = two_cells(comm, np.arange(2) if comm.rank == 2 else np.arange(0))
assert found.shape == (4, 2 if comm.rank == 2 else 0)
assert comm.rank != 2 or np.array_equal(found, alone)
assert alone[0].max() == alone[:, 0].max() == 0 < alone[-1, 1]
write(comm, Path(argument(1)), "balance", loads=loads, sent=sent)
