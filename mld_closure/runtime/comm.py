"""The communicator: the only place that imports mpi4py, and a serial stand-in with the same few calls."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

# Set by the launchers of Open MPI, MPICH / Intel MPI, and Slurm for every process they start.
_LAUNCHER_SIZES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS")


class SerialComm:
    """One process: the calls of an mpi4py communicator that this package uses, without MPI."""

    rank = 0
    size = 1

    def barrier(self) -> None:
        """Nothing to wait for."""

    def bcast(self, value: Any, root: int = 0) -> Any:
        """The value itself."""
        return value

    def gather(self, value: Any, root: int = 0) -> list[Any]:
        """A list of the one value."""
        return [value]

    def allgather(self, value: Any) -> list[Any]:
        """A list of the one value."""
        return [value]

    def scatter(self, values: Sequence[Any], root: int = 0) -> Any:
        """The first of one value."""
        return values[0]


def launched_size() -> int:
    """Processes an MPI launcher says it started; 1 under plain `python`."""
    sizes = [os.environ.get(name, "") for name in _LAUNCHER_SIZES]
    return max((int(size) for size in sizes if size.isdigit()), default=1)


def default_comm() -> Any:
    """COMM_WORLD when started by an MPI launcher with several processes, else a `SerialComm`.

    Only the command line uses this; library calls take the communicator as an argument. Raises RuntimeError
    when a launcher started several processes and mpi4py is missing or belongs to another MPI.
    """
    expected = launched_size()
    if expected == 1:
        return SerialComm()
    try:
        from mpi4py import MPI
    except ImportError as err:
        raise RuntimeError(
            f"a launcher started {expected} processes but mpi4py cannot be loaded ({err}); "
            "install it with: pip install 'mld_closure[mpi]'"
        ) from None
    if expected != MPI.COMM_WORLD.size:
        raise RuntimeError(
            f"wrong mpirun: it started {expected} processes but mpi4py's MPI sees {MPI.COMM_WORLD.size}; "
            "use the mpirun of the MPI that mpi4py was built with"
        )
    return MPI.COMM_WORLD
