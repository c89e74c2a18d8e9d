"""The clock of a cell: how it runs, which model frames it needs, and what is read at a time.

Functions on the states (k,) of cells, in place. Frames that are read lie at n * step on the cell's clock
tau, and readings are linear in tau between the two frames around it, so what is returned depends on tau
alone: how macro steps are cut changes nothing. Splitting enters only through arrival, which sees pressures
at the ends of macro steps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..fields import QUANTITIES
from ..surrogate.messages import FINISHED
from .cells import CellState, Stage
from .policies import BURNED

FACTOR_LIMIT = 2.0  # of p / P_s
SLOWEST, FASTEST = 0.25, 4.0  # of p / p_frame
MEMORY = 8  # model steps that the burn rate past the horizon is a mean of
_AREA = list(QUANTITIES).index("hotspot_area_fraction")
_HOT = list(QUANTITIES).index("hotspot_temperature")
_PRESSURE = list(QUANTITIES).index("mean_pressure")


@dataclass(frozen=True)
class Clock:
    """Numbers of the clocks.

    model_step: time between model frames (s); step: between frames that are read (s); horizon: number of such
    frames; exponent: m in d tau / dt. by_frame: whether pressures are compared with that of the cell's own
    training frame at tau, and not with the shock pressure.
    """

    model_step: float
    step: float
    horizon: int
    exponent: float
    by_frame: bool = False

    def factor(self, pressure: np.ndarray, state: CellState, which: np.ndarray) -> np.ndarray:
        """d tau / dt (k,) of cells (mask) at pressures (k,) in Pa: clip(p / P_s, 0, 2)^m of shock pressures,
        or clip(p / p_frame, 1/4, 4)^m of the pressures that the cells' frames had at tau."""
        shock = state.peak[which]
        if not self.by_frame:
            return np.clip(pressure / shock, 0.0, FACTOR_LIMIT) ** self.exponent
        frame = state.value[which, _PRESSURE]
        known = (state.frame[which] >= 0) & (frame > 0)
        ratio = pressure / np.where(known, frame, shock)
        return np.clip(ratio, SLOWEST, FASTEST) ** self.exponent

    def frames_wanted(self, state: CellState) -> np.ndarray:
        """Last frame (k,) needed to read at tau: that at or after it, within the horizon."""
        frames = np.ceil(state.tau / self.step - 1e-9)
        return np.clip(frames, 0, self.horizon).astype(np.int64)

    def past_horizon(self, state: CellState) -> np.ndarray:
        """Which active cells (k,) have outrun the model."""
        late = state.tau > self.horizon * self.step * (1 + 1e-12)
        return (state.stage == Stage.ACTIVE) & (state.frame >= self.horizon) & late

    def remember_rate(self, state: CellState, which: np.ndarray) -> None:
        """Take the burning between `left` and `right` of cells (indices) into `relax`, their mean specific
        rate.

        -d ln(1 - burned)/dt, over all frames so far and, past `MEMORY` of them, with weights that fade as
        (1 - 1/MEMORY)^age: from one frame to the next a surrogate's burned fraction jitters as much as it
        grows. Where not all frames are read, MEMORY stands for those that are in that time."""
        left, right = (np.minimum(side[which, BURNED], FINISHED) for side in (state.left, state.right))
        rate = np.log((1.0 - left) / (1.0 - right)) / self.step
        memory = max(MEMORY * self.model_step / self.step, 1.0)
        relax = state.relax[which]
        state.relax[which] = relax + (rate - relax) / np.clip(state.frame[which], 1, memory)

    def read(self, state: CellState, which: np.ndarray) -> np.ndarray:
        """`QUANTITIES` (k, 6) at tau of cells (mask), and stage BURNED for those that have reached 0.999.

        Between frames: linear, the hot-spot temperature weighted by hot area (so 0 K of a frame without hot
        spots does not enter). Past the last frame of a retired cell: 1 - (1 - lam) exp(-relax (tau -
        tau_last)), all else held. A burned cell keeps the values of the moment in which it burned out, and
        burned fraction 1."""
        left, right, frame, tau = (getattr(state, n)[which] for n in ("left", "right", "frame", "tau"))
        w = np.where(frame > 0, np.clip(tau / self.step - (frame - 1), 0, 1), 1.0)
        rise = right[:, BURNED] - left[:, BURNED]
        reach = np.where(rise > 0, (FINISHED - left[:, BURNED]) / np.where(rise > 0, rise, 1.0), 0.0)
        done = (right[:, BURNED] >= FINISHED) & (w >= reach)
        w = np.where(done, np.clip(reach, 0.0, 1.0), w)[:, None]
        value = (1 - w) * left + w * right
        value[:, BURNED] = np.clip(value[:, BURNED], left[:, BURNED], right[:, BURNED])
        heat = (1 - w[:, 0]) * left[:, _AREA] * left[:, _HOT] + w[:, 0] * right[:, _AREA] * right[:, _HOT]
        area = value[:, _AREA]
        value[:, _HOT] = np.where(area > 0, heat / np.where(area > 0, area, 1.0), 0.0)
        past = np.maximum(tau - frame * self.step, 0.0)
        relaxed = 1.0 - (1.0 - right[:, BURNED]) * np.exp(-state.relax[which] * past)
        value[:, BURNED] = np.where(state.relaxing[which], relaxed, value[:, BURNED])
        finish(state, which, value, done)
        return value


def start(state: CellState, which: np.ndarray, delay: np.ndarray) -> None:
    """Start the clocks of cells (mask), or start them again: frame 0 lies `delay` (s, one per cell) before
    the arrival, and nothing has been computed from it."""
    state.stage[which] = Stage.ACTIVE
    state.tau[which] = delay + state.age[which]
    state.frame[which] = -1
    state.relax[which] = 0.0


def retire(state: CellState, which: np.ndarray) -> None:
    """From its last frame on, let a cell's burned fraction relax to 1 at the specific rate of `relax`."""
    state.relaxing[which] = True
    state.stage[which] = Stage.BEYOND_HORIZON


def finish(state: CellState, which: np.ndarray, value: np.ndarray, done: np.ndarray | bool = False) -> None:
    """Mark cells (mask) BURNED that are done, or whose burned fraction in `value` (k, 6) passes 0.999, then
    1."""
    done = done | (value[:, BURNED] >= FINISHED)
    value[done, BURNED] = 1.0
    state.stage[np.flatnonzero(which)[done]] = Stage.BURNED


def needs_latent(state: CellState) -> np.ndarray:
    """Which cells (k,) keep a latent state."""
    return (state.stage == Stage.ACTIVE) & (state.frame >= 0)
