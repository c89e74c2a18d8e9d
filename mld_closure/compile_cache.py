"""Numba's compiler with a cache that an installation can be rid of.

Numba keeps machine code beside the sources, where pip does not know of it: uninstalling leaves it behind.
Worse, a new version may find code of the one before, because Numba compares the file of a function but not
those of the functions that it calls. So the kernels of an installed package are cached in the user's cache
folder (XDG_CACHE_HOME, or ~/.cache), in mld_closure/<hash of the package's sources>, which may be deleted at
any time.

Why: in a source tree machine code stays in __pycache__ as usual, and where NUMBA_CACHE_DIR is set it goes
there. Numba asks for the folder while a function is decorated; it is told ours for as long as that lasts, so
that functions of other packages stay where they are.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba

PACKAGE = Path(__file__).resolve().parent


def njit(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """`numba.njit(cache=True, **options)` with the cache where it belongs."""
    compiler = numba.njit(cache=True, **options)

    def decorate(function: Callable[..., Any]) -> Any:
        before = numba.config.CACHE_DIR
        numba.config.CACHE_DIR = before or FOLDER
        try:
            return compiler(function)
        finally:
            numba.config.CACHE_DIR = before

    return decorate


def cache_folder() -> str:
    """Folder for the machine code of this package; "" leaves it to Numba."""
    if (PACKAGE.parent / "pyproject.toml").exists():
        return ""
    content = hashlib.sha256()
    for source in sorted(PACKAGE.rglob("*.py")):
        content.update(source.read_bytes())
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return str(Path(home, "mld_closure", content.hexdigest()[:16]))


FOLDER = cache_folder()
