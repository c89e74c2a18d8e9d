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

LIBRARIES = ("libmld_closure.so", "libmld_closure.so.2", "mld_backend_python.so")


def link(kit, package, lib, folder):
    """The smallest host in `folder`, linked against the library in `lib`."""
    source, include = kit.ROOT / "examples/hosts/smallest.c", f"-I{package / 'include'}"
    host = folder / "host"
    kit.call("cc", source, include, f"-L{lib}", "-lmld_closure", f"-Wl,-rpath,{lib}", "-o", host)
    return host


@pytest.fixture
def moved(package, kit, tmp_path):
    """Compiles a host against a copy of the library at a place; returns how to run it."""

    def make(place):
        lib = tmp_path / place
        lib.mkdir(parents=True)
        for file in LIBRARIES:
            shutil.copy(package / "lib" / file, lib)
        host = link(kit, package, lib, tmp_path)

        def run(bundle, **environment):
            clean = {k: v for k, v in os.environ.items() if not k.startswith("MLD_")}
            return subprocess.run([host, bundle], capture_output=True, text=True, env=clean | environment)

        return run

    return make


VERSION = f"python{sys.version_info[0]}.{sys.version_info[1]}"
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


TAKEN = "no shared library of Python for "  # the one that was found has none: it is a stand-in


@pytest.mark.parametrize("mode", [0o775, 0o777])
def test_folders_open_to_a_group_or_all_of_it_open_to_all(moved, bundle, tmp_path, mode):
    """A shared environment, and a container made with chmod -R 777: the library is as open as its Python."""
    python_at(tmp_path / "prefix/bin")
    host = moved(f"prefix/{SITE}")
    for path in [tmp_path / "prefix", *(tmp_path / "prefix").rglob("*")]:
        path.chmod(mode)
    assert f"{TAKEN}{tmp_path}/prefix/bin/{VERSION}" in host(bundle).stderr


@pytest.fixture
def ordinary_user():
    """Number of a user that is not root; as root only, who can be another."""
    if os.geteuid() != 0:
        pytest.skip("only root can run a program as another user")
    return 12345


@pytest.fixture
def place_for_all():
    """A folder of root's directly in /tmp, which every user can enter."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@pytest.mark.parametrize("owner", ["root", "the user", "the owner of the environment", "another, by a link"])
def test_an_ordinary_user_is_not_refused(ordinary_user, place_for_all, package, kit, owner):
    """Environments in /tmp: of a container's root, the user's own, a colleague's, one of a site's Python."""
    base, prefix = place_for_all / "site/bin", place_for_all / "prefix"
    python_at(base)
    lib = prefix / SITE
    lib.mkdir(parents=True)
    for file in LIBRARIES:
        shutil.copy(package / "lib" / file, lib)
    if owner == "another, by a link":
        (prefix / "bin").mkdir()
        (prefix / f"bin/{VERSION}").symlink_to(base / VERSION)
        os.chown(base, 23456, -1)
        os.chown(base / VERSION, 23456, -1)
    else:
        python_at(prefix / "bin")
    whose = {"root": 0, "the owner of the environment": 34567}.get(owner, ordinary_user)
    for path in [prefix, *prefix.rglob("*")]:
        os.chown(path, whose, -1, follow_symlinks=False)
    host = link(kit, package, lib, place_for_all)
    run = subprocess.run([host, "-"], capture_output=True, text=True, env={}, user=ordinary_user)
    assert f"{TAKEN}{prefix}/bin/{VERSION}" in run.stderr


def test_a_python_in_the_folder_of_another_user_is_refused(ordinary_user, moved, bundle, tmp_path):
    python_at(tmp_path / "prefix/bin")
    os.chown(tmp_path / "prefix/bin", ordinary_user, -1)
    host = moved(f"prefix/{SITE}")
    assert "can be changed by other users" in host(bundle).stderr
    python_at(tmp_path / "site/bin")
    (tmp_path / f"prefix/bin/{VERSION}").unlink()
    script = tmp_path / "prefix/bin/mld-closure-config"
    script.write_text(f"#!{tmp_path}/site/bin/{VERSION}\n")
    assert "can be changed by other users" in host(bundle).stderr


PIP = {  # first lines of the scripts that pip writes
    "short": "#!{}\n",
    "long": "#!/bin/sh\n'''exec' {} \"$0\" \"$@\"\n",
    "with blanks": '#!/bin/sh\n\'\'\'exec\' "{}" "$0" "$@"\n',
}


@pytest.mark.parametrize("kind", PIP)
def test_without_a_python_beside_it_it_is_that_of_its_scripts(moved, bundle, tmp_path, kind):
    """As after pip install --user, where Python lies elsewhere."""
    python_at(tmp_path / "site/bin")
    (tmp_path / "prefix/bin").mkdir(parents=True)
    script = tmp_path / "prefix/bin/mld-closure-config"
    script.write_text(PIP[kind].format(tmp_path / f"site/bin/{VERSION}"))
    host = moved(f"prefix/{SITE}")
    assert f"{TAKEN}{tmp_path}/site/bin/{VERSION}" in host(bundle).stderr
    (tmp_path / "site/bin").chmod(0o777)
    assert "can be changed by other users" in host(bundle).stderr
    script.write_text("#!/usr/bin/env python3\n")
    assert f"no Python: {tmp_path}/prefix/bin/{VERSION}" in host(bundle).stderr


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


def test_variables_name_another_python(moved, bundle, tmp_path):
    run = moved(f"prefix/{SITE}")
    said = run(bundle, MLD_CLOSURE_PYTHON=str(tmp_path / "none"))
    assert f"MLD_CLOSURE_PYTHON names '{tmp_path}/none', which is no file" in said.stderr
    said = run(bundle, MLD_CLOSURE_PYTHON=sys.executable, MLD_CLOSURE_LIBPYTHON=str(tmp_path / "lib"))
    assert f"looked for {tmp_path}/lib" in said.stderr


def test_variables_count_for_nothing_in_a_program_with_more_rights(
    ordinary_user, place_for_all, package, kit
):
    lib = place_for_all / "prefix" / SITE
    lib.mkdir(parents=True)
    for file in LIBRARIES:
        shutil.copy(package / "lib" / file, lib)
    host = link(kit, package, lib, place_for_all)
    env = {"MLD_CLOSURE_PYTHON": "/bin/sh", "MLD_CLOSURE_LIBPYTHON": "/none"}
    for mode, said in (
        (0o755, "looked for /none"),
        (0o4755, f"no Python: {place_for_all}/prefix/bin/{VERSION}"),
    ):
        host.chmod(mode)
        run = subprocess.run([host, "-"], capture_output=True, text=True, env=env, user=ordinary_user)
        assert said in run.stderr


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
    host = build / "examples/hosts/smallest"
    run = subprocess.run([host, bundle], capture_output=True, text=True, env=env)
    assert run.returncode == 0, run.stderr
    assert not (tmp_path / "entered").exists()


def test_flags_of_the_headers_are_those_of_python(kit):
    wanted = {flag.name: int(flag).bit_length() - 1 for flag in Status if flag}
    header = (kit.ROOT / "cpp_bridge/include/mld_closure/closure.h").read_text()
    fortran = (kit.ROOT / "cpp_bridge/fortran/mld_closure.f90").read_text()
    in_c = {m[1]: int(m[2]) for m in re.finditer(r"MLD_(?:IS|WHY)_(\w+) \(\(int64_t\)1 << (\d+)\)", header)}
    in_fortran = re.finditer(r"mld_(?:is|why)_(\w+) = ishft\(1_c_int64_t, (\d+)\)", fortran)
    assert in_c == wanted
    assert {m[1].upper(): int(m[2]) for m in in_fortran} == wanted
