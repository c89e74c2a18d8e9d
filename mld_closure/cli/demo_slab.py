"""The slab of `mld-closure demo`: porous HMX under impact, its cells burned by a trained surrogate."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from ..grids import MESO_SHAPE
from .output import progress

POROSITY = 0.10
SEED = 5  # of the specimen
SHARE = 0.62  # of the time the shock takes through the slab if nothing burns; burning, it is near the end
PICTURES = ("xt.png", "profiles.png", "front.png")


def run_slab(bundle: str, out: Path, cells: int, up: float, precision: str, threads: int) -> dict[str, Any]:
    """Run and draw a slab of `cells` cells thrown at a wall with `up` (m/s); returns the summary of `run`.

    precision, threads: of the networks.
    Raises FileExistsError where `out` holds a run already, BundleError for a bundle that cannot serve.
    """
    begun = time.perf_counter()
    from ..dns.eos import Material
    from ..macro.porous import porous_shock
    from ..macro.problems import ClosureChoice, MacroCase
    from ..models.manifest import read_manifest, resolve
    from .run_case import CaseRun
    from .run_files import STEPS
    from .run_results import write_results

    if (out / STEPS).exists():
        raise FileExistsError(f"{out} holds a run already; choose another --out, or remove it")
    pixel = read_manifest(resolve(bundle))["pixel"]
    size = MESO_SHAPE[1] * pixel
    shock = porous_shock(up, POROSITY, Material())
    case = MacroCase(
        cells=cells,
        cell_size=size,
        piston_speed=up,
        porosity=POROSITY,
        end_time=SHARE * cells * size / (shock.us - up),
        closure=ClosureChoice("surrogate", bundle, options={"device": "cpu", "seed": SEED}),
    )
    options = {"precision": precision, "threads": threads}
    with progress() as bar:
        task = bar.add_task("shock, % of the time", total=100, status="reading the bundle")
        run = CaseRun(case, out, options=options)
        try:
            run.go(
                lambda r: bar.update(
                    task,
                    completed=int(100 * r.solver.time / case.end_time),
                    status=f"{r.active} cells react, front at {1e3 * r.front:.2f} mm",
                )
            )
            return write_results(run, time.perf_counter() - begun)
        finally:
            run.close()
