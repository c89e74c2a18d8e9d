"""The slab of `mld-closure demo`: porous HMX under impact, its cells burned by a trained surrogate."""

from __future__ import annotations

import time
import typing
from pathlib import Path
from typing import Any

from ..cli.ranks import complete
from ..grids import MESO_SHAPE

if typing.TYPE_CHECKING:
    from ..macro.problems import MacroCase

POROSITY = 0.10
SEED = 5  # of the specimen
SHARE = 0.44  # of the time the shock takes through the slab if nothing burns; burning, it is near the end
PICTURES = ("xt.png", "profiles.png", "front.png")


def slab_case(bundle: str, cells: int, up: float) -> MacroCase:
    """A slab of `cells` cells, each a meso frame of the bundle wide, thrown at a wall with `up` (m/s).

    Raises BundleError for a bundle that cannot serve.
    """
    from ..dns.eos import Material
    from ..macro.porous import porous_shock
    from ..macro.problems import ClosureChoice, MacroCase
    from ..models.manifest import read_manifest, resolve

    size = MESO_SHAPE[1] * read_manifest(resolve(bundle))["pixel"]
    shock = porous_shock(up, POROSITY, Material())
    return MacroCase(
        cells=cells,
        cell_size=size,
        piston_speed=up,
        porosity=POROSITY,
        end_time=SHARE * cells * size / (shock.us - up),
        closure=ClosureChoice("surrogate", bundle, options={"device": "cpu", "seed": SEED}),
    )


def run_slab(
    bundle: str, out: Path, cells: int, up: float, precision: str, threads: int, comm: Any = None
) -> dict[str, Any] | None:
    """Run and draw a slab of `cells` cells thrown at a wall with `up` (m/s); the summary of `run` on rank 0.

    precision, threads: of the networks; threads only where there is one rank, several share a node's cores.
    comm: of all ranks that run it together. Raises FileExistsError where `out` holds a run already,
    BundleError for a bundle that cannot serve. Collective.
    """
    begun = time.perf_counter()
    from ..runtime.agree import Attempt
    from ..runtime.comm import SerialComm
    from .case import CaseRun

    comm = comm or SerialComm()
    attempt = Attempt(comm)
    attempt(_check_new, out)
    case = attempt(slab_case, bundle, cells, up)
    attempt.settle()
    options = {"precision": precision} | ({"threads": threads} if comm.size == 1 else {})
    run = CaseRun(case, out, options=options, comm=comm)
    return complete(run, begun, lambda r: f"{r.active} cells react, front at {1e3 * r.front:.2f} mm")


def _check_new(out: Path) -> None:
    from .files import STEPS

    if (out / STEPS).exists():
        raise FileExistsError(f"{out} holds a run already; choose another --out, or remove it")
