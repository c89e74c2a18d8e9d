"""Every host builds, runs through ctest, and gives the numbers of the Python closure."""

import re
import subprocess

import numpy as np
import pytest

import mld_closure as mld


def numbers(text, label="mean burned fraction"):
    return [float(x) for x in re.findall(label + r"\s+([-+.\deE]+)", text)]


def ctest(build, *words):
    """(passed, what it wrote) of every ctest test by name."""
    run = subprocess.run(["ctest", "--test-dir", build, "-V", *words], capture_output=True, text=True)
    said, found = {}, {}
    for line in run.stdout.splitlines():
        if text := re.match(r"(\d+): (.*)", line):
            said.setdefault(text[1], []).append(text[2])
        elif end := re.match(r"\s*\d+/\d+ Test\s+#(\d+): (\S+) \.+\s*(\**\w+)", line):
            found[end[2]] = end[3] in ("Passed", "***Skipped"), "\n".join(said.get(end[1], ()))
    assert found, run.stdout + run.stderr
    return found


@pytest.fixture(scope="module")
def results(build):
    """Of all hosts but those that run long; test_hydro.py and test_lagrangian.py ask for more."""
    return ctest(build, "-E", "cycles|hydro_|lagrangian_")


def check_all_passed(results):
    failed = [f"{name}:\n{text[-3000:]}" for name, (passed, text) in results.items() if not passed]
    assert not failed, "\n".join(failed)
    assert {"smallest_c", "smallest_cpp", "smallest_f90", "points_f90", "openmp"} <= results.keys()


def test_all_hosts_pass(results):
    check_all_passed(results)


@pytest.mark.system
def test_the_whole_project_builds_without_pip_and_all_its_hosts_pass(whole_build):
    found = ctest(whole_build)
    check_all_passed(found)
    assert {"cycles", "hydro_1", "lagrangian_1"} <= found.keys()


def test_the_smallest_hosts_agree_with_python_to_the_bit(results, build):
    n, size, dt = 4, 64, 0.3e-9
    k, y, x = np.indices((n, size, size))
    closure = mld.open(build / "bundle", device="cpu", threads=1)
    closure.register(np.arange(10, 14), patches=np.where((31 * y + 17 * x + 7 * k) % 23 < 2, 0, 1.0))
    for step in range(12):
        closure.begin_step(step * dt, dt)
        out = closure.advance(pressure=5e9 + 1e9 * np.arange(n))
        closure.commit()
    mean = out.burned_fraction.mean()
    assert mean > 0.1
    for name in ("smallest_c", "smallest_cpp", "smallest_f90"):
        _, text = results[name]
        if "skipped:" in text:
            continue
        assert numbers(text) == pytest.approx([mean], rel=1e-14), name


@pytest.mark.parametrize("name", ["smallest", "smallest_cpp", "smallest_f90"])
def test_the_smallest_hosts_run_with_the_shipped_bundle(build, kit, name):
    host = build / "examples/hosts" / name
    if not host.exists():
        pytest.skip(f"{name} was not built: no Fortran compiler (Debian: gfortran)")
    (mean,) = numbers(kit.call(host, "hmx-compact"))
    assert 0.01 < mean < 1


def test_the_openmp_host_keeps_its_threads(results):
    assert "3 threads" in results["openmp"][1]


def test_the_library_itself_says_nothing(build):
    run = subprocess.run(
        [build / "examples/hosts/smallest", build / "bundle"], capture_output=True, text=True
    )
    assert run.stderr == ""
    assert re.fullmatch(r"mean burned fraction \S+, longest next step \S+ s\n", run.stdout)
