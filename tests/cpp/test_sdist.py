"""A source distribution builds with CMake as a checkout does."""

import subprocess
import sys
import tarfile

import pytest

BUILD = "from scikit_build_core.build import build_sdist; import sys; build_sdist(sys.argv[1])"


@pytest.fixture(scope="module")
def unpacked(kit, tmp_path_factory):
    """Folder of an unpacked source distribution."""
    folder = tmp_path_factory.mktemp("sdist")
    kit.call(sys.executable, "-c", BUILD, folder, cwd=kit.ROOT)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return folder / archive.name.removesuffix(".tar.gz")


def test_it_holds_the_tests_of_the_bridge_and_no_others(unpacked, kit):
    for folder in ("cpp_bridge/tests", "cpp_bridge/src", "examples/hosts"):
        there = {p.relative_to(kit.ROOT) for p in (kit.ROOT / folder).rglob("*") if p.is_file()}
        missing = [p for p in there if "__pycache__" not in p.parts and not (unpacked / p).exists()]
        assert not missing
    assert not (unpacked / "tests").exists()


@pytest.mark.system
def test_cmake_configures_it_with_its_tests(unpacked, tmp_path):
    command = [
        "cmake",
        "-S",
        unpacked,
        "-B",
        tmp_path,
        "-G",
        "Ninja",
        f"-DPython_EXECUTABLE={sys.executable}",
    ]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    listed = subprocess.run(["ctest", "--test-dir", tmp_path, "-N"], capture_output=True, text=True).stdout
    for name in ("make_bundle", "cycles", "smallest_c", "openmp"):
        assert f": {name}\n" in listed
