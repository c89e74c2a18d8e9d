"""Sub-grid closures from learned meso-scale dynamics, served per cell to hydrocodes.

Importing this package imports neither torch nor MPI nor numpy; a public name is loaded when first used.

The public names, by what they are for:

- in a hydrocode: `open`, `Closure`, `Response`, `Status`, `default_comm`, `replay`
- data and microstructure: `simulate`, `Trajectories`, `Specimen`
- networks: `train`, `evaluate`, `predict`, `rollout`, `Bundle`
- a whole study from one file: `run`
- `errors`, what is raised; `testing`, networks with random weights for trials
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from mld_closure._native import version as __version__

if TYPE_CHECKING:
    from mld_closure import errors, testing
    from mld_closure.closure.closure import Closure
    from mld_closure.closure.policies import Status
    from mld_closure.closure.response import Response
    from mld_closure.data.trajectories import Trajectories
    from mld_closure.models.bundle import Bundle
    from mld_closure.offline.evaluate import evaluate
    from mld_closure.offline.predict import predict, rollout
    from mld_closure.offline.train import train
    from mld_closure.patches.specimen import Specimen
    from mld_closure.runtime.comm import default_comm
    from mld_closure.runtime.opening import open
    from mld_closure.runtime.replay import replay
    from mld_closure.simulation import simulate
    from mld_closure.study.run import run

# public name -> where it is; None for a module of this package
_PUBLIC = {
    "Bundle": "mld_closure.models.bundle",
    "Closure": "mld_closure.closure.closure",
    "Response": "mld_closure.closure.response",
    "Specimen": "mld_closure.patches.specimen",
    "Status": "mld_closure.closure.policies",
    "Trajectories": "mld_closure.data.trajectories",
    "default_comm": "mld_closure.runtime.comm",
    "errors": None,
    "evaluate": "mld_closure.offline.evaluate",
    "open": "mld_closure.runtime.opening",
    "predict": "mld_closure.offline.predict",
    "replay": "mld_closure.runtime.replay",
    "rollout": "mld_closure.offline.predict",
    "run": "mld_closure.study.run",
    "simulate": "mld_closure.simulation",
    "testing": None,
    "train": "mld_closure.offline.train",
}

__all__ = [
    "Bundle",
    "Closure",
    "Response",
    "Specimen",
    "Status",
    "Trajectories",
    "__version__",
    "default_comm",
    "errors",
    "evaluate",
    "open",
    "predict",
    "replay",
    "rollout",
    "run",
    "simulate",
    "testing",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'mld_closure' has no attribute '{name}'")
    home = _PUBLIC[name]
    if home is None:
        return importlib.import_module(f"mld_closure.{name}")
    return getattr(importlib.import_module(home), name)


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(_PUBLIC))
