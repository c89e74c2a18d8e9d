"""The life of a cell: when the shock arrives, how its own clock runs, and what is read at a time.

Functions on records (n,) of `state.CELL`, in place. Frames that are read lie at n * step on the cell's clock
tau, and readouts are linear in tau between the two frames around it, so what is returned depends on tau
alone: how macro steps are cut changes nothing. Splitting enters only through arrival, which sees pressures at
the ends of macro steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..models.readout_head import QUANTITIES
from .captured import plateau
from .cells import Life
from .policies import BURNED

DONE = 0.999  # burned fraction from which a cell counts as burned
RISING = 0.01  # relative growth a model step below which the load has stopped rising
AWAKE = 0.2  # of the weakest trained shock pressure wakes a cell: about when a shock is at its centre
SAMPLES = 4  # of a rising load, in a window
FACTOR_LIMIT = 2.0
MEMORY = 8  # model steps that the burn rate past the horizon is a mean of
_AREA = list(QUANTITIES).index("hotspot_area_fraction")
_HOT = list(QUANTITIES).index("hotspot_temperature")


@dataclass(frozen=True)
class Clock:
    """Numbers of the clock.

    p_ignite (Pa); window (s) in which a load is sought and how often (updates) it is looked at there;
    model_step (s); step (s) between frames that are read; horizon (such frames); exponent.
    """

    p_ignite: float
    window: float
    updates: int
    model_step: float
    step: float
    horizon: int
    exponent: float


@dataclass(frozen=True)
class Load:
    """What is known of loads: final (n,), whether a cell has it now; early (n,), whether it is to begin with
    what there is; value (n,), the load (m/s) that is captured or, while it rises, foreseen."""

    final: np.ndarray
    early: np.ndarray
    value: np.ndarray


def load(
    record: np.ndarray,
    pressure: np.ndarray,
    speed: np.ndarray,
    before: np.ndarray,
    t: float,
    dt: float,
    clock: Clock,
) -> Load:
    """Take the pressures at t + dt into cells that seek their load.

    An idle cell whose pressure reaches p_ignite (and what it has borne without reacting) begins to load; its
    arrival is interpolated between the pressures at t (`before`) and t + dt. speed: the piston speed (m/s)
    that the macro state stands for; its running maximum is the load, once it grows by less than 1 % a step (a
    model step's worth where the macro step is shorter: growth in a short step says little). Where the window
    is over before, it is what the captured shock will rise to (`captured.plateau`). At equal parts of the
    window, `updates` in all, the load foreseen so far is good enough to begin.
    """
    now = t + dt
    level = np.maximum(clock.p_ignite, (1.0 + RISING) * record["peak"])
    wakes = (record["life"] == Life.IDLE) & (pressure >= level)
    seeks = record["seeking"].copy()
    rise = np.where(wakes, pressure - before, 1.0)
    part = np.where(rise > 0, (level - before) / np.where(rise > 0, rise, 1.0), 1.0)
    record["arrival"][wakes] = (t + np.clip(part, 0.0, 1.0) * dt)[wakes]
    record["life"][wakes] = Life.LOADING
    settled = seeks & (speed - record["load"] < RISING * min(1.0, dt / clock.model_step) * record["load"])
    seeks |= wakes
    for name, values in (("peak", pressure), ("load", speed)):
        rising = seeks & (values > record[name])
        record[name][rising] = values[rising]
    record["seen_time"][wakes] = now
    record["seen_load"][wakes] = record["load"][wakes, None]
    over = seeks & ~settled & (now - record["arrival"] >= clock.window)
    parts = (t + np.array([[0.0], [dt]]) - record["arrival"]) * clock.updates / clock.window
    passed = np.floor(parts[1]) > np.maximum(np.floor(parts[0]), 0.0)
    early = seeks & ~settled & ~over & passed
    value = record["load"].copy()
    value[over | early] = _foreseen(record[over | early], now)
    record["seeking"] = seeks & ~settled & ~over
    _sample(record, now, clock)
    return Load(settled | over, early, value)


def _foreseen(record: np.ndarray, now: float) -> np.ndarray:
    """What the loads (m/s) of records (n,) will rise to."""
    times = np.column_stack([record["seen_time"], np.full(len(record), now)])
    return plateau(times, np.column_stack([record["seen_load"], record["load"]]))


def _sample(record: np.ndarray, now: float, clock: Clock) -> None:
    """Keep the present load of cells that seek theirs, where the sample before is old enough."""
    due = record["seeking"] & (now - record["seen_time"][:, 1] >= clock.window / SAMPLES)
    for name, values in (("seen_time", now), ("seen_load", record["load"][due])):
        record[name][due, 0] = record[name][due, 1]
        record[name][due, 1] = values


def stand_down(record: np.ndarray) -> None:
    """Let cells rest again whose load turned out too weak to react; they remember what they have borne."""
    record["life"] = Life.IDLE
    record["seeking"] = False
    record["load"] = 0.0


def start(record: np.ndarray, delay: np.ndarray, now: float) -> None:
    """Start the clocks of cells with their load, or start them anew: frame 0 lies `delay` (s, n) before the
    arrival, and nothing has been computed from it."""
    record["life"] = Life.ACTIVE
    record["tau"] = delay + (now - record["arrival"])
    record["frame"] = -1
    record["relax"] = 0.0


def factor(record: np.ndarray, pressure: np.ndarray, clock: Clock) -> np.ndarray:
    """d tau / dt = clip(p / P_s, 0, 2)^m, (n,)."""
    return np.clip(pressure / record["peak"], 0.0, FACTOR_LIMIT) ** clock.exponent


def frames_wanted(record: np.ndarray, clock: Clock) -> np.ndarray:
    """Last model frame (n,) needed to read at tau: that at or after it, within the horizon."""
    frames = np.ceil(record["tau"] / clock.step - 1e-9)
    return np.clip(frames, 0, clock.horizon).astype(np.int64)


def remember_rate(record: np.ndarray, clock: Clock) -> None:
    """Take the burning between `left` and `right` into `relax`, the mean specific rate of the last frames.

    -d ln(1 - burned)/dt, over all frames so far and, past `MEMORY` of them, with weights that fade as
    (1 - 1/MEMORY)^age: from one frame to the next a surrogate's burned fraction jitters as much as it grows.
    Where not all frames are read, MEMORY stands for those that are in that time.
    """
    left, right = (np.minimum(record[side][:, BURNED], DONE) for side in ("left", "right"))
    rate = np.log((1.0 - left) / (1.0 - right)) / clock.step
    memory = max(MEMORY * clock.model_step / clock.step, 1.0)
    record["relax"] += (rate - record["relax"]) / np.clip(record["frame"], 1, memory)


def retire(record: np.ndarray) -> None:
    """From its last frame on, let the burned fraction relax to 1 at the specific rate of `relax`."""
    record["relaxing"] = True
    record["life"] = Life.BEYOND_HORIZON


def past_horizon(record: np.ndarray, clock: Clock) -> np.ndarray:
    """Which active cells (n,) have outrun the model."""
    late = record["tau"] > clock.horizon * clock.step * (1 + 1e-12)
    return (record["life"] == Life.ACTIVE) & (record["frame"] == clock.horizon) & late


def read(record: np.ndarray, clock: Clock) -> np.ndarray:
    """`QUANTITIES` (n, 6) at tau, and BURNED for cells that have reached 0.999.

    Between frames: linear, the hot-spot temperature weighted by hot area (so 0 K of a frame without hot spots
    does not enter). Past the last frame of a retired cell: 1 - (1 - lam) exp(-relax (tau - tau_last)), all
    else held. A burned cell keeps the values of the moment in which it burned out, and burned fraction 1.
    """
    left, right = record["left"], record["right"]
    w = np.where(record["frame"] > 0, np.clip(record["tau"] / clock.step - (record["frame"] - 1), 0, 1), 1.0)
    rise = right[:, BURNED] - left[:, BURNED]
    reach = np.where(rise > 0, (DONE - left[:, BURNED]) / np.where(rise > 0, rise, 1.0), 0.0)
    done = (right[:, BURNED] >= DONE) & (w >= reach)
    w = np.where(done, np.clip(reach, 0.0, 1.0), w)[:, None]
    value = (1 - w) * left + w * right
    value[:, BURNED] = np.clip(value[:, BURNED], left[:, BURNED], right[:, BURNED])
    heat = (1 - w[:, 0]) * left[:, _AREA] * left[:, _HOT] + w[:, 0] * right[:, _AREA] * right[:, _HOT]
    area = value[:, _AREA]
    value[:, _HOT] = np.where(area > 0, heat / np.where(area > 0, area, 1.0), 0.0)
    past = np.maximum(record["tau"] - record["frame"] * clock.step, 0.0)
    relaxed = 1.0 - (1.0 - right[:, BURNED]) * np.exp(-record["relax"] * past)
    value[:, BURNED] = np.where(record["relaxing"], relaxed, value[:, BURNED])
    finish(record, value, done)
    return value


def finish(record: np.ndarray, value: np.ndarray, done: np.ndarray | bool = False) -> None:
    """Mark cells BURNED that are done, or whose burned fraction in `value` (n, 6) passes 0.999, then 1."""
    done = done | (value[:, BURNED] >= DONE)
    value[done, BURNED] = 1.0
    record["life"][done] = Life.BURNED


def needs_slot(record: np.ndarray) -> np.ndarray:
    """Which cells (n,) keep a latent state."""
    return (record["life"] == Life.ACTIVE) & (record["frame"] >= 0)
