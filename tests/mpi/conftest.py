"""Starting programs on several ranks."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).resolve().parent / "programs"
ENVIRONMENT = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "OMPI_MCA_mpi_yield_when_idle": "1",
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "NUMBA_NUM_THREADS": "1",
}


def launch(ranks, *words, timeout=900, check=True):
    """Run Python on several ranks: `words` follow `python -m mpi4py`, which ends the job where one fails."""
    command = ["mpirun", "-n", str(ranks), "--bind-to", "none", sys.executable, "-m", "mpi4py"]
    command += [str(word) for word in words]
    environment = {**os.environ, **ENVIRONMENT}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout)
    if check and run.returncode:
        raise AssertionError(f"{' '.join(command)}\n{run.stdout}\n{run.stderr}")
    return run


@pytest.fixture(scope="session")
def mpi():
    """`launch`, where MPI is there."""
    pytest.importorskip("mpi4py")
    return launch


@pytest.fixture(scope="session")
def kit():
    """The tiny bundles of the closure's own tests."""
    spec = importlib.util.spec_from_file_location("kit", PROGRAMS.parents[1] / "closure/conftest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def programs():
    """Folder of the programs."""
    return PROGRAMS
