"""Builds the hosts that the tests start, once for all test processes: hosts.py FOLDER [whole].

They are linked against the installed library. With `whole`, and where that library is missing or older than
its sources, as it may be beside an editable installation, the top-level project is built with a library of
its own, so that no test passes on old sources. The first caller builds and later ones wait; `done` in the
folder names the package that the hosts use.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from filelock import FileLock

ROOT = Path(__file__).resolve().parents[2]
COMPILED = ("src", "include", "cmake", "fortran")


def installed() -> Path | None:
    """Folder of the installed package, or None where its library is not that of the sources."""
    try:
        from mld_closure import _native
    except ImportError:
        return None
    package = Path(_native.__file__).parent
    library = package / "lib/libmld_closure.so.2"
    sources = [p for name in COMPILED for p in (ROOT / "cpp_bridge" / name).rglob("*") if p.is_file()]
    newest = max(path.stat().st_mtime for path in sources)
    return package if library.exists() and library.stat().st_mtime > newest else None


def build(folder: Path, whole: bool) -> Path:
    """Build the hosts, and with `whole` the library too; the folder of the package that they use."""
    package = None if whole else installed()
    if package is None:
        source, options, package = ROOT, [], folder / "site/mld_closure"
    else:
        source, options = ROOT / "cpp_bridge/tests", [f"-Dmld_closure_DIR={package / 'cmake'}"]
    options += [f"-DPython_EXECUTABLE={sys.executable}", "-DCMAKE_BUILD_TYPE=Release"]
    for command in (
        ["cmake", "-S", source, "-B", folder, "-G", "Ninja", *options],
        ["cmake", "--build", folder, "-j1"],
    ):
        run = subprocess.run([str(word) for word in command], capture_output=True, text=True)
        if run.returncode:
            raise RuntimeError(f"{' '.join(str(word) for word in command)}\n{run.stdout}\n{run.stderr}")
    return package


def once(folder: Path, whole: bool) -> None:
    """Build the hosts where no other process has."""
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        done = folder / "done"
        if not done.exists():
            done.write_text(str(build(folder, whole)))


if __name__ == "__main__":
    once(Path(sys.argv[1]), sys.argv[2:] == ["whole"])
