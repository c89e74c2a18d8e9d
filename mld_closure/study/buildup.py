"""A shock that builds up: slabs of equal porosity and different pores, thrown at a wall until they detonate.

Every patch of the slab has a microstructure of its own and several material points; the closure says how each
burns under the load that reached it. Behind the front the burning pushes the shock, which the next patches
meet stronger, until the front detonates. Where it does depends on the size of the pores.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import durable
from ..dns.eos import Material
from ..dns.microstructure import PackRules, pack, solid_fraction
from ..macro.lagrangian import LagrangianSolver
from ..macro.popplot import Run, follow_front, hmx_run
from ..macro.porous import porous_density
from ..macro.served import ServedPoints
from ..macro.slab import leaders, slab_at_wall
from ..models.bundle import Bundle
from ..patches.specimen import Specimen
from ..runtime.opening import open as open_closure

SEED = 5  # of the microstructure
CHUNK = 4  # patches that are packed with pores together
SHARP = 0.15  # of the median: spread of pore sizes
SNAPSHOTS = 240  # kept of a run


@dataclass(frozen=True)
class Slab:
    """A slab that was run.

    Attributes
    ----------
    pore : float
        Median size of its pores (m).
    run : Run
        Where and when it became a detonation.
    times : (k,) s
        Of the snapshots.
    depth : (n,) m
        Where the points stood before the impact.
    fields : dict of (k, n)
        `pressure` (Pa) and `burned_fraction` of the points.
    points : dict of int
        Points by stage at the end.
    """

    pore: float
    run: Run
    times: np.ndarray
    depth: np.ndarray
    fields: dict[str, np.ndarray]
    points: dict[str, int]


def microstructure(
    patches: int, shape: tuple[int, int], halo: int, pixel: float, porosity: float, pore: float, seed: int
) -> np.ndarray:
    """Solid fractions (y, x) of so many patches in a row, with a halo ahead of the first.

    shape: of a patch with its halo, in pixels. pore: median diameter (m).
    """
    rng = np.random.default_rng(seed)
    rules = PackRules(
        median=pore / pixel, sigma=SHARP, smallest=0.6 * pore / pixel, largest=1.6 * pore / pixel,
        gap=0.3e-6 / pixel, gap_share=0.3, first_column=0.15e-6 / pixel,
    )  # fmt: skip
    width, parts = CHUNK * (shape[1] - halo), []
    for _ in range(-(-(patches * (shape[1] - halo) + halo) // width)):
        parts.append(solid_fraction((shape[0], width), pack((shape[0], width), porosity, rng, rules)))
    return np.concatenate(parts, axis=1)[:, : patches * (shape[1] - halo) + halo].astype(np.float32)


def run_slab(
    bundle: str | Path | Bundle,
    up: float,
    porosity: float,
    pore: float,
    patches: int,
    *,
    seed: int = SEED,
    threads: int = 1,
    report: Callable[[float, float], None] = lambda depth, end: None,
) -> Slab:
    """Throw one slab at a wall and follow its front.

    Parameters
    ----------
    bundle
        Of burn curves: its name, its path, or itself.
    up
        Speed of the slab (m/s).
    porosity, pore
        Share of voids, and the median of their diameters (m).
    patches
        Patches of the slab, one behind the other.
    seed
        Of the microstructure.
    threads
        Of the network.
    report
        Called now and then with the depth of the front and that of the slab (m).

    Raises
    ------
    ValueError
        The bundle has no burn curves.
    """
    loaded = bundle if isinstance(bundle, Bundle) else Bundle.load(bundle)
    shape, _ = _patch_shape(loaded.provenance)
    with open_closure(loaded, device="cpu", threads=threads, engine={"patch_shape": shape}) as closure:
        facts = closure.facts
        halo, parts = int(facts["patch.halo"]), int(facts["patch.parts"])
        mu = microstructure(patches, shape, halo, loaded.pixel, porosity, pore, seed)
        size = (shape[1] - halo) * loaded.pixel
        ids = np.arange(patches * parts)
        offsets = np.column_stack([ids // parts * size, np.zeros(len(ids))])
        closure.register(
            ids, specimen=Specimen.from_array(mu, loaded.pixel), offsets=offsets, parts=ids % parts
        )
        solver = _solver(closure, mu, halo, patches, parts, size, up, float(facts["heat"]))
        seen: list[tuple[float, np.ndarray, np.ndarray]] = []
        end = patches * size
        every = 2 * end / (SNAPSHOTS * up + 1) / 6

        def each(s: LagrangianSolver) -> None:
            if not seen or s.time - seen[-1][0] >= every:
                fields = s.fields()
                seen.append((s.time, fields["pressure"], fields["burned_fraction"]))
                above = np.flatnonzero(fields["pressure"] > 1e9)
                report(float(above[-1] + 1) * size / parts if above.size else 0.0, end)

        run = follow_front(
            solver, up, porosity, patch_size=size, points=parts, heat=float(facts["heat"]), each=each
        )
        stages = dict(closure.status)
    keep = np.unique(np.linspace(0, len(seen) - 1, SNAPSHOTS).astype(int))
    times, p, burned = (np.array([seen[k][i] for k in keep]) for i in range(3))
    depth = (ids + 0.5) * size / parts
    return Slab(pore, run, times, depth, {"pressure": p, "burned_fraction": burned}, stages)


def run_buildup(
    bundle: str | Path | Bundle,
    out: str | Path,
    up: float,
    porosity: float,
    pores: Sequence[float],
    patches: int,
    *,
    seed: int = SEED,
    threads: int = 1,
    report: Callable[[float, float, float], None] = lambda pore, depth, end: None,
) -> list[Slab]:
    """Run a slab for each median pore size (m), draw them side by side, and write what was found.

    out: folder of `buildup.png` and `summary.json`. The rest as for `run_slab`; report is called with the
    pore size too.
    """
    from ..viz.buildup import draw_buildup
    from ..viz.plots import save

    out = Path(out)
    slabs = [
        run_slab(
            bundle, up, porosity, pore, patches, seed=seed, threads=threads,
            report=lambda depth, end, pore=pore: report(pore, depth, end),
        )
        for pore in pores
    ]  # fmt: skip
    out.mkdir(parents=True, exist_ok=True)
    save(draw_buildup(slabs), out / "buildup.png")
    durable.write_text(out / "summary.json", json.dumps([summary(slab) for slab in slabs], indent=1) + "\n")
    return slabs


def summary(slab: Slab) -> dict[str, Any]:
    """What was found of a slab: JSON-ready numbers in SI units by name, None for what did not happen."""
    run = slab.run
    known = np.isfinite(run.run)
    return {
        "pore": slab.pore,
        "piston_speed": run.piston_speed,
        "input_pressure": run.input_pressure,
        "run_to_detonation": run.run if known else None,
        "time_to_detonation": run.run_time if known else None,
        "front_speed": run.front_speed,
        "detonation_speed": run.detonation_speed,
        "followed_to": run.depth,
        "hmx_run": hmx_run(run.input_pressure),
        "points": slab.points,
    }


def _solver(
    closure: Any, mu: np.ndarray, halo: int, patches: int, parts: int, size: float, up: float, heat: float
) -> LagrangianSolver:
    """The slab at the moment of its impact; each point is a cell, with the density of its patch."""
    n, material = patches * parts, Material()
    solid = mu[:, halo:].reshape(mu.shape[0], patches, -1).mean(axis=(0, 2))
    density = np.repeat([porous_density(1.0 - float(s), material) for s in solid], parts)
    served = ServedPoints(closure, np.arange(n), leaders(n, parts))
    return slab_at_wall(served, density, size / parts, up, material=material, heat=heat)


def patches_of(manifest: Mapping[str, Any], length: float) -> int:
    """Patches in a slab of this length (m), at least 4; ValueError for a bundle without burn curves."""
    (_, nx), halo = _patch_shape(manifest["provenance"])
    return max(4, round(length / ((nx - halo) * manifest["pixel"])))


def _patch_shape(provenance: Mapping[str, Any]) -> tuple[tuple[int, int], int]:
    """((ny, nx), halo) of the patches that a bundle of burn curves serves, in pixels."""
    try:
        data = provenance["data"]["curves"]
        ny, nx = data["shape"]
        return (int(ny), int(nx)), int(data["origin"]["configuration"]["case"]["wall"]["halo"])
    except (KeyError, TypeError, ValueError):
        raise ValueError("this bundle serves frames, not points; give one of burn curves") from None
