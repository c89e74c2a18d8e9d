"""What all tests share: a working folder of their own, and what is prepared once for all test processes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
# The test processes share the cores: before torch is imported
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that wait leave the cores to others


def pytest_addoption(parser):
    group = parser.getgroup("faults", "campaign of faults")
    group.addoption("--faults", type=int, default=0, help="number of faults; 10,000 with -m faults, else 200")
    group.addoption("--fault", type=int, action="append", default=[], help="make this fault alone, again")
    group.addoption("--fault-seed", type=int, default=0, help="seed of the campaign")
    group.addoption("--fault-table", default=None, help="document whose table of faults is replaced")
    group.addoption("--fault-store", default=None, help="file of results, by which a campaign goes on")


@pytest.fixture(scope="session", autouse=True)
def away_from_the_sources(tmp_path_factory):
    """Python processes that tests start must import the installed package, not the source tree."""
    before = os.getcwd()
    os.chdir(tmp_path_factory.mktemp("cwd"))
    yield
    os.chdir(before)


@pytest.fixture
def undrawn(monkeypatch):
    """Runs of this test write all but their pictures, which take most of the time of a short run."""
    monkeypatch.setattr("mld_closure.study.outputs.draw", lambda *args: None)


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory):
    """A folder that all test processes of this session share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


def pytest_xdist_make_scheduler(config, log):
    """Whole files go to one process, and all of tests/mpi too, whose programs share a launch."""
    from xdist.scheduler import LoadFileScheduling

    class ByFileAndLaunch(LoadFileScheduling):
        def _split_scope(self, nodeid):
            return "tests/mpi" if nodeid.startswith("tests/mpi/") else super()._split_scope(nodeid)

    return ByFileAndLaunch(config, log) if config.getoption("dist") == "loadfile" else None


def runs_everything(config):
    """Whether this process starts the test processes of a run without chosen files."""
    chosen = config.args_source is not pytest.Config.ArgsSource.TESTPATHS
    return not chosen and bool(config.getoption("numprocesses", None))


def pytest_sessionstart(session):
    """Compile kernels and hosts before the test processes start: each of them would do it again."""
    if runs_everything(session.config):
        hosts = session.config._tmp_path_factory.getbasetemp() / "hosts"
        session.config.builder = subprocess.Popen([sys.executable, HERE / "cpp/hosts.py", hosts])
        subprocess.run([sys.executable, HERE / "warm_kernels.py"], check=True)


def pytest_sessionfinish(session):
    if builder := getattr(session.config, "builder", None):
        builder.wait()
