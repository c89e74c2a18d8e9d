"""The wall frame: porous material thrown at a rigid wall, and what its patch does afterwards.

    wall | halo | patch | tail | held            all but a micrometre at the wall moves at -up at the start

The shock starts at the wall and has crossed the true microstructure of the halo when it enters the patch; the
tail keeps the patch's surroundings true behind it. Nothing flows in at the wall, so all of the patch's own
material stays and the horizon can be long.

Why: a steady inflow needs a pore-free entry, which takes pores from the patch, and holds the pressure up
where the burning material would push back. An open end that copies gives way to burning material and does not
push back at all: the pressure drifts down to nothing and the reaction with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from mld_closure.dns.curves import Arrivals, OwnMaterial
from mld_closure.dns.eos import Material
from mld_closure.dns.exact import porous_shock
from mld_closure.dns.kinetics import Kinetics
from mld_closure.dns.loading import at_rest
from mld_closure.dns.microstructure import Ellipse, Pores, pack
from mld_closure.dns.solver import Boundaries, Solver
from mld_closure.fields import FIELDS
from mld_closure.grids import Grid

SIDES = Boundaries(left="mirror", right="held", bottom="mirror", top="mirror")
ARRIVED = 0.5  # of the speed of impact: slower material at the right end has been shocked
RAMP = 1.2e-6  # m, over which the speed of impact rises from nothing at the wall


@dataclass(frozen=True)
class WallFrame:
    """What a wall frame has besides the recorded image of halo and patch (widths in columns).

    parts: equal column parts of the patch that are measured each by itself. arrival: pressure (Pa) at which
    the shock has arrived. samples: measurements in a frame interval. fields: recorded fields. bits: mantissa
    bits kept of recorded fields (10 as in half precision, 23 all), so that files compress. fine: s between
    measurements until the shock has arrived everywhere.
    """

    halo: int = 40
    tail: int = 40
    parts: int = 8
    arrival: float = 2.5e9
    samples: int = 4
    fields: tuple[str, ...] = ("temperature", "pressure", "microstructure", "reaction_progress", "density")
    bits: int = 10
    fine: float = 0.05e-9
    pores: Pores = field(default_factory=Pores)

    def __post_init__(self) -> None:
        for name in ("halo", "tail"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)} columns")
        for name in ("parts", "samples"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("arrival", "fine"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        unknown = [name for name in self.fields if name not in FIELDS]
        if unknown:
            raise ValueError(f"unknown field '{unknown[0]}'; known fields: {', '.join(FIELDS)}")
        if not 1 <= self.bits <= 23:
            raise ValueError(f"bits must be 1 to 23, got {self.bits}")

    def curve_times(self, times: Sequence[float]) -> tuple[float, ...]:
        """Times (s) of the measurements: `samples` in each interval between frame times, and the last."""
        share = np.arange(self.samples) / self.samples
        inner = [a + (b - a) * s for a, b in pairwise(times) for s in share]
        return (*(float(t) for t in inner), times[-1])


def draw_pores(
    frame: WallFrame, shape: tuple[int, int], pixel: float, rng: np.random.Generator
) -> tuple[list[Ellipse], dict[str, float]]:
    """Pores of halo, patch and tail for a recorded image of `shape`; and what was drawn: median and sigma.

    Raises MicrostructureError where the wanted pack cannot be placed.
    """
    porosity, rules = frame.pores.draw(rng, pixel)
    voids = pack((shape[0], shape[1] + frame.tail), porosity, rng, rules)
    return voids, {"pore_median": rules.median * pixel, "pore_sigma": rules.sigma}


def wall_solver(
    mu: np.ndarray,
    up: float,
    pixel: float,
    m: Material,
    k: Kinetics,
    *,
    ramp: float = RAMP,
    **options: object,
) -> Solver:
    """The solver of a body of solid fraction mu (ny, nx) that meets a rigid wall on its left at up m/s.

    It starts with u = -up tanh(x / ramp), ramp in m. A jump of the velocity (ramp 0) would leave a layer at
    the wall that is far hotter than the shock, and lights a plane flame there from about 1.1 km/s on.
    What flows in at the right is material of the same porosity, in which the shock goes on as it is; once it
    has left, such material lies there, shocked and inert. (A copy of the last column, which has no pores,
    would make the shock meet up t of solid, which sends a wave back that is stronger than itself.)
    """
    state = at_rest(mu, m)
    x = (np.arange(mu.shape[1]) + 0.5) * pixel
    state[1] = -up * np.tanh(x / ramp) if ramp > 0 else -up
    rho, _, e, _ = porous_shock(up, m, float(mu.mean()))
    ahead = np.array([m.rho0 * float(mu.mean()), -up, 0.0, 0.0, 0.0])
    held = np.array([rho, 0.0, 0.0, e, 0.0]), -ARRIVED * up
    return Solver(
        Grid(*mu.shape, pixel),
        state,
        material=m,
        kinetics=k,
        boundaries=SIDES,
        held=held,
        ahead=ahead,
        **options,
    )


def record_wall(
    run: Solver,
    frame: WallFrame,
    times: Sequence[float],
    frame_done: Callable[[int, dict[str, np.ndarray]], Any] | None = None,
) -> dict[str, np.ndarray]:
    """Fields of halo and patch at the frame times and curves of the patch's own material, by name.

    Fields are (time, y, x), curves (curve time, 1 + parts) with the whole patch first, `arrival` (1 + parts,)
    in s, nan where the level was not reached; all float32 in SI units. frame_done(i, fields) is called after
    each frame. Raises FloatingPointError for a frame that is not finite.
    """
    nx = run.grid.nx - frame.tail
    own = OwnMaterial(run, (frame.halo, nx), frame.parts)
    arrivals = Arrivals(frame.arrival, 1 + frame.parts)
    curve_times = frame.curve_times(times)
    out = {name: np.empty((len(times), run.grid.ny, nx), np.float32) for name in frame.fields}
    curves: list[dict[str, np.ndarray]] = []
    for i, t in enumerate(curve_times):
        while not arrivals.complete and t - run.time > 1.5 * frame.fine:
            run.run(run.time + frame.fine)
            arrivals.add(run.time, own.measure(run)["mean_pressure"])
        run.run(t)
        now = own.measure(run)
        if t > 0:
            arrivals.add(run.time, now["mean_pressure"])
        curves.append(now)
        if i % frame.samples == 0:
            fields = run.fields()
            for name in frame.fields:
                values = fields[name][:, :nx]
                if not np.isfinite(values).all():
                    raise FloatingPointError(f"{name} is not finite at t = {t * 1e9:.3f} ns")
                out[name][i // frame.samples] = rounded(values, frame.bits)
            if frame_done is not None:
                frame_done(i // frame.samples, fields)
    for name in curves[0]:
        out[name] = np.stack([c[name] for c in curves]).astype(np.float32)
    return out | {"arrival": arrivals.times.astype(np.float32)}


def rounded(values: np.ndarray, bits: int) -> np.ndarray:
    """Values as float32 with their mantissa rounded to `bits` bits, 23 leaves all."""
    drop = 23 - bits
    raw = np.ascontiguousarray(values, np.float32).view(np.uint32)
    if drop > 0:
        raw = (raw + np.uint32(1 << (drop - 1))) & np.uint32(0xFFFFFFFF << drop & 0xFFFFFFFF)
    return raw.view(np.float32)
