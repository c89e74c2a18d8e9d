"""One macro step of the cells that are shocked: from their committed states to new ones and a response.

`prepare` and `finish` change nothing that is committed: between them the cells that need model frames get
them from the server. What a call finds is kept in the open step; the last call for a cell counts when it is
committed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..errors import ClosureError, name_cells
from ..surrogate.messages import FINISHED, Answers
from . import clock as clocks
from .arrival import LOAD_SLACK, LoadCapture
from .cells import STAGE_STATUS, Cells, CellState, Stage
from .clock import Clock
from .fallback import Fallback, FallbackRequest
from .frames import Frames
from .moves import Outcome
from .observe.shadow import FallbackShadow
from .open_step import Call, OpenStep
from .options import PolicyOptions
from .policies import BURNED, REASONS, Status, check_fallback
from .response import Response, respond
from .strangers import Strangers


@dataclass
class Motion:
    """Shocked cells (k,) on their way through a step.

    mass (kg): of each cell. old, state: committed states and new ones. rate: of the cells' clocks. since:
    clocks (s) at the start. starts: cells that start in this step, or start again. go: indices of the cells
    that need model frames, up to `wanted` (of all k). block, place (k,): see `Call`."""

    rows: np.ndarray
    ids: np.ndarray
    pressure: np.ndarray
    mass: np.ndarray | float
    old: CellState
    state: CellState
    rate: np.ndarray
    since: np.ndarray
    starts: np.ndarray
    wanted: np.ndarray
    go: np.ndarray
    block: np.ndarray
    place: np.ndarray


@dataclass(frozen=True)
class Flagged:
    """Cells (k,) that newly needed a policy in a step: rows, new states and old ones."""

    rows: np.ndarray
    state: CellState
    old: CellState


@dataclass
class Stepper:
    """Works out a step for shocked cells.

    Parameters
    ----------
    cells
        The cells and their committed states.
    patches
        patches(rows): solid fractions (k, ny, nx) of cells.
    capture, clock, frames
        Arrival and load; clocks; acceptance of model frames.
    policy
        What is done outside the model's range.
    delay
        Distance (m) between the front of frame 0 and the centre of a patch.
    strangers
        Tells patches that are unlike those trained on.
    fallback
        Physics for cells that the policies hand to it, or None.
    shadow
        Physics that computes some of the cells too, or None.
    """

    cells: Cells
    patches: Callable[[np.ndarray], np.ndarray]
    capture: LoadCapture
    clock: Clock
    frames: Frames
    policy: PolicyOptions
    delay: float
    strangers: Strangers
    fallback: Fallback | None
    shadow: FallbackShadow | None = None

    def prepare(
        self,
        step: OpenStep,
        rows: np.ndarray,
        pressure: np.ndarray,
        velocity: np.ndarray | None,
        entropy: np.ndarray | None = None,
        mass: np.ndarray | float = 1.0,
    ) -> Motion:
        """See arrivals and loads of cells `rows` (k,), move their clocks, and find the model frames they
        need."""
        ids, old = self.cells.ids[rows], self.cells.state.take(rows)
        state = self.cells.state.take(rows)
        if entropy is not None:
            self._measure(state, rows, pressure)
        given = pressure, velocity, entropy
        starts, load = self.capture.update_loads(state, *given, step.t, step.dt)
        since = old.tau.copy()
        runs = (old.stage == Stage.ACTIVE) | (old.stage == Stage.BEYOND_HORIZON)
        rate = np.where(runs | starts, 1.0, 0.0)
        rate[runs] = self.clock.factor(pressure[runs], state, runs)
        state.tau[runs] += rate[runs] * step.dt
        if starts.any():
            since[starts] = self._start(state, starts, load[starts], ids[starts], rows[starts])
        served = (state.stage == Stage.ACTIVE) & ((state.flags & Status.FALLBACK) == 0)
        wanted = self.clock.frames_wanted(state)
        burnt = (state.frame >= 0) & (state.right[:, BURNED] >= FINISHED)
        go = np.flatnonzero(served & (wanted > state.frame) & ~burnt)
        nowhere = np.full(len(rows), -1)
        return Motion(
            rows, ids, pressure, mass, old, state, rate, since, starts, wanted, go, nowhere, nowhere.copy()
        )

    def take(self, motion: Motion, got: Answers) -> None:
        """Take the server's answers to the cells `go` of a motion."""
        go = motion.go
        motion.block[go], motion.place[go] = got.block, got.place
        counts = motion.wanted[go] - motion.state.frame[go]
        self.frames.take(motion.state, motion.ids, go, counts, got)

    def finish(self, step: OpenStep, motion: Motion, response: Response, where: np.ndarray) -> Call:
        """Read the cells at their clocks, or let the fallback serve them; write to positions `where` (k,)
        of a response. Raises ClosureError by policy."""
        state, ids = motion.state, motion.ids
        clocks.retire(state, self.clock.past_horizon(state))
        values = motion.old.value.copy()
        active = state.stage == Stage.ACTIVE
        helped = (state.flags & Status.FALLBACK).astype(bool) & active
        reads = ~helped & (active | (state.stage == Stage.BEYOND_HORIZON))
        watched = reads & active & ~state.seeking
        watched &= self.shadow.chosen(ids) if self.shadow is not None else False
        if reads.any():
            read = self.clock.read(state, reads)
            read[:, BURNED] = np.maximum(read[:, BURNED], values[reads, BURNED])
            values[reads] = read
        if helped.any():
            done = self._help(self._request(helped, motion, step.dt, values[helped]))
            clocks.finish(state, helped, done)
            values[helped] = done
        state.burned_mass += motion.mass * (values[:, BURNED] - motion.old.value[:, BURNED])
        state.value[:] = values
        if watched.any():
            before = self.shadow.before(ids[watched], values[watched])
            self.shadow.see(self._request(watched, motion, step.dt, before), values[watched])
        self._report(response, where, motion, step.dt)
        return Call(motion.rows, motion.pressure, motion.rows, state, motion.block, motion.place)

    def outcomes(self, step: OpenStep) -> list[Outcome]:
        """What the step's calls leave behind, call by call; every shocked cell is in one of them."""
        if step.quiet:
            return []
        found = []
        for call, _, counts in step.last_calls():
            state = call.state.take(counts)
            keep = clocks.needs_latent(state)
            found.append(Outcome(call.live[counts], state, keep, call.block[counts], call.place[counts]))
        return found

    def write(self, step: OpenStep, outcomes: list[Outcome]) -> list[Flagged]:
        """Commit pressures and states; returns the cells whose flags say that a policy was newly needed."""
        flagged = []
        committed = self.cells.state
        for response in step.shown:
            if (there := response()) is not None:
                there.keep()
        for outcome in outcomes:
            rows = outcome.rows
            new = (outcome.state.flags & ~committed.flags[rows] & REASONS) != 0
            if new.any():
                flagged.append(Flagged(rows[new], outcome.state.take(new), committed.take(rows[new])))
            committed.put(rows, outcome.state)
        for call, counts, _ in step.last_calls():
            if call.rows is self.cells.all_rows and (isinstance(counts, slice) or counts.all()):
                committed.pressure = call.pressure  # the call's own copy
            else:
                committed.pressure[call.rows[counts]] = call.pressure[counts]
        return flagged

    def _measure(self, state: CellState, rows: np.ndarray, pressure: np.ndarray) -> None:
        """Porosities of shocked cells that are not known yet, as a load by entropy needs them."""
        new = np.flatnonzero(np.isnan(state.porosity) & (pressure >= self.capture.p_arrival))
        if len(new):
            state.porosity[new] = 1.0 - self.patches(rows[new]).mean(axis=(1, 2), dtype=np.float64)

    def _start(
        self, state: CellState, starts: np.ndarray, load: np.ndarray, ids: np.ndarray, rows: np.ndarray
    ) -> np.ndarray:
        """Give cells `starts` (mask) their load (m/s) and start their clocks; returns the clocks at
        arrival."""
        low, high = self.capture.load_range
        which, rule = np.flatnonzero(starts), self.policy.on_extrapolation
        weak, strong = load < low * (1 - LOAD_SLACK), load > high * (1 + LOAD_SLACK)
        outside = weak | strong
        if outside.any() and rule == "error":
            raise ClosureError(
                f"load of {name_cells(ids[outside])}, {load[outside][0]:.1f} m/s, lies outside the "
                f"trained {low:g} to {high:g} m/s; choose policy 'clamp' or 'fallback' to go on",
                ids[outside],
            )
        state.flags[which[weak]] |= Status.EXTRAPOLATING | Status.LOAD_LOW
        state.flags[which[strong]] |= Status.EXTRAPOLATING | Status.LOAD_HIGH
        strange = self.strangers.flag(state, which, rows, ids, refuse=rule == "error")
        if rule == "fallback":
            state.flags[which[outside | strange]] |= Status.FALLBACK
        served = np.clip(load, low, high)
        if rule == "fallback":
            served[outside] = load[outside]
        state.up[starts] = served
        delay = self.delay / self.capture.table.shock_speed(served)
        clocks.start(state, starts, delay)
        return delay

    def _request(self, which: np.ndarray, motion: Motion, dt: float, before: np.ndarray) -> FallbackRequest:
        """What physics is asked for the cells `which` (mask) of a motion, their values before given.

        dt: of the step (s). A clock that starts in it has run with real time since the shock arrived.
        """
        state = motion.state
        since, until = motion.since[which], state.tau[which]
        return FallbackRequest(
            ids=motion.ids[which],
            patches=lambda: self._solid_at_entry(motion.rows[which]),
            up=state.load[which],
            shock_pressure=state.peak[which],
            pressure=motion.pressure[which],
            since=since,
            until=until,
            before=before,
            dt=np.where(motion.starts[which], until - since, dt),
        )

    def _help(self, request: FallbackRequest) -> np.ndarray:
        try:
            found = self.fallback(request)
        except ClosureError:
            raise
        except Exception as err:
            text = f"the fallback failed for {name_cells(request.ids)}: {type(err).__name__}: {err}"
            raise ClosureError(text, request.ids) from err
        return check_fallback(found, request.before, request.ids)

    def _solid_at_entry(self, rows: np.ndarray) -> np.ndarray:
        """Patches (k, ny, nx) as the model sees them: solid where the shock of frame 0 stands."""
        mu = self.patches(rows).copy()
        mu[:, :, : self.capture.table.entry] = 1.0
        return mu

    def _report(self, response: Response, where: np.ndarray, motion: Motion, dt: float) -> None:
        state, old, rate = motion.state, motion.old, motion.rate
        found = response.set_apart(where)
        found["status"] = STAGE_STATUS[state.stage] | state.flags
        shocked = state.stage >= Stage.ACTIVE
        respond(found, shocked, state.value[shocked], old.value[shocked], dt)
        found["uncertainty"] = np.where(state.stage == Stage.ACTIVE, state.spread * rate, 0.0)
        burned = state.right[:, BURNED] - state.left[:, BURNED]
        ahead = state.relax * (1.0 - state.value[:, BURNED])
        slope = np.where(state.relaxing, ahead, burned / self.clock.step)
        slope = np.where(state.frame > 0, slope * rate, 0.0)
        runs = (state.stage != Stage.BURNED) & ~motion.starts  # what a start catches up with no step avoids
        fastest = np.maximum(slope, found["burn_rate"])[runs].max(initial=0.0)
        limit = self.policy.max_burn_step
        response.dt_max = float(limit / fastest) if fastest > 0 else float("inf")
