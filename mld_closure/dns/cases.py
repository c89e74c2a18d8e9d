"""One training case: a drawn microstructure and load, run and recorded as a movie.

A case is a function of (configuration, seed, index) alone, so any process can make it at any time and it
comes out the same, bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np

from mld_closure import grids
from mld_closure.dns.eos import Material
from mld_closure.dns.exact import shock_from_piston
from mld_closure.dns.kinetics import PACE, PACES, Kinetics, Pace, paced
from mld_closure.dns.loading import shocked_solver
from mld_closure.dns.microstructure import (
    Ellipse,
    MicrostructureError,
    PackRules,
    Pores,
    pack,
    random_ellipse,
    solid_fraction,
)
from mld_closure.dns.wall import WallFrame, draw_pores, record_wall, wall_solver
from mld_closure.fields import FIELDS

MICRO_STEP = 0.172e-9  # s between micro frames; a meso frame is two of them
GOLDEN = 0.6180339887498949
DRAWS = 20  # attempts at a microstructure with an allowed number of voids


Kind = Literal["micro", "meso", "wall"]


@dataclass(frozen=True)
class CaseConfig:
    """How the cases of one campaign are made (SI units; lengths of voids in pixels).

    kind: `micro` has one void, `meso` a pack of them, both shocked by a steady inflow; `wall` throws a porous
    body at a rigid wall, and `shape` is then the recorded image of halo and patch. Loads are spread evenly
    over `up` (m/s) by a seeded golden-ratio sequence, so that any number of cases covers the range.
    """

    kind: Kind
    shape: tuple[int, int]
    frames: int
    frame_interval: float
    up: tuple[float, float] = (500.0, 1400.0)
    pixel: float = 50e-9
    diameter: tuple[float, float] = (24.0, 60.0)  # micro: size range of the void
    porosity: tuple[float, float] = (0.07, 0.15)  # meso: range of the pack
    voids: tuple[int, int] = (20, 45)  # meso: allowed number of voids
    pack: PackRules = field(default_factory=PackRules)
    material: Material = field(default_factory=Material)
    kinetics: Kinetics = field(default_factory=Kinetics)
    wall: WallFrame | None = None  # what a wall frame has besides, and nothing else has

    def __post_init__(self) -> None:
        grids.Grid(*self.shape, self.pixel)
        if self.frames < 2:
            raise ValueError(f"frames must be at least 2, got {self.frames}")
        if not self.frame_interval > 0:
            raise ValueError(f"frame_interval must be positive, got {self.frame_interval} s")
        for name in ("up", "diameter", "porosity", "voids"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise ValueError(f"{name} needs 0 < low <= high, got {low}, {high}")
        if (self.kind == "wall") != (self.wall is not None):
            raise ValueError(f"{self.kind} cases {'need' if self.kind == 'wall' else 'take no'} `wall`")
        if self.wall is not None and (self.shape[1] - self.wall.halo) % self.wall.parts:
            raise ValueError(
                f"a patch of {self.shape[1]} - {self.wall.halo} columns has no {self.wall.parts} equal parts"
            )

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the recorded fields."""
        return tuple(FIELDS) if self.wall is None else self.wall.fields

    @property
    def curve_times(self) -> tuple[float, ...]:
        """Times of the recorded curves in s; none but in wall frames."""
        return () if self.wall is None else self.wall.curve_times(self.times)

    @property
    def times(self) -> tuple[float, ...]:
        """Frame times in s."""
        return tuple(i * self.frame_interval for i in range(self.frames))


def _wall(shape: tuple[int, int], share: float, wall: WallFrame) -> CaseConfig:
    """Wall frames of 200 nm; share: part of the pace's frame interval."""
    material, kinetics = paced(PACE)
    return CaseConfig(
        "wall",
        shape,
        frames=33,
        frame_interval=share * PACES[PACE].frame_interval,
        up=(500.0, 1600.0),
        pixel=200e-9,
        material=material,
        kinetics=kinetics,
        wall=wall,
    )


PRESETS = {
    "micro": CaseConfig("micro", grids.MICRO_SHAPE, frames=20, frame_interval=MICRO_STEP),
    "meso": CaseConfig("meso", grids.MESO_SHAPE, frames=32, frame_interval=2 * MICRO_STEP),
    "wall": _wall(grids.WALL_SHAPE, 1.0, WallFrame()),
    "wall-micro": _wall(
        grids.WALL_MICRO_SHAPE,
        0.5,
        WallFrame(halo=16, tail=32, pores=Pores(median=(1.0e-6, 2e-6), size=(0.8e-6, 2.5e-6))),
    ),
}


def at_pixel(config: CaseConfig, pixel: float) -> CaseConfig:
    """A wall-frame configuration at another pixel (m): lengths kept, images in the nearest frame that models
    take."""
    if config.wall is None:
        raise ValueError(f"the pixel of {config.kind} cases is fixed: their voids are measured in pixels")
    ratio = config.pixel / pixel
    shape = tuple(
        grids.FRAME_MULTIPLE * max(1, round(n * ratio / grids.FRAME_MULTIPLE)) for n in config.shape
    )
    patch = shape[1] - round(config.wall.halo * ratio)
    patch -= patch % config.wall.parts  # what is over goes to the halo
    wall = replace(config.wall, halo=shape[1] - patch, tail=round(config.wall.tail * ratio))
    return replace(config, pixel=pixel, shape=shape, wall=wall)


def at_pace(config: CaseConfig, pace: Pace) -> CaseConfig:
    """A wall-frame preset with another pace; its frame interval is in proportion to that of the pace."""
    if config.wall is None:
        raise ValueError(f"the pace of {config.kind} cases is fixed: they have a constant rate limit")
    material, kinetics = paced(pace)
    return replace(
        config,
        material=replace(
            config.material, kappa=material.kappa, active=material.active, viscosity=material.viscosity
        ),
        kinetics=replace(config.kinetics, limit=kinetics.limit),
        frame_interval=config.frame_interval * pace.frame_interval / PACES[PACE].frame_interval,
    )


def draw_load(config: CaseConfig, seed: int, index: int) -> float:
    """Piston speed (m/s) of a case."""
    start = np.random.default_rng([seed, 0]).random()
    low, high = config.up
    return low + (high - low) * math.fmod(start + index * GOLDEN, 1.0)


def draw_voids(config: CaseConfig, seed: int, index: int) -> list[Ellipse]:
    """The voids of a case. Raises MicrostructureError where the wanted pack cannot be drawn."""
    rng = np.random.default_rng([seed, 1, index])
    if config.kind == "micro":
        for _ in range(100):
            void = random_ellipse(rng.uniform(*config.diameter), config.shape, rng, config.pack)
            if void is not None:
                return [void]
        raise MicrostructureError(f"a void of {config.diameter} px does not fit a frame of {config.shape} px")
    counts = []
    for _ in range(DRAWS):
        voids = pack(config.shape, rng.uniform(*config.porosity), rng, config.pack)
        if config.voids[0] <= len(voids) <= config.voids[1]:
            return voids
        counts.append(len(voids))
    raise MicrostructureError(
        f"{DRAWS} packs of porosity {config.porosity} had {min(counts)} to {max(counts)} voids, wanted "
        f"{config.voids[0]} to {config.voids[1]}; change voids, porosity or pack.median"
    )


def simulate_case(
    config: CaseConfig, seed: int, index: int
) -> tuple[dict[str, np.ndarray], dict[str, float], dict[str, Any]]:
    """Run one case: (fields by name, each float32 (time, y, x) in SI units; scalars; description).

    A wall frame has the curves of its own material beside the fields, as `record_wall` gives them. Raises
    MicrostructureError, or FloatingPointError naming the first frame that is not finite.
    """
    up = draw_load(config, seed, index)
    if config.wall is not None:
        return _wall_case(config, up, seed, index)
    voids = draw_voids(config, seed, index)
    mu = solid_fraction(config.shape, voids)
    movie, steps = record(mu, up, config)
    scalars = case_scalars(mu, up, len(voids), config) | {"seed": seed}
    return movie, scalars, {"voids": [asdict(v) for v in voids], "steps": steps}


def _wall_case(
    config: CaseConfig, up: float, seed: int, index: int
) -> tuple[dict[str, np.ndarray], dict[str, float], dict[str, Any]]:
    wall, (ny, nx) = config.wall, config.shape
    voids, drawn = draw_pores(wall, config.shape, config.pixel, np.random.default_rng([seed, 1, index]))
    mu = solid_fraction((ny, nx + wall.tail), voids)
    run = wall_solver(mu, up, config.pixel, config.material, config.kinetics)
    arrays = record_wall(run, wall, config.times)
    scalars = case_scalars(mu[:, wall.halo : nx], up, len(voids), config) | drawn
    scalars |= {"halo": wall.halo, "tail": wall.tail, "seed": seed}
    return arrays, scalars, {"voids": [asdict(v) for v in voids], "steps": run.steps}


def case_scalars(mu: np.ndarray, up: float, void_count: int, config: CaseConfig) -> dict[str, float]:
    """The numbers stored with a case of solid fraction mu (ny, nx) and piston speed up (m/s), in SI units."""
    shock = shock_from_piston(up, config.material)
    return {
        "piston_speed": up,
        "shock_pressure": shock.p,
        "shock_speed": shock.us,
        "shock_density": shock.rho,
        "shock_temperature": shock.T,
        "void_count": void_count,
        "porosity": 1.0 - float(mu.mean()),
    }


def record(
    mu: np.ndarray,
    up: float,
    config: CaseConfig,
    frame_done: Callable[[int, dict[str, np.ndarray]], Any] | None = None,
) -> tuple[dict[str, np.ndarray], int]:
    """Movie of the shocked solid fraction mu (ny, nx): (fields, each float32 (time, y, x); steps taken).

    frame_done(i, fields) is called after each frame. Raises FloatingPointError for a frame not finite.
    """
    run = shocked_solver(mu, up, config.pixel, config.material, config.kinetics)
    movie = {name: np.empty((config.frames, *mu.shape), np.float32) for name in run.fields()}
    for i, t in enumerate(config.times):
        run.run(t)
        fields = run.fields()
        for name, values in fields.items():
            if not np.isfinite(values).all():
                raise FloatingPointError(f"{name} is not finite at frame {i}, t = {t * 1e9:.3f} ns")
            movie[name][i] = values
        if frame_done is not None:
            frame_done(i, fields)
    return movie, run.steps


def with_changes(config: CaseConfig, **changes: Any) -> CaseConfig:
    """The configuration with the given fields replaced; None means unchanged."""
    return replace(config, **{k: v for k, v in changes.items() if v is not None})
