"""A resolved strip: a row of patches of true microstructure thrown at a rigid wall, all of it simulated.

    wall | halo | patch 0 | patch 1 | ... | tail | held

It is a wall frame many patches long, but for what flows in at the right until the shock arrives there, which
is as porous as the strip.

What is measured is the same as in a wall frame: the own material of each column part of each patch by mass
coordinate. A strip is what a hydrocode with a closure in its cells is compared with; models never see one.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from mld_closure.dns.cases import PRESETS, CaseConfig
from mld_closure.dns.curves import Arrivals, OwnMaterial
from mld_closure.dns.exact import porous_shock
from mld_closure.dns.microstructure import Pores, solid_fraction
from mld_closure.dns.solver import Solver
from mld_closure.dns.strip_file import CURVES, Strip
from mld_closure.dns.wall import draw_pores, wall_solver
from mld_closure.durable import published

SHOCK, AFTER = 0.5e-9, 2e-9  # s between measurements while the shock crosses the strip, and later
FINE = 0.1e-9  # s between looks at the pressure until the shock has arrived everywhere
CROSSED = 1.25  # times the time that the inert shock takes to cross: everything has arrived by then
KEEP = 20  # measurements from one checkpoint to the next


@dataclass(frozen=True)
class StripConfig:
    """One strip (SI units). up: piston speed. porosity, median: of the pack, median in m. end: last time.

    tail: columns behind the last patch; as long as a patch, because burning material moves to the right.
    frame: the wall frame whose halo, patch, pixel, material and kinetics the strip has.
    """

    up: float
    porosity: float
    median: float
    seed: int
    patches: int = 8
    end: float = 400e-9
    tail: int = 120
    sigma: float = 0.3
    frame: CaseConfig = field(default_factory=lambda: PRESETS["wall"])

    def __post_init__(self) -> None:
        if self.frame.wall is None:
            raise ValueError(f"a strip is made of wall frames, not of {self.frame.kind} cases")
        if self.patches < 1 or self.tail < 0 or not self.up > 0 or not self.end > 0:
            raise ValueError(
                "a strip needs patches, up and end above 0 and no negative tail, got "
                f"{self.patches}, {self.up}, {self.end} and {self.tail}"
            )

    @property
    def halo(self) -> int:
        """Columns between the wall and the first patch."""
        return self.frame.wall.halo

    @property
    def parts(self) -> int:
        """Column parts of a patch."""
        return self.frame.wall.parts

    @property
    def columns(self) -> int:
        """Columns of halo, patches and tail."""
        return self.halo + self.patches * (self.frame.shape[1] - self.halo) + self.tail

    def solid(self) -> np.ndarray:
        """Solid fraction (ny, columns); MicrostructureError where the pack cannot be placed."""
        pores = Pores(
            porosity=(self.porosity,) * 2,
            median=(self.median,) * 2,
            sigma=(self.sigma,) * 2,
            size=self.frame.wall.pores.size,
        )
        shape = self.frame.shape[0], self.columns
        wall = replace(self.frame.wall, pores=pores, tail=0)
        voids, _ = draw_pores(wall, shape, self.frame.pixel, np.random.default_rng([self.seed, 2]))
        return solid_fraction(shape, voids)

    def times(self) -> np.ndarray:
        """Times (s) of the measurements, from 0 to `end`."""
        us = porous_shock(self.up, self.frame.material, 1.0 - self.porosity)[3]
        crossed = min(CROSSED * self.columns * self.frame.pixel / us, self.end)
        first = np.arange(0.0, crossed, SHOCK)
        later = np.arange(first[-1] + SHOCK, self.end - 1e-3 * SHOCK, AFTER)
        return np.concatenate([first, later, [self.end]])


def frame_at(pixel: float) -> CaseConfig:
    """The wall frame of strips at another pixel (m): lengths kept to within a column part."""
    frame, ratio = PRESETS["wall"], PRESETS["wall"].pixel / pixel
    parts, halo = frame.wall.parts, round(frame.wall.halo * ratio)
    width = (frame.shape[1] - frame.wall.halo) * ratio / parts
    patch = parts * max(1, int(width + 0.5 + 1e-9))  # halves upwards, also where the last bit is missing
    wall = replace(frame.wall, halo=halo, tail=round(frame.wall.tail * ratio))
    return replace(frame, pixel=pixel, shape=(round(frame.shape[0] * ratio), halo + patch), wall=wall)


def patch_frame(strip: Strip, patch: int, up: float, end: float, frame: CaseConfig, tail: int) -> Strip:
    """The wall frame of one patch of a strip: its own halo, patch and `tail` columns thrown at up m/s.

    frame: that of the strip. end: last time (s). Returns a strip of one patch.
    """
    first = strip.width * patch
    solid = strip.solid[:, first : first + strip.halo + strip.width + tail] / 255.0
    config = StripConfig(up, 1.0 - float(solid.mean()), strip.facts["median"], 0, 1, end, tail, frame=frame)
    return simulate_strip(config, solid=solid)


def simulate_strip(
    config: StripConfig,
    *,
    solid: np.ndarray | None = None,
    checkpoint: Path | None = None,
    done: Callable[[int, int], Any] = lambda i, n: None,
) -> Strip:
    """Run a strip to its end.

    Parameters
    ----------
    config : StripConfig
        The strip.
    solid : (ny, columns)
        Solid fraction in place of the drawn one, for a piece of another strip.
    checkpoint : Path
        File from which a run that was interrupted goes on, to the same result; removed at the end.
    done : (int, int) -> Any
        Called after each measurement with its number and how many there are.

    Raises
    ------
    FloatingPointError
        The flow has no finite state.
    """
    solid, times = config.solid() if solid is None else solid, config.times()
    if solid.shape != (config.frame.shape[0], config.columns):
        raise ValueError(
            f"the image is {solid.shape}, the strip {(config.frame.shape[0], config.columns)} pixels"
        )
    frame = config.frame
    run = wall_solver(solid, config.up, frame.pixel, frame.material, frame.kinetics)
    end = config.columns - config.tail
    own = OwnMaterial(run, (config.halo, end), config.patches * config.parts)
    arrivals = Arrivals(config.frame.wall.arrival, 1 + config.patches * config.parts)
    curves: list[dict[str, np.ndarray]] = []
    if checkpoint is not None and checkpoint.exists():
        curves = _go_on(checkpoint, config, run, arrivals)
    for i in range(len(curves), len(times)):
        while not arrivals.complete and times[i] - run.time > 1.5 * FINE:
            run.run(run.time + FINE)
            arrivals.add(run.time, own.measure(run)["mean_pressure"])
        run.run(float(times[i]))
        now = own.measure(run)
        if i > 0:
            arrivals.add(run.time, now["mean_pressure"])
        if not np.isfinite(now["mean_pressure"]).all():
            raise FloatingPointError(f"the pressure is not finite at t = {run.time * 1e9:.3f} ns")
        curves.append(now)
        if checkpoint is not None and i % KEEP == KEEP - 1:
            _keep(checkpoint, config, run, arrivals, curves)
        done(i + 1, len(times))
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
    return _strip(config, solid, times, curves, arrivals)


def _strip(
    config: StripConfig,
    solid: np.ndarray,
    times: np.ndarray,
    curves: list[dict[str, np.ndarray]],
    arrivals: Arrivals,
) -> Strip:
    by_part = (config.patches, config.parts)
    pixel = config.frame.pixel
    width = (config.frame.shape[1] - config.halo) // config.parts
    part_area = width * pixel * len(solid) * pixel  # m2, of a part at rest
    found = {name: np.stack([c[name][1:] for c in curves]) for name in curves[0]}
    found["hot_share"] = found["hot_area"] / part_area
    return Strip(
        up=config.up,
        pixel=pixel,
        halo=config.halo,
        tail=config.tail,
        times=times,
        arrival=arrivals.times[1:].reshape(by_part),
        solid=np.rint(255 * solid).astype(np.uint8),
        curves={n: found[n].reshape(len(times), *by_part).astype(np.float32) for n in CURVES},
        facts={
            "porosity": config.porosity,
            "median": config.median,
            "sigma": config.sigma,
            "seed": config.seed,
        },
    )


def _keep(
    path: Path, config: StripConfig, run: Solver, arrivals: Arrivals, curves: list[dict[str, np.ndarray]]
) -> None:
    time, pressure = arrivals.before
    buffer = io.BytesIO()
    stacked = {f"curve_{name}": np.stack([c[name] for c in curves]) for name in curves[0]}
    np.savez(
        buffer, config=np.array(repr(config)), state=run.interior, clock=np.array([run.time, time]),
        steps=run.steps, arrival=arrivals.times, pressure=pressure, **stacked,
    )  # fmt: skip
    with published(path) as temporary:
        temporary.write_bytes(buffer.getvalue())


def _go_on(path: Path, config: StripConfig, run: Solver, arrivals: Arrivals) -> list[dict[str, np.ndarray]]:
    with np.load(path) as kept:
        if str(kept["config"]) != repr(config):
            raise ValueError(f"{path} is of another strip; remove it or name another file")
        run.interior[...] = kept["state"]
        run.time, before = (float(t) for t in kept["clock"])
        run.steps = int(kept["steps"])
        arrivals.times[:] = kept["arrival"]
        arrivals.before = before, kept["pressure"]
        stacked = {n.removeprefix("curve_"): kept[n] for n in kept.files if n.startswith("curve_")}
    run.refresh()
    count = len(next(iter(stacked.values())))
    return [{name: values[i] for name, values in stacked.items()} for i in range(count)]
