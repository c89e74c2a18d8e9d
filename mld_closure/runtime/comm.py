"""The communicator: the only place that imports mpi4py, and a serial stand-in with the same few calls."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

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

    def Allgather(self, values: np.ndarray, every: np.ndarray) -> None:
        """Copy the values (n,) to the one row of (1, n)."""
        every[...] = values

    def Alltoall(self, send: np.ndarray, receive: np.ndarray) -> None:
        """Copy the one number."""
        receive[...] = send

    def Free(self) -> None:
        """Nothing to give back."""


_ROW_TYPES: dict[int, Any] = {}


def row_type(size: int) -> Any:
    """The MPI datatype of a row of `size` bytes, so that messages are counted in rows."""
    from mpi4py import MPI

    if size not in _ROW_TYPES:
        _ROW_TYPES[size] = MPI.BYTE.Create_contiguous(size).Commit()
    return _ROW_TYPES[size]


def any_source() -> int:
    """What stands for any rank where messages are received."""
    from mpi4py import MPI

    return MPI.ANY_SOURCE


def launched_size() -> int:
    """Processes an MPI launcher says it started; 1 under plain `python`."""
    sizes = [os.environ.get(name, "") for name in _LAUNCHER_SIZES]
    return max((int(size) for size in sizes if size.isdigit()), default=1)


def default_comm() -> Any:
    """The communicator of all processes that a launcher such as mpirun started together.

    Library calls take a communicator as an argument and never use this by themselves.

    Returns
    -------
    communicator
        mpi4py's COMM_WORLD, or a `SerialComm` for a program started without a launcher.

    Raises
    ------
    RuntimeError
        Where a launcher started several processes and mpi4py is missing or belongs to another MPI.

    Examples
    --------
    >>> default_comm().size
    1
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


def from_handle(handle: int, library: str | None = None) -> Any:
    """The communicator of a host program, from its Fortran handle (MPI_Comm_c2f).

    library: path of the MPI library that the host has loaded, which mpi4py must use too. Raises RuntimeError
    where MPI is not running, mpi4py cannot be loaded or uses another MPI, and for the wrong mpirun.
    """
    if library is None:
        raise RuntimeError("a communicator was given, but the program has loaded no MPI library; pass none")
    before = os.environ.get("MPI4PY_LIBMPI")
    os.environ["MPI4PY_LIBMPI"] = before or library
    try:
        import mpi4py

        mpi4py.rc.initialize = mpi4py.rc.finalize = False
        from mpi4py import MPI
    except (ImportError, RuntimeError) as err:
        raise RuntimeError(
            f"mpi4py cannot be loaded beside {library} ({err}); "
            "install it with: pip install 'mld_closure[mpi]'"
        ) from None
    finally:
        if before is None:
            del os.environ["MPI4PY_LIBMPI"]
    if not MPI.Is_initialized():
        raise RuntimeError(
            f"MPI is not initialised as mpi4py sees it: call MPI_Init first, and let mpi4py use {library}"
        )
    if MPI.Is_finalized():
        raise RuntimeError("MPI was finalised; open the closure before MPI_Finalize")
    expected, found = launched_size(), MPI.COMM_WORLD.size
    if expected > 1 and found == 1:
        raise RuntimeError(
            f"wrong mpirun: it started {expected} processes, but each is alone in its MPI_COMM_WORLD; "
            f"use the mpirun that belongs to {library}"
        )
    comm = MPI.Comm.f2py(handle)
    if comm == MPI.COMM_NULL:
        raise RuntimeError(f"the handle {handle} is no communicator; pass MPI_Comm_c2f(communicator)")
    return comm


def finalized() -> bool:
    """Whether MPI was in use and has ended."""
    mpi = sys.modules.get("mpi4py.MPI")
    return mpi is not None and mpi.Is_finalized()
