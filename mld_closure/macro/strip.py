"""A resolved strip on the Lagrangian hydrocode: the slab that stands for it.

    wall | halo | patch 0 | patch 1 | ... | tail | inert material, so long that its far end is never felt

Each patch has some points, which are the cells of the flow, and each point knows its patch and column part.
Points of the halo count as part 0 of the first patch. The DNS holds the shocked state beyond its right end,
from where waves do not come back; the inert material does the same here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mld_closure.dns.eos import Material
from mld_closure.dns.strip_file import Strip
from mld_closure.macro.lagrangian import LagrangianSolver
from mld_closure.macro.porous import porous_density, porous_shock
from mld_closure.macro.protocol import OWN, CellClosure, wanted_inputs
from mld_closure.macro.slab import wall_points
from mld_closure.macro.step_closure import Burned
from mld_closure.macro.tabulated import ARRIVAL

MARGIN = 1.1  # times the length of inert material that the sound needs to come back from its end


@dataclass(frozen=True)
class StripPoints:
    """Where the points of a strip stand, (n,) each, from the wall on; inert ones come last.

    x: nodes (n + 1,) in m. density: kg/m3. patch, part: number of patch and column part; the tail is one more
    patch. leader: id of the point whose load each takes, or `OWN`. reacting: points that a closure serves,
    the first of all. first, count: first point of patch 0, and the number of points in all measured patches.
    """

    x: np.ndarray
    density: np.ndarray
    patch: np.ndarray
    part: np.ndarray
    leader: np.ndarray
    reacting: int
    first: int
    count: int
    points: int

    @property
    def ids(self) -> np.ndarray:
        """Ids (n,) of all points."""
        return np.arange(len(self.density))

    def by_patch(self, values: np.ndarray) -> np.ndarray:
        """Values (..., n) of the points as (..., patch, point), of the measured patches alone."""
        own = values[..., self.first : self.first + self.count]
        return own.reshape(*own.shape[:-1], -1, self.points)


def strip_points(
    strip: Strip,
    points: int = 8,
    *,
    until: float | None = None,
    by_part: bool = True,
    led: int | None = None,
    material: Material | None = None,
) -> StripPoints:
    """Points for a strip.

    Parameters
    ----------
    strip : Strip
        The strip, with its image.
    points : int
        Points per patch; a divisor or a multiple of the parts.
    until : float
        Time (s) until which no wave may come back from the far end; that of the strip by default.
    by_part : bool
        Whether a point has the porosity of its own columns, or that of its patch.
    led : int
        Points at the wall that take the load of the one beyond them; `slab.wall_points` by default.
    material : Material
        The solid.

    Raises
    ------
    ValueError
        The points and parts of a patch do not divide each other.
    """
    material = material or Material()
    parts = strip.arrival.shape[1]
    if points < 1 or (parts % points and points % parts):
        raise ValueError(f"{points} points a patch and {parts} parts do not divide each other")
    size = strip.patch_size / points
    halo, tail = strip.halo * strip.pixel, strip.tail * strip.pixel
    ahead, behind = max(round(halo / size), 1), round(tail / size)
    until = float(strip.times[-1]) if until is None else until
    beyond = _inert_length(strip, until, material)
    widths = np.concatenate([
        np.full(ahead, halo / ahead), np.full(strip.patches * points, size),
        np.full(behind, tail / max(behind, 1)), np.full(int(np.ceil(beyond / size)), size),
    ])  # fmt: skip
    x = np.concatenate([[0.0], np.cumsum(widths)])
    reacting = ahead + strip.patches * points + behind
    patch, part = np.zeros(len(widths), np.int64), np.zeros(len(widths), np.int64)
    place = np.arange(reacting - ahead)
    patch[ahead:reacting], part[ahead:reacting] = place // points, place % points * parts // points
    leader = np.full(len(widths), OWN)
    led = wall_points(points) if led is None else led
    leader[:led] = led
    porosity = 1.0 - _means(strip.solid.mean(axis=0) / 255.0, x[: reacting + 1] / strip.pixel)
    if not by_part:
        for k in range(patch[:reacting].max() + 1):
            porosity[patch[:reacting] == k] = porosity[patch[:reacting] == k].mean()
    porosity = np.append(porosity, np.full(len(widths) - reacting, float(strip.porosity().mean())))
    density = np.array([porous_density(float(p), material) for p in porosity])
    return StripPoints(x, density, patch, part, leader, reacting, ahead, strip.patches * points, points)


def strip_slab(
    strip: Strip, points: StripPoints, closure: CellClosure | None, **options: Any
) -> LagrangianSolver:
    """The solver of a strip's slab, ready to step; the closure has the reacting points' ids registered."""
    thrown = np.where(points.x > 0, -strip.up, 0.0)
    closure = None if closure is None else InertBeyond(closure, points.reacting)
    return LagrangianSolver(
        points.x, thrown, points.density, closure=closure, ends=("wall", "free"),
        velocity_ahead=-strip.up, **options,
    )  # fmt: skip


@dataclass(frozen=True)
class Run:
    """What the points of a slab did: times (T,) in s, burned and pressure (Pa) (T, n), arrival (n,) in s."""

    times: np.ndarray
    burned: np.ndarray
    pressure: np.ndarray
    arrival: np.ndarray


def run_strip(solver: LagrangianSolver, until: float, *, level: float = ARRIVAL) -> Run:
    """Run a slab to a time (s), with the arrival of `level` (Pa) at each point between steps linearly."""
    times, burned, pressure = [0.0], [solver.burned.copy()], [np.zeros(len(solver.ids))]
    arrival = np.full(len(solver.ids), np.nan)

    def keep(run: LagrangianSolver) -> None:
        p, before = run.fields()["pressure"], pressure[-1]
        new = np.isnan(arrival) & (p >= level)
        share = (level - before[new]) / np.maximum(p[new] - before[new], 1e-30)
        arrival[new] = times[-1] + np.clip(share, 0.0, 1.0) * (run.time - times[-1])
        times.append(run.time)
        burned.append(run.burned.copy())
        pressure.append(p)

    solver.run(until, each=keep)
    return Run(np.array(times), np.array(burned), np.array(pressure), arrival)


class InertBeyond:
    """A closure of the first `count` points of a flow, in whose other points nothing burns."""

    def __init__(self, closure: CellClosure, count: int) -> None:
        self.closure: CellClosure = closure
        self.count: int = count
        self.inputs: tuple[str, ...] = wanted_inputs(closure)

    def begin_step(self, t: float, dt: float) -> None:
        """Open the step from time t (s) to t + dt."""
        self.closure.begin_step(t, dt)

    def advance(self, ids: np.ndarray, **inputs: np.ndarray) -> Burned:
        """Carry the first points through the open step; the others stay unburned."""
        own = slice(self.count)
        out = self.closure.advance(ids[own], **{name: value[own] for name, value in inputs.items()})
        nothing = np.zeros(len(ids) - self.count)
        return Burned(
            np.append(out.burned_fraction, nothing), np.append(out.burn_rate, nothing), float(out.dt_max)
        )

    def commit(self) -> None:
        """Make the step's end the committed state."""
        self.closure.commit()

    def rollback(self) -> None:
        """Forget the open step."""
        self.closure.rollback()


def _means(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Means of columns (nx,) between edges (m + 1,), which may lie inside columns."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    return np.diff(np.interp(edges, np.arange(len(total)), total)) / np.diff(edges)


def _inert_length(strip: Strip, until: float, material: Material) -> float:
    """Length (m) from the end of the strip from which sound does not come back before `until` (s)."""
    shock = porous_shock(strip.up, float(strip.porosity().mean()), material)
    sound = 1.5 * shock.us  # m/s, more than behind the shock
    length = strip.solid.shape[1] * strip.pixel
    return max(MARGIN * (until - length / shock.us) / (1 / shock.us + 1 / sound), 0.0)
