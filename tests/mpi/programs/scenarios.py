"""Runs many programs of this folder in one launch of MPI: scenarios.py FOLDER NAME:RANKS ...

Each program sees a communicator of RANKS processes and a folder of its own, FOLDER/NAME, in which `seconds`
tells that it came to its end. Where it fails, `error` there holds what a rank raised, and the whole launch
ends, as other ranks may wait for that one; whoever launched it starts the rest again. Where it takes longer
than LIMIT, every rank says where it is and ends.
"""

import faulthandler
import runpy
import sys
import time
import traceback
from pathlib import Path

import shared
from mpi4py import MPI

LIMIT = 900  # seconds; a program takes some on a machine without other work


def wait_asleep(world):
    """Wait for all ranks without taking the time of those that work."""
    waiting = world.Ibarrier()
    while not waiting.Test():
        time.sleep(0.01)


def run(world, folder, name, ranks):
    """Run one program on the first `ranks` processes."""
    faulthandler.dump_traceback_later(LIMIT, exit=True)
    begun = time.perf_counter()
    folder.mkdir(parents=True, exist_ok=True)
    part = world.Split(int(world.rank < ranks), world.rank)
    if world.rank < ranks:
        with shared.given(part, folder):
            try:
                runpy.run_path(str(shared.HERE / f"{name}.py"), run_name="__main__")
            except BaseException:
                text = f"rank {world.rank} of {ranks}:\n{traceback.format_exc()}"
                (folder / "error").write_text(text)
                world.Abort(1)
    wait_asleep(world)
    if world.rank == 0:
        (folder / "seconds").write_text(str(time.perf_counter() - begun))


if __name__ == "__main__":
    for word in sys.argv[2:]:
        program, number = word.split(":")
        run(MPI.COMM_WORLD, Path(sys.argv[1]) / program, program, int(number))
    faulthandler.cancel_dump_traceback_later()
