"""What pip installs is found: five lines of CMake, pkg-config, and the headers in C99 and C++11."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FIVE_LINES = """cmake_minimum_required(VERSION 3.21)
project(hydro C CXX)
find_package(mld_closure REQUIRED)
add_executable(hydro smallest.c)
target_link_libraries(hydro PRIVATE mld_closure::mld_closure)
"""


def config(option):
    tool = Path(sys.executable).with_name("mld-closure-config")
    if not tool.exists():
        pytest.skip("mld_closure was installed before it had mld-closure-config")
    return subprocess.run([tool, option], capture_output=True, text=True)


@pytest.fixture(params=[pytest.param("build tree", marks=pytest.mark.system), "installed"])
def cmakedir(request):
    """Folder of the CMake package: of the build tree, and of the installation where there is a whole one."""
    if request.param == "build tree":
        return request.getfixturevalue("whole_build") / "site/mld_closure/cmake"
    said = config("--cmakedir")
    if said.returncode:
        pytest.skip(said.stderr.strip())
    return Path(said.stdout.strip())


def test_a_host_of_five_lines(cmakedir, bundle, kit, tmp_path):
    (tmp_path / "CMakeLists.txt").write_text(FIVE_LINES)
    shutil.copy(kit.ROOT / "examples/hosts/smallest.c", tmp_path)
    kit.call("cmake", "-S", tmp_path, "-B", tmp_path / "b", f"-Dmld_closure_DIR={cmakedir}")
    kit.call("cmake", "--build", tmp_path / "b")
    clean = {k: v for k, v in os.environ.items() if k in ("HOME", "TMPDIR")} | {"PATH": "/usr/bin:/bin"}
    assert "mean burned fraction" in kit.call(tmp_path / "b/hydro", bundle, env=clean, cwd=tmp_path)


OLD_LINES = """cmake_minimum_required(VERSION {version})
project(hydro C)
find_package(mld_closure 0.1 REQUIRED)
add_executable(hydro smallest.c)
target_link_libraries(hydro mld_closure::mld_closure)
"""


@pytest.mark.parametrize(
    "version",
    [
        "2.8.12",
        pytest.param("3.2", marks=pytest.mark.system),
        pytest.param("3.5", marks=pytest.mark.system),
    ],
)
def test_a_project_that_states_an_old_cmake_finds_it(package, bundle, kit, tmp_path, version):
    """The policies of the package are its own, not those of the project."""
    (tmp_path / "CMakeLists.txt").write_text(OLD_LINES.format(version=version))
    shutil.copy(kit.ROOT / "examples/hosts/smallest.c", tmp_path)
    options = [f"-Dmld_closure_DIR={package / 'cmake'}", "-DCMAKE_POLICY_VERSION_MINIMUM=3.5", "-Wno-dev"]
    kit.call("cmake", "-S", tmp_path, "-B", tmp_path / "b", *options)
    kit.call("cmake", "--build", tmp_path / "b")
    assert "mean burned fraction" in kit.call(tmp_path / "b/hydro", bundle)
    needed = kit.call("readelf", "-d", tmp_path / "b/hydro")
    assert "[libmld_closure.so.2]" in needed


def test_the_library_carries_the_number_of_its_interface(package, kit):
    header = (package / "include/mld_closure/closure.h").read_text()
    abi = re.search(r"#define MLD_ABI (\d+)", header)[1]
    assert re.search(
        rf"\(SONAME\).*\[libmld_closure\.so\.{abi}\]",
        kit.call("readelf", "-d", package / f"lib/libmld_closure.so.{abi}"),
    )


def test_pkg_config(package, bundle, kit, tmp_path):
    if shutil.which("pkg-config") is None:
        pytest.skip("no pkg-config (Debian: pkg-config)")
    env = os.environ | {"PKG_CONFIG_PATH": str(package / "lib/pkgconfig")}
    flags = kit.call("pkg-config", "--cflags", "--libs", "mld_closure", env=env).split()
    source = kit.ROOT / "examples/hosts/smallest.c"
    kit.call("cc", "-std=c99", source, *flags, "-o", tmp_path / "host")
    assert "mean burned fraction" in kit.call(tmp_path / "host", bundle)


@pytest.mark.parametrize(
    ("compiler", "standard", "header"),
    [("cc", "c99", "closure.h"), ("c++", "c++11", "closure.h"), ("c++", "c++11", "closure.hpp")],
)
def test_headers_compile_without_a_warning(package, kit, tmp_path, compiler, standard, header):
    source = tmp_path / ("x.c" if compiler == "cc" else "x.cpp")
    source.write_text(f"#include <mld_closure/{header}>\nmld_options options = MLD_OPTIONS_INIT;\n")
    strict = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only"]
    kit.call(compiler, f"-std={standard}", *strict, f"-I{package / 'include'}", source)


def test_the_core_links_neither_python_nor_torch_nor_mpi(package, kit):
    linked = kit.call("ldd", package / "lib/libmld_closure.so.2")
    assert not [word for word in ("python", "torch", "libmpi") if word in linked]


def test_config_tool_names_folders_that_exist():
    for option in ("--cmakedir", "--includedir", "--libdir", "--pkgconfigdir", "--fortrandir"):
        said = config(option)
        if said.returncode:
            pytest.skip(said.stderr.strip())
        assert Path(said.stdout.strip()).is_dir()


def test_a_moved_library_says_that_python_is_missing(package, kit, bundle, tmp_path):
    """Library and backend away from any Python: a sentence and a number, no crash."""
    lib = tmp_path / "elsewhere/lib"
    lib.mkdir(parents=True)
    for file in ("libmld_closure.so", "libmld_closure.so.2", "mld_backend_python.so"):
        shutil.copy(package / "lib" / file, lib)
    source = kit.ROOT / "examples/hosts/smallest.c"
    include = f"-I{package / 'include'}"
    kit.call("cc", source, include, f"-L{lib}", "-lmld_closure", f"-Wl,-rpath,{lib}", "-o", tmp_path / "host")
    (lib / "python").write_text("/nowhere/python3\n")
    run = subprocess.run([tmp_path / "host", bundle], capture_output=True, text=True)
    assert run.returncode == 1
    assert "MLD_E_PYTHON: mld_open: " in run.stderr
    assert "/nowhere/python3" in run.stderr
    env = os.environ | {"MLD_CLOSURE_PYTHON": "/also/nowhere"}
    run = subprocess.run([tmp_path / "host", bundle], capture_output=True, text=True, env=env)
    assert "MLD_CLOSURE_PYTHON names '/also/nowhere'" in run.stderr
    env["MLD_CLOSURE_PYTHON"] = sys.executable
    assert "mean burned fraction" in kit.call(tmp_path / "host", bundle, env=env)
    env["MLD_CLOSURE_LIBPYTHON"] = "/no/libpython.so"
    run = subprocess.run([tmp_path / "host", bundle], capture_output=True, text=True, env=env)
    assert "MLD_E_PYTHON" in run.stderr
    assert "/no/libpython.so" in run.stderr


@pytest.fixture(scope="module")
def copied(kit, package, tmp_path_factory):
    """The example hosts as `mld-closure examples` copies them, built against the installed library."""
    folder = tmp_path_factory.mktemp("copied") / "hosts"
    tool = [sys.executable, "-m", "mld_closure", "examples"]
    said = kit.call(*tool, folder).split()
    assert sorted(said) == sorted(str(p) for p in folder.rglob("*") if p.is_file())
    again = subprocess.run([*tool, folder], capture_output=True, text=True)
    assert again.returncode == 2
    assert "is not empty" in again.stderr
    options = [f"-Dmld_closure_DIR={package / 'cmake'}", "-G", "Ninja"]
    kit.call("cmake", "-S", folder, "-B", folder / "build", *options)
    kit.call("cmake", "--build", folder / "build", "-j1")
    return folder / "build"


@pytest.mark.system
def test_every_example_host_runs_with_the_shipped_bundle(copied, kit):
    said = kit.call("ctest", "--test-dir", copied, "--output-on-failure")
    ran = set(re.findall(r"Test\s+#\d+: (\S+) \.+\s+Passed", said))
    skipped = set(re.findall(r"Test\s+#\d+: (\S+) \.+\*\*\*Skipped", said))
    hosts = {"smallest_c", "smallest_cpp", "smallest_f90", "openmp", "hydro_1", "hydro_2"}
    points = {
        "points_f90",
        "lagrangian_1",
        "lagrangian_2",
    }  # on a bundle that is named, see tests/cpp/hosts.py
    assert hosts <= ran | skipped <= hosts | points
    assert points.isdisjoint(ran)
    assert {"smallest_c", "smallest_cpp"} <= ran
