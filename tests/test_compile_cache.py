"""Where machine code of the kernels is kept: outside an installation, and anew where a kernel changes."""

import os
import subprocess
import sys
from pathlib import Path

import numba
import pytest

CACHE = Path(__file__).resolve().parents[1] / "mld_closure/compile_cache.py"
INNER = """from ..compile_cache import njit
@njit()
def inner(x): return x + 1
"""
OUTER = """from ..compile_cache import njit
from ..dns.inner import inner
@njit(nogil=True)
def outer(x): return inner(x)
"""
HOST = """
from mld_closure.macro.outer import outer
from mld_closure.compile_cache import FOLDER
import numba
@numba.njit(cache=True)
def of_the_host(x): return x + 1
print(outer(of_the_host(1)), FOLDER, numba.config.CACHE_DIR)
"""


@pytest.fixture
def installed(tmp_path):
    """A package with two kernels, as if installed; runs them, and returns (stdout, files made)."""
    site = tmp_path / "site/mld_closure"
    for name, text in (
        ("__init__", ""), ("compile_cache", CACHE.read_text()), ("dns/inner", INNER), ("macro/outer", OUTER),
    ):  # fmt: skip
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / f"{name}.py").write_text(text)
    host = tmp_path / "host/use.py"
    host.parent.mkdir()
    host.write_text(HOST)
    path = f"{site.parent}:{Path(numba.__file__).parents[1]}"

    def use(**env):
        clean = {k: v for k, v in os.environ.items() if k not in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME")}
        run = subprocess.run(
            [sys.executable, "-S", "-B", host], capture_output=True, text=True, cwd=tmp_path,
            env=clean | {"HOME": str(tmp_path / "home"), "PYTHONPATH": path} | env,
        )  # fmt: skip
        assert run.returncode == 0, run.stderr
        made = [p.relative_to(tmp_path) for p in tmp_path.rglob("*") if p.suffix in (".nbi", ".nbc")]
        return run.stdout.strip(), {str(p) for p in made if p.parts[0] != "host"}

    use.site = site
    return use


def folders(made):
    """The folders of files, but for their last two parts."""
    return {str(Path(p).parents[1]) for p in made}


def test_an_installation_is_left_as_it_was(installed):
    before = set(installed.site.rglob("*"))
    said, made = installed()
    assert set(installed.site.rglob("*")) == before
    assert len(made) >= 2
    (folder,) = folders(made)
    assert folder.startswith("home/.cache/mld_closure/")
    assert said.endswith(folder), said  # and Numba's own setting is as before: empty
    assert list((installed.site.parents[1] / "host/__pycache__").glob("use.of_the_host*.nbc"))
    assert installed()[1] == made


def test_the_user_may_choose_the_folder(installed, tmp_path):
    assert all(f.startswith("mine/") for f in installed(XDG_CACHE_HOME=str(tmp_path / "mine"))[1])
    _, made = installed(NUMBA_CACHE_DIR=str(tmp_path / "theirs"))
    assert any(f.startswith("theirs/") for f in made)


def test_kernels_are_compiled_anew_where_one_that_they_call_changes(installed):
    _, first = installed()
    with (installed.site / "dns/inner.py").open("w") as source:
        source.write(INNER.replace("x + 1", "x + 2"))
    said, both = installed()
    assert said.startswith("4 ")
    assert len(folders(first)) == 1
    assert len(folders(both)) == 2


def test_a_source_tree_keeps_its_own(installed):
    (installed.site.parent / "pyproject.toml").write_text("")
    said, made = installed()
    assert said == "3"
    assert all(f.startswith("site/mld_closure/") and "__pycache__" in f for f in made)
