"""pip install into a new virtual environment, then the host of five lines with what the README says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="module")
def fresh(kit, tmp_path_factory):
    """Folder of programs of a new environment with this package; the others are those of this Python."""
    pytest.importorskip("scikit_build_core")
    home = tmp_path_factory.mktemp("fresh")
    kit.call(sys.executable, "-m", "venv", home)
    site = home / f"lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
    (site / "others.pth").write_text(f"{Path(np.__file__).parents[1]}\n")
    options = ["--no-build-isolation", "--no-deps", "--ignore-installed", "--no-index", "-q"]
    kit.call(home / "bin/python", "-m", "pip", "install", *options, kit.ROOT)
    return home / "bin"


@pytest.mark.system
def test_the_readme_is_enough(fresh, kit, tmp_path):
    text = (kit.ROOT / "README.md").read_text()
    lines = re.search(r"```cmake\n(.*?)```", text, re.DOTALL)[1]
    assert len(lines.splitlines()) == 5
    (tmp_path / "CMakeLists.txt").write_text(lines)
    (tmp_path / "hydro.cpp").write_text(re.search(r"```cpp\n(.*?)```", text, re.DOTALL)[1])
    where = kit.call(fresh / "mld-closure-config", "--cmakedir").strip()
    assert where.startswith(str(fresh.parent))
    kit.call("cmake", "-S", tmp_path, "-B", tmp_path / "b", f"-Dmld_closure_DIR={where}")
    kit.call("cmake", "--build", tmp_path / "b")
    clean = {k: v for k, v in os.environ.items() if k in ("HOME", "TMPDIR")} | {"PATH": "/usr/bin:/bin"}
    run = subprocess.run([tmp_path / "b/hydro"], capture_output=True, text=True, env=clean, cwd="/")
    assert run.returncode == 0, run.stderr
    assert 0 < float(run.stdout.removeprefix("burned ")) < 1
    linked = kit.call("ldd", tmp_path / "b/hydro")
    assert str(fresh.parent) in linked
    lib = Path(kit.call(fresh / "mld-closure-config", "--libdir").strip())
    assert {"libmld_closure.so", "libmld_closure.so.2", "mld_backend_python.so", "pkgconfig"} <= {
        p.name for p in lib.iterdir()
    }


@pytest.mark.system
def test_uninstalling_leaves_nothing_behind(fresh, kit, tmp_path):
    """Kernels were compiled before, and their machine code is elsewhere. The last test of this file."""
    python, home = fresh / "python", tmp_path / "home"
    use = "from mld_closure.closure.fallback.ignition_growth import PressureIgnitionGrowth as Law; "
    use += "import numpy as np, mld_closure as m; "
    use += "Law().law().advance(np.zeros(2), np.full(2, 1e10), 1e-9); print(m.__path__[0])"
    clean = {k: v for k, v in os.environ.items() if k not in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME")}
    package = Path(kit.call(python, "-c", use, env=clean | {"HOME": str(home)}, cwd="/").strip())
    assert package.is_relative_to(fresh.parent)
    assert list(home.rglob("*.nbc"))
    kit.call(python, "-m", "pip", "uninstall", "-y", "mld_closure")
    assert not package.exists(), sorted(package.rglob("*"))
