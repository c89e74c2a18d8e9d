"""The arrival of a shock at a cell, and the load that it brings.

A hydrocode spreads a shock over a few cells, so that in one of them it rises for longer than the real shock
takes to cross that cell. A cell whose pressure reaches p_arrival is dated and seeks its load: the running
maximum of what its macro state stands for, until that grows by less than 1 % a model step, or until a
window of time is over. A load that still rises then is extrapolated to the plateau of the smeared shock. At
equal parts of the window a cell may start with its load so far, and start again once the load has grown.

Why ages: a load is sought over nanoseconds, which the time of a run of seconds cannot resolve.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..surrogate.frame0 import LoadTable
from .cells import CellState, Stage
from .policies import Status

RISING = 0.01  # relative growth per model step below which the load has stopped rising
AWAKE = (
    0.2  # of the weakest trained shock pressure marks an arrival: about when a shock is at the cell's centre
)
SAMPLES = 4  # of a rising load, in a window
FARTHEST = 4.0 / 3.0  # of the last sample: what a steady ramp from rest gives, whose growth does not slow
LOAD_SLACK = 1e-9  # relative
SAME_LOAD = 0.02  # relative difference of a load that is not worth a new start


@dataclass(frozen=True)
class LoadCapture:
    """Finds the arrival times and the loads of cells.

    Parameters
    ----------
    table
        Shocks by piston speed.
    kind
        State of the macro cell that the load is matched to (`LoadTable.piston_speed`).
    p_arrival
        Pressure that marks the arrival (Pa).
    window
        Longest time over which a load is sought (s).
    updates
        Equal parts of the window after each of which a cell may start.
    model_step
        Time between model frames (s).
    load_range
        Piston speeds (m/s) that the model was trained on.
    reset_weak
        Whether a cell whose load stays below that range is idle again.
    """

    table: LoadTable
    kind: str
    p_arrival: float
    window: float
    updates: int
    model_step: float
    load_range: tuple[float, float]
    reset_weak: bool

    def update_loads(
        self,
        state: CellState,
        pressure: np.ndarray,
        velocity: np.ndarray | None,
        entropy: np.ndarray | None,
        t: float,
        dt: float,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Take pressures (Pa), velocities (m/s) and entropies (J/kg) (k,) at t + dt (s) into the states (k,).

        `state.pressure` holds the pressures at t. Returns which cells start now, or start again, (k,), and
        the loads (m/s) they start with, (k,)."""
        state.age[state.stage != Stage.IDLE] += dt
        seeks = state.seeking | (state.stage == Stage.IDLE)
        speed = np.zeros(len(state))
        speed[seeks] = self._loads(state, pressure, velocity, entropy, seeks)
        wakes = self._see_arrivals(state, pressure, t, dt)
        settled = state.seeking & (speed - state.load < RISING * min(1.0, dt / self.model_step) * state.load)
        seeks = state.seeking | wakes
        for maximum, values in ((state.peak, pressure), (state.load, speed)):
            rising = seeks & (values > maximum)
            maximum[rising] = values[rising]
        state.sample_age[wakes] = state.age[wakes, None]
        state.sample_load[wakes] = state.load[wakes, None]
        over = seeks & ~settled & (state.age >= self.window)
        early = seeks & ~settled & ~over & self._part_ends(state, dt)
        load = state.load.copy()
        load[over | early] = extrapolate_plateau(
            np.column_stack([state.sample_age, state.age])[over | early],
            np.column_stack([state.sample_load, state.load])[over | early],
        )
        state.seeking[:] = seeks & ~settled & ~over
        self._sample(state)
        # a load that is extrapolated beyond the range is taken for what it is so far, until it is known
        beyond = early & (load > self.load_range[1])
        load[beyond] = state.load[beyond]
        final = settled | over
        self._raise_to(state, load, final)
        weak = self._too_weak(state, final)
        reset_to_idle(state, weak)
        return self._starting(state, load, final & ~weak, early), load

    def _loads(
        self,
        state: CellState,
        pressure: np.ndarray,
        velocity: np.ndarray | None,
        entropy: np.ndarray | None,
        which: np.ndarray,
    ) -> np.ndarray:
        """Loads (m/s) that the macro states of cells (mask) stand for."""
        if self.kind == "entropy" or (self.kind == "auto" and entropy is not None):
            return self.table.load_of_entropy(entropy[which], state.porosity[which])
        speed = None if velocity is None else velocity[which]
        return self.table.piston_speed(self.kind, pressure[which], speed)

    def _see_arrivals(self, state: CellState, pressure: np.ndarray, t: float, dt: float) -> np.ndarray:
        """Date the arrival in idle cells whose pressure reaches p_arrival; returns which they are (k,).

        The time is interpolated between the pressures at t and t + dt. Cells that were reset to idle wake
        when the pressure exceeds what they have borne without reacting."""
        level = np.maximum(self.p_arrival, (1.0 + RISING) * state.peak)
        wakes = (state.stage == Stage.IDLE) & (pressure >= level)
        rise = np.where(wakes, pressure - state.pressure, 1.0)
        part = np.where(rise > 0, (level - state.pressure) / np.where(rise > 0, rise, 1.0), 1.0)
        part = np.clip(part, 0.0, 1.0)
        state.arrival[wakes] = (t + part * dt)[wakes]
        state.age[wakes] = ((1.0 - part) * dt)[wakes]
        state.stage[wakes] = Stage.LOADING
        return wakes

    def _part_ends(self, state: CellState, dt: float) -> np.ndarray:
        """Whether (k,) a part of a cell's window ends in this step."""
        parts = (state.age - np.array([[dt], [0.0]])) * self.updates / self.window
        return np.floor(parts[1]) > np.maximum(np.floor(parts[0]), 0.0)

    def _sample(self, state: CellState) -> None:
        """Keep the present load of cells that seek theirs, where the sample before is old enough."""
        due = state.seeking & (state.age - state.sample_age[:, 1] >= self.window / SAMPLES)
        for samples, values in ((state.sample_age, state.age), (state.sample_load, state.load)):
            samples[due, 0] = samples[due, 1]
            samples[due, 1] = values[due]

    def _raise_to(self, state: CellState, load: np.ndarray, final: np.ndarray) -> None:
        """Take final loads (m/s) that were extrapolated; P_s rises as their shock pressures do."""
        higher = final & (load > state.load)
        if higher.any():
            pressure = self.table.shock_pressure
            state.peak[higher] *= pressure(load[higher]) / pressure(state.load[higher])
            state.load[higher] = load[higher]

    def _too_weak(self, state: CellState, final: np.ndarray) -> np.ndarray:
        """Cells (k,) that know their load, which is too weak for the model."""
        if not self.reset_weak:
            return np.zeros(len(state), bool)
        weak = state.load < self.load_range[0] * (1 - LOAD_SLACK)
        return weak & final & (state.stage == Stage.LOADING)

    def _starting(
        self, state: CellState, load: np.ndarray, final: np.ndarray, early: np.ndarray
    ) -> np.ndarray:
        """Cells (k,) that start, or start again under a load that has grown.

        final: those that know their load; early: those that may start with the load so far, if the model was
        trained for it.
        """
        low, high = self.load_range
        again = (state.stage == Stage.ACTIVE) & ((state.flags & Status.FALLBACK) == 0)
        again &= np.abs(load - state.up) > SAME_LOAD * state.up
        early = early & (load >= low) & (load <= high)
        return ((state.stage == Stage.LOADING) | again) & (early | final)


def reset_to_idle(state: CellState, which: np.ndarray) -> None:
    """Make cells (mask) idle again; they remember the pressure that they have borne."""
    state.stage[which] = Stage.IDLE
    state.seeking[which] = False
    state.load[which] = 0.0


def extrapolate_plateau(times: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Plateau (n,) of smeared shocks, from three samples each: times (n, 3), rising, and values (n, 3).

    Captured shocks rise about as the travelling wave of Burgers' equation does, a logistic curve: from
    rest, one over the value relaxes exponentially to one over the plateau. Exact for equal intervals,
    within a few per cent for others. The last value where there are fewer samples (times equal), where the
    curve has not passed its middle (its growth does not slow), or where it falls; at most `FARTHEST` times
    the last value."""
    last = values[:, 2]
    step, rise = np.diff(times, axis=1), np.diff(values, axis=1)
    usable = (values > 0).all(axis=1) & (step > 0).all(axis=1) & (rise > 0).all(axis=1)
    usable &= rise[:, 1] * step[:, 0] < rise[:, 0] * step[:, 1]
    out = last.copy()
    y, step = 1.0 / values[usable], step[usable]
    rate = np.diff(y, axis=1) / step  # negative, and fading
    middle = 0.5 * (y[:, 1:] + y[:, :-1])
    end = middle[:, 1] - rate[:, 1] * (middle[:, 1] - middle[:, 0]) / (rate[:, 1] - rate[:, 0])
    out[usable] = 1.0 / np.clip(end, y[:, 2] / FARTHEST, y[:, 2])
    return out
