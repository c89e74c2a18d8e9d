"""A rollout by tiles on any number of ranks."""

from pathlib import Path

import numpy as np
from shared import argument, kit, on_each_size, write

from mld_closure.runtime.tiled import tiled_rollout


def main(comm):
    frame = np.random.default_rng(0).random((3, 32, 160)).astype(np.float32)
    made = tiled_rollout(kit.bundle(**kit.PAPER).meso, (32, 160), (32, 64), 16, comm=comm)
    write(comm, Path(argument(1)), "tiles", frames=made.rollout(frame, 3, 900.0), tiles=len(made.pixels))


on_each_size(main)
