"""Where the C library finds Python: where it belongs, and nowhere that another user could choose."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from mld_closure.closure.policies import Status


@pytest.fixture
def moved(package, kit, tmp_path):
    """Compiles a host against a copy of the library at a place; returns how to run it."""

    def make(place):
        lib = tmp_path / place
        lib.mkdir(parents=True)
        for file in ("libmld_closure.so", "mld_backend_python.so"):
            shutil.copy(package / "lib" / file, lib)
        source, include = kit.ROOT / "examples/hosts/smallest.c", f"-I{package / 'include'}"
        host = tmp_path / "host"
        kit.call("cc", source, include, f"-L{lib}", "-lmld_closure", f"-Wl,-rpath,{lib}", "-o", host)

        def run(bundle, user=None, **environment):
            clean = {k: v for k, v in os.environ.items() if not k.startswith("MLD_")}
            env = clean | environment
            return subprocess.run([host, bundle], capture_output=True, text=True, env=env, user=user)

        return run

    return make


VERSION = f"python{sys.version_info[0]}.{sys.version_info[1]}"
STRANGER = 54321  # number of a user who is neither root nor this one
SITE = f"lib/{VERSION}/site-packages/mld_closure/lib"


def python_at(folder, mode=0o755):
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / VERSION
    file.write_text("#!/bin/sh\n")
    file.chmod(mode)


def test_a_python_of_a_folder_above_is_not_taken(moved, bundle, tmp_path):
    python_at(tmp_path / "bin")
    said = moved("a/b/lib")(bundle)
    assert said.returncode == 1
    assert "does not lie in lib/" in said.stderr


def test_the_python_it_belongs_to_must_be_there(moved, bundle, tmp_path):
    python_at(tmp_path / "bin")
    said = moved(f"prefix/{SITE}")(bundle)
    assert said.returncode == 1
    assert f"no Python: {tmp_path}/prefix/bin/{VERSION}" in said.stderr


@pytest.mark.parametrize("mode", [(0o757, 0o755), (0o755, 0o777)])
def test_a_python_that_others_may_change_is_refused(moved, bundle, tmp_path, mode):
    python_at(tmp_path / "prefix/bin", mode[0])
    (tmp_path / "prefix/bin").chmod(mode[1])
    said = moved(f"prefix/{SITE}")(bundle)
    assert said.returncode == 1
    assert "can be changed by other users" in said.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_python_of_another_user_is_refused(moved, bundle, tmp_path):
    python_at(tmp_path / "prefix/bin")
    os.chown(tmp_path / "prefix/bin" / VERSION, STRANGER, -1)
    said = moved(f"prefix/{SITE}")(bundle)
    assert said.returncode == 1
    assert "can be changed by other users" in said.stderr


def test_variables_name_another_python(moved, bundle, tmp_path):
    run = moved(f"prefix/{SITE}")
    said = run(bundle, MLD_CLOSURE_PYTHON=str(tmp_path / "none"))
    assert f"MLD_CLOSURE_PYTHON names '{tmp_path}/none', which is no file" in said.stderr
    named = {"MLD_CLOSURE_PYTHON": sys.executable, "MLD_CLOSURE_LIBPYTHON": str(tmp_path / "lib")}
    said = run(bundle, **named)
    assert f"looked for {tmp_path}/lib" in said.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a program as another user")
def test_variables_count_for_nothing_in_a_program_with_more_rights(moved, bundle, tmp_path):
    run = moved(f"prefix/{SITE}")
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_mode & 0o001 == 0 and folder.is_relative_to(tempfile.gettempdir()):
            folder.chmod(folder.stat().st_mode | 0o011)  # another user must come to the host
    (tmp_path / "host").chmod(0o4755)
    said = run(bundle, user=STRANGER, MLD_CLOSURE_PYTHON=sys.executable)
    assert said.returncode == 1
    assert f"no Python: {tmp_path}/prefix/bin/{VERSION}" in said.stderr


def test_what_is_meant_for_other_pythons_does_not_enter(build, bundle, tmp_path):
    planted = tmp_path / f"home/.local/{Path(SITE).parents[1]}"
    planted.mkdir(parents=True)
    for name in ("sitecustomize", "usercustomize", "mld_closure", "numpy"):
        (planted / f"{name}.py").write_text(f"open({str(tmp_path / 'entered')!r}, 'a').write(__name__)")
    env = os.environ | {
        "HOME": str(tmp_path / "home"),
        "PYTHONPATH": str(planted),
        "PYTHONHOME": str(planted),
    }
    said = subprocess.run(
        [build / "examples/hosts/smallest", bundle], capture_output=True, text=True, env=env
    )
    assert said.returncode == 0, said.stderr
    assert not (tmp_path / "entered").exists()


def test_a_libpython_is_not_taken_by_its_bare_name(moved, bundle, tmp_path):
    python_at(tmp_path / "prefix/bin")
    planted = tmp_path / "planted"
    planted.mkdir()
    for ending in (".so", ".so.1.0"):
        (planted / f"lib{VERSION}{ending}").write_text("no library")
    said = moved(f"prefix/{SITE}")(bundle, LD_LIBRARY_PATH=str(planted))
    assert said.returncode == 1
    assert "no shared library of Python" in said.stderr
    assert "planted" not in said.stderr


def test_flags_of_the_headers_are_those_of_python(kit):
    wanted = {flag.name: int(flag).bit_length() - 1 for flag in Status if flag}
    header = (kit.ROOT / "cpp_bridge/include/mld_closure/closure.h").read_text()
    fortran = (kit.ROOT / "cpp_bridge/fortran/mld_closure.f90").read_text()
    in_c = {m[1]: int(m[2]) for m in re.finditer(r"MLD_(?:IS|WHY)_(\w+) \(\(int64_t\)1 << (\d+)\)", header)}
    in_fortran = re.finditer(r"mld_(?:is|why)_(\w+) = ishft\(1_c_int64_t, (\d+)\)", fortran)
    assert in_c == wanted
    assert {m[1].upper(): int(m[2]) for m in in_fortran} == wanted
