"""Sub-grid closures from learned meso-scale dynamics, served per cell to hydrocodes.

Importing this package imports neither torch nor MPI; public names are loaded when first used.
"""

from __future__ import annotations

import importlib
from typing import Any

from mld_closure._native import version as __version__

_PUBLIC = {
    "Bundle": "mld_closure.models.bundle",
    "Specimen": "mld_closure.patches.specimen",
    "Trajectories": "mld_closure.data.trajectories",
    "default_comm": "mld_closure.runtime.comm",
    "open": "mld_closure.runtime.opening",
    "replay": "mld_closure.runtime.replay",
    "run": "mld_closure.study.run",
    "simulate": "mld_closure.simulation",
}

__all__ = ["__version__", *sorted(_PUBLIC)]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'mld_closure' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(_PUBLIC))
