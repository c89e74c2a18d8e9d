"""The rooms import one way, and each heavy package stays where it belongs; read with `ast`, not run."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "mld_closure"

BELOW_CLI = {"dns", "data", "models", "patches", "metrics", "training", "surrogate", "closure", "runtime"}
BELOW_CLI |= {"macro", "viz", "simulation"}
FREE = {
    "fields",
    "grids",
    "config",
    "device",
    "durable",
    "intake",
    "errors",
    "ids",
    "compile_cache",
    "_native",
}
MAY_IMPORT = {
    "dns": set(),
    "data": set(),
    "models": set(),
    "patches": set(),
    "metrics": set(),
    "training": {"data", "models", "metrics"},
    "surrogate": {"models", "patches", "metrics"},
    "closure": {"surrogate", "patches", "data"},
    "runtime": {"closure", "surrogate", "models"},
    "macro": {"dns"},
    "viz": {"data", "metrics"},
    "adapters": {"runtime"},
    "bridge": {"closure", "host_arrays", "runtime"},
    "simulation": {"dns", "data"},
    "testing": {"dns", "models", "surrogate"},
    "study": BELOW_CLI,
    "benchmarks": BELOW_CLI | {"study", "testing", "_bridge"},
    "offline": {"data", "dns", "models", "patches", "training", "surrogate", "viz"},
    "__init__": None,  # names of all rooms, for type checkers
    "__main__": {"cli"},
    "cli": None,  # everything
}
ONLY_IN = {
    "mpi4py": ["runtime/comm.py"],
    "h5py": [
        "data/trajectories.py",
        "data/importers.py",
        "data/growing.py",
        "data/shapes.py",
        "data/writing.py",
        "models/keras_import.py",
        "patches/specimen.py",
        "viz/vtk.py",
    ],
    "numba": ["compile_cache.py", "patches/kernels.py"],
    "torch": [
        *("device.py", "data/windows.py", "models/", "training/", "surrogate/", "runtime/opening.py"),
        *("benchmarks/", "testing.py"),
    ],
    "matplotlib": ["viz/"],
}


def sources():
    files = sorted(PACKAGE.rglob("*.py"))
    assert files, f"no sources under {PACKAGE}"
    return files


def imported_modules(tree, file):
    """Absolute names of all modules a file imports, wherever in the file the import stands."""
    package = ("mld_closure", *file.relative_to(PACKAGE).with_suffix("").parts)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: -node.level]) if node.level else ""
            module = ".".join(filter(None, [base, node.module or ""]))
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def violations(file, names):
    """Sentences saying which imports of `file` break the two tables."""
    inside = file.relative_to(PACKAGE)
    room = inside.parts[0].removesuffix(".py")
    for name in names:
        parts = name.split(".")
        if parts[0] == "mld_closure" and len(parts) > 1:
            target, allowed = parts[1], MAY_IMPORT.get(room, set())
            if allowed is not None and target not in FREE | {room, "__version__"} | allowed:
                yield f"{inside}: {room} may not import {target}"
        for heavy, places in ONLY_IN.items():
            if parts[0] == heavy and not any(str(inside).startswith(p) for p in places):
                yield f"{inside}: {heavy} belongs only in {', '.join(places)}"


def test_rooms_and_packages_keep_to_their_tables():
    found = []
    for file in sources():
        names = set(imported_modules(ast.parse(file.read_text()), file))
        found += sorted(set(violations(file, names)))
    assert not found, "\n".join(found)


def circle(graph):
    """A list of files that import each other in a circle, () for none; graph: file -> files it imports."""
    done, path = set(), []

    def visit(file):
        if file in path:
            return [*path[path.index(file) :], file]
        if file in done:
            return ()
        path.append(file)
        for other in sorted(graph[file]):
            if found := visit(other):
                return found
        done.add(path.pop())
        return ()

    return next((found for file in sorted(graph) if (found := visit(file))), ())


def files_imported(file, files):
    """The files (by module name) that a file imports, for type checkers only or not."""
    names = set(imported_modules(ast.parse(file.read_text()), file))
    found = {files[name] for name in names if name in files}
    # `from package import module` names the package too: its __init__ is not what is meant
    return {other for other in found - {file} if other.name != "__init__.py"}


def test_no_files_import_each_other_in_a_circle():
    every = [file for file in sources() if file.name != "__init__.py"]
    files = {".".join(("mld_closure", *f.relative_to(PACKAGE).with_suffix("").parts)): f for f in every}
    found = circle({file: files_imported(file, files) for file in every})
    assert not found, " -> ".join(str(file.relative_to(PACKAGE)) for file in found)


def test_a_circle_is_seen():
    assert circle({"a": {"b"}, "b": {"c"}, "c": set()}) == ()
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]


def test_every_room_has_its_rules():
    rooms = {p.parent.name for p in PACKAGE.glob("*/__init__.py")} - {"bundles"}
    assert rooms <= set(MAY_IMPORT), f"rooms without an import rule: {rooms - set(MAY_IMPORT)}"


@pytest.mark.parametrize(
    ("room", "line"),
    [
        ("dns/solver.py", "import torch"),
        ("dns/solver.py", "from mld_closure.models import vae"),
        ("models/vae.py", "from ..data import trajectories"),
        ("models/vae.py", "import h5py"),
        ("cli/train.py", "def f():\n    from mpi4py import MPI"),
    ],
)
def test_a_wrong_import_is_seen(room, line):
    file = PACKAGE / room
    assert list(violations(file, set(imported_modules(ast.parse(line), file))))


def test_import_is_quick_and_light():
    code = (
        "import time, sys; t = time.perf_counter(); import mld_closure; t = time.perf_counter() - t;"
        "heavy = {'torch', 'mpi4py', 'numba', 'h5py', 'matplotlib', 'numpy'} & set(sys.modules);"
        "print(t, *heavy)"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert out[1:] == []
    assert float(out[0]) < 0.5


def test_public_names_stay_what_they_are_whatever_is_imported():
    code = (
        "import mld_closure as mld, importlib;"
        "before = [getattr(mld, n) for n in mld.__all__];"
        "importlib.import_module('mld_closure.simulation'); mld.simulate;"
        "after = [getattr(mld, n) for n in mld.__all__];"
        "assert before == after and callable(mld.simulate) and callable(mld.open)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_serving_cells_loads_no_package_that_it_does_not_need():
    """What every rank of a host holds in memory: networks and numbers, no compilers, files or pictures."""
    code = (
        "import sys, numpy as np, mld_closure as mld;"
        "c = mld.open('hmx-compact', device='cpu', threads=1);"
        "c.register([1], patches=np.ones((1, 64, 64), np.float32)); c.begin_step(0.0, 1e-9);"
        "c.advance(pressure=[9e9]); c.commit();"
        "heavy = {'numba', 'llvmlite', 'h5py', 'click', 'rich', 'matplotlib', 'mpi4py', 'scipy', 'pandas'};"
        "heavy |= {'torch._dynamo', 'torch._inductor', 'sympy'};"  # 80 MB, 2 s, and a folder in /tmp
        "print(*sorted(heavy & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split() == []
