"""One macro step of many cells: what a call to `advance` works out, and how it is committed."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..surrogate.rollout import Block, Evolution
from . import clock as life
from .cells import LIFE_STATUS, NO_SLOT, Cells, Life, Pool
from .fallback import Fallback, FallbackRequest
from .physics_shadow import PhysicsShadow
from .policies import REASONS, ClosureError, Status, cells, check_fallback
from .readout import Response, respond

LOAD_SLACK = 1e-9  # relative
SAME_LOAD = 0.02  # relative difference of a load that is not worth starting a cell anew


@dataclass(frozen=True)
class Call:
    """What one call to `advance` found: pressures (n,) of its rows (n,), new records (k,) of the live ones.

    block, place (k,): where the latents of a live cell are that took model steps; -1 for the others.
    """

    rows: np.ndarray
    pressure: np.ndarray
    live: np.ndarray
    record: np.ndarray
    block: np.ndarray
    place: np.ndarray


@dataclass
class OpenStep:
    """A step begun at t (s), of length dt (s), and everything worked out in it so far."""

    t: float
    dt: float
    calls: list[Call] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)

    def last_calls(self, n: int) -> list[tuple[Call, np.ndarray, np.ndarray]]:
        """(call, its rows, its live positions) that count: for each cell of 0..n-1 the last call with it."""
        if len(self.calls) == 1:
            call = self.calls[0]
            return [(call, np.ones(len(call.rows), bool), np.ones(len(call.live), bool))]
        owner = np.full(n, -1)
        for k, call in enumerate(self.calls):
            owner[call.rows] = k
        return [(call, owner[call.rows] == k, owner[call.live] == k) for k, call in enumerate(self.calls)]


@dataclass
class Motion:
    """Cells (k,) on their way through a step: between what their owner does before and after model steps.

    old, record: committed records and new ones. rate: of the cells' clocks. since: clocks (s) at the start.
    starts: cells that start in this step, or start anew. wanted: model frames, for the cells in `go`, which
    need some; block, place: see `Call`.
    """

    rows: np.ndarray
    ids: np.ndarray
    pressure: np.ndarray
    old: np.ndarray
    record: np.ndarray
    rate: np.ndarray
    since: np.ndarray
    starts: np.ndarray
    wanted: np.ndarray
    go: np.ndarray
    block: np.ndarray
    place: np.ndarray


@dataclass(frozen=True)
class Outcome:
    """What one call leaves for the cells (k,) whose last call it was; keep: which hold a latent state."""

    rows: np.ndarray
    record: np.ndarray
    keep: np.ndarray
    block: np.ndarray
    place: np.ndarray


@dataclass
class Stepper:
    """Works out a step for cells that are shocked, from their committed records; changes no committed state.

    `prepare` and `finish` are the work of whoever owns a cell, `evolution.run` and the pool that of whoever
    holds its latents; here both are one process. load_range: trained piston speeds (m/s). delay: pixels
    between the front of frame 0 and the patch's centre times the pixel size (m). physics: a shadow, or None.
    """

    evolution: Evolution
    cells: Cells
    pool: Pool
    load_range: tuple[float, float]
    delay: float
    fallback: Fallback | None
    physics: PhysicsShadow | None = None

    def react(
        self,
        step: OpenStep,
        rows: np.ndarray,
        pressure: np.ndarray,
        velocity: np.ndarray | None,
        response: Response,
        where: np.ndarray,
    ) -> Call:
        """Take cells `rows` (k,) through the step; their results go to positions `where` (k,) of a response.

        The call returned lacks its idle cells. Raises ClosureError by policy.
        """
        motion = self.prepare(step, rows, pressure, velocity)
        go = motion.go
        if len(go):
            part = motion.record[go]
            motion.block[go], motion.place[go] = self.evolution.run(
                rows[go], motion.ids[go], part, motion.wanted[go], self.pool, step.blocks
            )
            motion.record[go] = part
        return self.finish(step, motion, response, where)

    def prepare(
        self, step: OpenStep, rows: np.ndarray, pressure: np.ndarray, velocity: np.ndarray | None
    ) -> Motion:
        """Load cells `rows` (k,), move their clocks, and find out which model frames they need."""
        clock, dt = self.evolution.clock, step.dt
        ids, old = self.cells.ids[rows], self.cells.record[rows]
        record = old.copy()
        seeks = old["seeking"] | (old["life"] == Life.IDLE)
        speed = np.zeros(len(rows))
        speed[seeks] = self.evolution.table.piston_speed(
            self.evolution.settings.load, pressure[seeks], None if velocity is None else velocity[seeks]
        )
        load = life.load(record, pressure, speed, self.cells.pressure[rows], step.t, dt, clock)
        since = old["tau"].copy()
        runs = (old["life"] == Life.ACTIVE) | (old["life"] == Life.BEYOND_HORIZON)
        # a load that is foreseen beyond the range is taken for what it is so far, until it is known
        beyond = load.early & (load.value > self.load_range[1])
        load.value[beyond] = record["load"][beyond]
        self._foresee(record, load)
        final = load.final & ~self._stand_down(record, load.final)
        starts = self._starts(record, load.value, final, load.early)
        rate = np.where(runs | starts, 1.0, 0.0)
        rate[runs] = life.factor(record[runs], pressure[runs], clock)
        record["tau"][runs] += rate[runs] * dt
        if starts.any():
            part = record[starts]
            since[starts] = self._start(part, load.value[starts], ids[starts], step.t + dt)
            record[starts] = part
        served = (record["life"] == Life.ACTIVE) & ((record["flags"] & Status.FALLBACK) == 0)
        wanted = life.frames_wanted(record, clock)
        go = np.flatnonzero(served & (wanted > record["frame"]))
        nowhere = np.full(len(rows), -1)
        return Motion(
            rows, ids, pressure, old, record, rate, since, starts, wanted, go, nowhere, nowhere.copy()
        )

    def finish(self, step: OpenStep, motion: Motion, response: Response, where: np.ndarray) -> Call:
        """Read cells that have their model frames, or let the fallback serve them; see `react`."""
        clock, record, ids = self.evolution.clock, motion.record, motion.ids
        late = life.past_horizon(record, clock)
        if late.any():
            part = record[late]
            life.retire(part)
            record[late] = part
        values = motion.old["value"].copy()
        helped = (record["flags"] & Status.FALLBACK).astype(bool) & (record["life"] == Life.ACTIVE)
        reads = ~helped & ((record["life"] == Life.ACTIVE) | (record["life"] == Life.BEYOND_HORIZON))
        watched = self._watched(reads & (record["life"] == Life.ACTIVE) & ~record["seeking"], ids)
        if reads.any():
            part = record[reads]
            read = life.read(part, clock)
            read[:, life.BURNED] = np.maximum(read[:, life.BURNED], values[reads, life.BURNED])
            values[reads], record[reads] = read, part
        if helped.any():
            part = record[helped]
            values[helped] = self._help(self._request(helped, motion, part, values[helped], step.dt))
            done = values[helped]
            life.finish(part, done)
            values[helped], record[helped] = done, part
        record["value"] = values
        if watched.any():
            before = self.physics.before(ids[watched], values[watched])
            asked = self._request(watched, motion, record[watched], before, step.dt)
            self.physics.see(asked, values[watched])
        self._report(response, where, motion, step.dt)
        return Call(motion.rows, motion.pressure, motion.rows, record, motion.block, motion.place)

    def _foresee(self, record: np.ndarray, load: life.Load) -> None:
        """Take final loads that are foreseen into records (k,); P_s rises as their shock pressures do."""
        higher = load.final & (load.value > record["load"])
        if higher.any():
            pressure = self.evolution.table.shock_pressure
            record["peak"][higher] *= pressure(load.value[higher]) / pressure(record["load"][higher])
            record["load"][higher] = load.value[higher]

    def _stand_down(self, record: np.ndarray, final: np.ndarray) -> np.ndarray:
        """Let cells rest whose load is known and too weak for the model; returns which of them (k,)."""
        weak = final & (record["life"] == Life.LOADING) & (self.evolution.settings.p_ignite is None)
        weak &= record["load"] < self.load_range[0] * (1 - LOAD_SLACK)
        if weak.any():
            part = record[weak]
            life.stand_down(part)
            record[weak] = part
        return weak

    def _starts(
        self, record: np.ndarray, known: np.ndarray, final: np.ndarray, early: np.ndarray
    ) -> np.ndarray:
        """Which cells (k,) start now, or anew under a load that has grown.

        known: loads (m/s). final: those that know theirs; early: those that may begin with what is foreseen,
        if the model was trained for it.
        """
        up = record["up"]
        low, high = self.load_range
        anew = (record["life"] == Life.ACTIVE) & ((record["flags"] & Status.FALLBACK) == 0)
        anew &= np.abs(known - up) > SAME_LOAD * up
        early = early & (known >= low) & (known <= high)
        return ((record["life"] == Life.LOADING) | anew) & (early | final)

    def _start(self, record: np.ndarray, load: np.ndarray, ids: np.ndarray, now: float) -> np.ndarray:
        """Give cells their load (m/s) and start their clocks; returns the clocks (s) at arrival."""
        table, settings = self.evolution.table, self.evolution.settings
        up = load.copy()
        low, high = self.load_range
        weak, strong = up < low * (1 - LOAD_SLACK), up > high * (1 + LOAD_SLACK)
        outside = weak | strong
        if outside.any():
            if settings.on_extrapolation == "error":
                raise ClosureError(
                    f"load of {cells(ids[outside])}, {up[outside][0]:.1f} m/s, lies outside the trained "
                    f"{low:g} to {high:g} m/s; choose policy 'clamp' or 'fallback' to go on",
                    ids[outside],
                )
            record["flags"][outside] |= Status.EXTRAPOLATING
            record["flags"][weak] |= Status.LOAD_LOW
            record["flags"][strong] |= Status.LOAD_HIGH
        record["up"] = np.clip(up, low, high)
        if settings.on_extrapolation == "fallback":
            record["flags"][outside] |= Status.FALLBACK
            record["up"][outside] = up[outside]
        delay = self.delay / table.shock_speed(record["up"])
        life.start(record, delay, now)
        return delay

    def _watched(self, served: np.ndarray, ids: np.ndarray) -> np.ndarray:
        """Which of the served cells (k,) the physics shadow looks at."""
        return served & self.physics.chosen(ids) if self.physics is not None else np.zeros(len(ids), bool)

    def _request(
        self, which: np.ndarray, motion: Motion, record: np.ndarray, before: np.ndarray, dt: float
    ) -> FallbackRequest:
        """What physics is asked for the cells `which` (mask) of a motion, their records and values before.

        dt: of the step (s). A clock that starts in it has run with real time since the shock arrived.
        """
        since, until = motion.since[which], record["tau"].copy()
        return FallbackRequest(
            ids=motion.ids[which],
            patches=lambda: self._patches(motion.rows[which]),
            up=record["load"].copy(),
            shock_pressure=record["peak"].copy(),
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
            text = f"the fallback failed for {cells(request.ids)}: {type(err).__name__}: {err}"
            raise ClosureError(text, request.ids) from err
        return check_fallback(found, request.before, request.ids)

    def _patches(self, rows: np.ndarray) -> np.ndarray:
        """Patches (k, ny, nx) as the model sees them: solid where the shock of frame 0 stands."""
        mu = self.evolution.sources.gather(rows).copy()
        mu[:, :, : self.evolution.table.entry] = 1.0
        return mu

    def _report(
        self,
        response: Response,
        where: np.ndarray,
        motion: Motion,
        dt: float,
    ) -> None:
        clock, record, old, rate = self.evolution.clock, motion.record, motion.old, motion.rate
        response.status[where] = LIFE_STATUS[record["life"]] | record["flags"]
        shocked = record["life"] >= Life.ACTIVE
        respond(response, where[shocked], record["value"][shocked], old["value"][shocked], dt)
        response.uncertainty[where] = np.where(record["life"] == Life.ACTIVE, record["spread"] * rate, 0.0)
        burned = record["right"][:, life.BURNED] - record["left"][:, life.BURNED]
        ahead = record["relax"] * (1.0 - record["value"][:, life.BURNED])
        slope = np.where(record["relaxing"], ahead, burned / clock.step)
        slope = np.where(record["frame"] > 0, slope * rate, 0.0)
        runs = (record["life"] != Life.BURNED) & ~motion.starts  # what a start catches up with no step avoids
        fastest = np.maximum(slope, response.burn_rate[where])[runs].max(initial=0.0)
        limit = self.evolution.settings.max_burn_step
        response.dt_max = float(limit / fastest) if fastest > 0 else float("inf")

    def commit(self, step: OpenStep) -> list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
        """Make what the step found the committed state; returns (rows, records, old records, pressures) of
        the cells whose flags say that a policy was newly needed."""
        outcomes = self.outcomes(step)
        fresh = [o.keep & (o.record["slot"] == NO_SLOT) for o in outcomes]
        self.pool.reserve(sum(int(f.sum()) for f in fresh))  # all that can fail comes before any change
        for outcome, new in zip(outcomes, fresh, strict=True):
            self._store(step, outcome, new)
        return self.write(step, outcomes)

    def outcomes(self, step: OpenStep) -> list[Outcome]:
        """What the step's calls leave behind, call by call; every cell that was live is in one of them."""
        found = []
        for call, _, counts in step.last_calls(len(self.cells)):
            record = call.record[counts]
            keep = life.needs_slot(record)
            found.append(Outcome(call.live[counts], record, keep, call.block[counts], call.place[counts]))
        return found

    def _store(self, step: OpenStep, outcome: Outcome, fresh: np.ndarray) -> None:
        """Move latents to the pool, give `fresh` cells (k,) a slot, and free the slots of cells that end."""
        record, keep = outcome.record, outcome.keep
        record["slot"][fresh] = self.pool.take(int(fresh.sum()))
        gone = ~keep & (record["slot"] != NO_SLOT)
        self.pool.release(record["slot"][gone])
        record["slot"][gone] = NO_SLOT
        for number, source in enumerate(step.blocks):
            moved = keep & (outcome.block == number)
            if moved.any():
                self.pool.write(record["slot"][moved], source.latents, outcome.place[moved])

    def write(
        self, step: OpenStep, outcomes: list[Outcome]
    ) -> list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
        """Commit pressures and records; returns as `commit` does."""
        flagged = []
        for call, counts, _ in step.last_calls(len(self.cells)):
            self.cells.pressure[call.rows[counts]] = call.pressure[counts]
        for outcome in outcomes:
            rows, record = outcome.rows, outcome.record
            old = self.cells.record[rows]
            self.cells.write(rows, record)
            new = (record["flags"] & ~old["flags"] & REASONS) != 0
            if new.any():
                flagged.append((rows[new], record[new], old[new], self.cells.pressure[rows[new]]))
        return flagged
