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


def run_programs(folder, words):
    """Run programs, each "name:ranks", in one launch; where one fails, the rest in another."""
    while words:
        ranks = max(int(word.split(":")[1]) for word in words)
        run = launch(ranks, PROGRAMS / "scenarios.py", folder, *words, timeout=None, check=False)
        end = f"ended with {run.returncode}\n{run.stdout}\n{run.stderr}"
        places = {word: folder / word.split(":")[0] for word in words}
        words = [word for word, place in places.items() if not (place / "seconds").exists()]
        if words and not (places[words[0]] / "error").exists():  # the one that ran when the launch ended
            places[words[0]].mkdir(parents=True, exist_ok=True)
            (places[words[0]] / "error").write_text(f"{words[0]}: the launch {end}")
        assert words or not run.returncode, f"all programs came to their end, the launch {end}"
        words = words[1:]


@pytest.fixture(scope="session")
def launched(mpi, request, tmp_path_factory):
    """Folder of the results of all programs that the chosen tests need."""
    folder = tmp_path_factory.mktemp("scenarios")
    run_programs(folder, chosen_programs(request.session.items))
    return folder


def chosen_programs(items):
    """Programs of the tests, each "name:ranks"; on `MORE` ranks for tests with the marker `system`."""
    most = {}
    for item in items:
        if "output" in item.fixturenames:
            name, ranks = item.module.PROGRAM.split(":")
            if item.get_closest_marker("system"):
                ranks = getattr(item.module, "MORE", ranks)
            most[name] = max(most.get(name, 0), int(ranks))
    return [f"{name}:{ranks}" for name, ranks in sorted(most.items())]


@pytest.fixture(scope="module")
def output(launched, request):
    """Folder of what the program named by the test's module, as PROGRAM = "name:ranks", has written."""
    folder = launched / request.module.PROGRAM.split(":")[0]
    if (folder / "error").exists():
        pytest.fail((folder / "error").read_text(), pytrace=False)
    return folder


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
