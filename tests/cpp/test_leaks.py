"""Nothing that calls leave behind: counted block by block, looked at by valgrind, and over many openings."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from mld_closure.benchmarks import bridge
from mld_closure.cli import bench_bridge

REAL = (  # files of the package that stand beside the stand-in
    "bridge.py", "config.py", "errors.py", "fields.py", "host_arrays.py", "intake.py", "runtime/agree.py",
    "runtime/comm.py", "runtime/meeting.py", "closure/first_version.py", "closure/options.py",
    "surrogate/options.py",
)  # fmt: skip


@pytest.fixture(scope="module")
def stand_in(package, kit, tmp_path_factory):
    """Folder of a library in a Python of its own, as pip lays it out, whose package has no torch."""
    home = tmp_path_factory.mktemp("stand_in")
    kit.call(sys.executable, "-m", "venv", "--without-pip", home)
    site = home / f"lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
    (site / "numpy.pth").write_text(f"{Path(np.__file__).parents[1]}\n")
    shutil.copytree(kit.ROOT / "cpp_bridge/tests/stand_in", site / "mld_closure")
    for name in REAL:
        target = site / "mld_closure" / name
        target.parent.mkdir(exist_ok=True)
        shutil.copy(kit.ROOT / "mld_closure" / name, target)
    shutil.copytree(package / "lib", site / "mld_closure/lib", ignore=shutil.ignore_patterns("python"))
    return site / "mld_closure/lib"


@pytest.fixture(scope="module")
def leaks(build):
    """Runs rounds of all calls; `before` goes before the command."""
    program = build / "cpp_bridge/tests/leaks"
    if not program.exists():
        pytest.skip("leaks was not built: no glibc")
    libpython = Path(sysconfig.get_config_var("LIBDIR"), sysconfig.get_config_var("INSTSONAME"))
    if ".so" not in libpython.name:
        pytest.skip("this Python has no shared library")

    def run(library, bundle, rounds, *more, before=()):
        env = os.environ | {"LD_LIBRARY_PATH": str(library), "OMP_NUM_THREADS": "1"}
        command = [*before, program, libpython, bundle, str(rounds), *more]
        return subprocess.run(command, capture_output=True, text=True, env=env, timeout=1200)

    return run


def test_no_block_is_left_by_the_core_and_its_backend(leaks, stand_in):
    run = leaks(stand_in, "-", 13)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "13 rounds, 0 blocks more" in run.stdout
    seen = leaks(stand_in, "-", 13, "forget")
    assert seen.returncode == 1
    assert "13 rounds, 10 blocks more" in seen.stdout


@pytest.mark.system
def test_no_block_is_left_by_a_closure(leaks, package, bundle):
    run = leaks(package / "lib", bundle, 7)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "7 rounds, 0 blocks more" in run.stdout


@pytest.fixture
def valgrind(kit):
    if shutil.which("valgrind") is None:
        pytest.skip("no valgrind (Debian: valgrind)")
    kinds = "definite,indirect,possible"
    known = kit.ROOT / "cpp_bridge/tests/cpython.supp"
    leaks = ["--leak-check=full", f"--show-leak-kinds={kinds}", f"--errors-for-leak-kinds={kinds}"]
    return ["valgrind", "-q", *leaks, "--num-callers=60", f"--suppressions={known}", "--error-exitcode=9"]


@pytest.mark.system
def test_valgrind_finds_nothing_lost(leaks, stand_in, valgrind):
    """Library, backend and CPython; torch cannot be looked at this way in reasonable time."""
    run = leaks(stand_in, "-", 2, before=valgrind)
    assert run.returncode == 0, run.stderr[-6000:]
    seen = leaks(stand_in, "-", 2, "forget", before=valgrind)
    assert seen.returncode == 9
    assert re.search(r"7 bytes in 1 blocks are definitely lost", seen.stderr)


@pytest.mark.system
def test_valgrind_finds_nothing_lost_where_opening_fails(build, bundle, valgrind):
    env = os.environ | {"MLD_CLOSURE_PYTHON": "/nowhere"}
    command = [*valgrind, build / "examples/hosts/smallest", bundle]
    run = subprocess.run(command, capture_output=True, text=True, env=env)
    assert run.returncode == 1, run.stderr
    assert "MLD_E_PYTHON" in run.stderr


@pytest.fixture
def cycles(package, bundle, monkeypatch):
    """Runs `bench bridge --cycles` of the build tree."""
    monkeypatch.setattr(bridge, "start_host", lambda: package / "bin/mld-start")

    def run(number):
        done = CliRunner().invoke(bench_bridge.command, [str(bundle), "--cycles", str(number), "--json"])
        assert done.exit_code == 0, done.exception
        return json.loads(done.stdout)

    return run


@pytest.mark.system
def test_cycles_on_the_command_line(cycles):
    """Python takes memory by the MiB, up to about the 25th cycle."""
    found = cycles(60)
    assert [done for done, _ in found["on_the_way"]] == list(range(1, 61))
    assert found["grown_mib"] == found["on_the_way"][-1][1] - found["on_the_way"][5][1]
    assert 0 <= found["grown_mib"] < 2.0
    assert found["grown_late_mib"] < 0.25


@pytest.mark.slow
def test_memory_does_not_grow_over_ten_thousand_openings(cycles):
    found = cycles(10_000)
    assert found["grown_mib"] < 2.0
    assert found["grown_late_mib"] < 0.25
