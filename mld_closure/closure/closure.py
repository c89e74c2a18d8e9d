"""The closure a hydrocode holds: cells, the step protocol around them, and how it is opened.

begin_step(t, dt) -> advance(...) any number of times -> commit() | rollback()
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..device import Device
from ..grids import LATENT_FACTOR, check_frame
from ..models.bundle import Bundle
from ..surrogate.compiled import load_step
from ..surrogate.engine import Engine
from ..surrogate.frame0 import LoadTable
from ..surrogate.readers import make_reader, make_shadow
from ..surrogate.rollout import Evolution
from . import checkpoint
from .cells import NO_SLOT, Cells, Life, Pool
from .clock import AWAKE, Clock
from .fallback import Fallback
from .inputs import Ticket, host_array, id_array, merge, share
from .options import Settings
from .parts import load_parts
from .physics_shadow import make_physics_shadow
from .policies import ClosureError, cells, check_pressure
from .readout import Response, at_rest
from .record import Recorder
from .restart import adopt, snapshot
from .sources import Sources, make_source, measure
from .step import Call, OpenStep, Stepper

log = logging.getLogger("mld_closure")


class Closure:
    """Serves homogenised quantities of reacting cells, step by step; see `open` for how to make one.

    `time` (s): end of the last committed step, None before the first.
    """

    def __init__(
        self,
        bundle: Bundle,
        settings: Settings,
        device: Device,
        table: LoadTable,
        *,
        fallback: Fallback | None = None,
        capture: str | Path | None = None,
        failures: str | Path | None = None,
    ) -> None:
        policies = (settings.on_extrapolation, settings.on_bad_result, settings.on_uncertain)
        if "fallback" in policies and fallback is None:
            raise ValueError("a policy is 'fallback' but no fallback was given; pass fallback=")
        self.bundle, self.settings, self.device, self.table = bundle, settings, device, table
        self.hash = bundle.content_hash()
        self.time: float | None = None
        self.sources, self.cells = Sources(), Cells()
        self._fallback = fallback
        self._recorder = Recorder(capture, failures)
        self._step: OpenStep | None = None
        self._tickets: list[Ticket] = []
        self._stepper: Stepper | None = None
        self._porosity, self._p_ignite = np.empty(0), np.inf
        model = getattr(bundle, settings.scale)
        reader, self._spread = make_reader(bundle, model, settings)
        step = load_step(settings, self.hash, model, device)
        self.settings = settings = settings if step is None else step.fit(settings)
        batches = {"micro_batch": settings.micro_batch, "reproducible": settings.reproducible}
        self.engine = Engine(model, reader, device, step=step, steps=settings.read_every, **batches)
        self._physics = make_physics_shadow(settings, fallback)
        self.shadow = self._physics or make_shadow(bundle, model, settings)
        if settings.patch_shape is not None:
            self._prepare(settings.patch_shape)

    @property
    def ids(self) -> np.ndarray:
        """Ids (n,) of the registered cells, in the order in which `advance` takes them by default."""
        return self.cells.ids.copy()

    @property
    def status(self) -> dict[str, int]:
        """Number of cells in each stage of life."""
        counts = np.bincount(self.cells.life, minlength=len(Life))
        return {stage.name: int(counts[stage]) for stage in Life}

    @property
    def cost(self) -> dict[str, float]:
        """Seconds spent since the closure was opened, by part (`cost.PARTS`)."""
        return dict(self.engine.cost.seconds)

    def register(
        self,
        ids: Any,
        *,
        patches: Any = None,
        specimen: Any = None,
        offsets: Any = None,
        pixel: float | None = None,
    ) -> None:
        """Add cells at rest: ids (n,) with patches (n, ny, nx) of solid fraction, or a specimen and offsets.

        offsets: (n, 2), x and y in m of each patch's corner of least x and y. Patches are borrowed: leave
        them as they are. pixel (m), where given, is checked against the bundle's, as a specimen's own is.
        Raises ClosureError for ids that repeat, patches of another size or pixel, and values outside [0, 1].
        """
        self._no_step("register cells")
        ids = id_array(ids)
        shape = self.settings.patch_shape
        source = make_source(patches, specimen, offsets, pixel, self.bundle.pixel, shape)
        if source.count != len(ids):
            raise ClosureError(f"{len(ids)} ids but {source.count} patches; they must be as many")
        self._check_shape(source.shape)
        porosity = measure(source, ids)
        if self._stepper is None:
            self._prepare(source.shape)
        self.cells.add(ids, porosity, self.table.T0)
        self.sources.add(source)
        self._porosity = np.append(self._porosity, porosity)

    def unregister(self, ids: Any) -> None:
        """Forget cells and free what they hold; ClosureError naming unknown ones."""
        self._no_step("unregister cells")
        rows = self.cells.rows(id_array(ids))
        slots = self.cells.record["slot"][rows]
        self._drop(rows)
        if self._stepper is not None:
            self._stepper.pool.release(slots[slots != NO_SLOT])

    def _drop(self, rows: np.ndarray) -> None:
        kept = self.cells.remove(rows)
        self.sources.keep(kept)
        self._porosity = self._porosity[kept]

    def begin_step(self, t: float, dt: float) -> None:
        """Open the step from t to t + dt (s). Raises ClosureError where one is open, or time goes back."""
        self._no_step("begin another")
        t, dt = float(t), float(dt)
        if not (np.isfinite(t) and np.isfinite(dt) and dt > 0):
            raise ClosureError(f"a step needs finite t and positive dt, got t = {t} s, dt = {dt} s")
        if self.time is not None and t < self.time - 1e-9 * max(dt, abs(self.time)):
            raise ClosureError(f"time goes back: step begins at {t} s, the last one ended at {self.time} s")
        self._step = OpenStep(t, dt)

    def advance(self, ids: Any = None, *, pressure: Any, velocity: Any = None) -> Response:
        """Take cells from the committed state to the end of the open step.

        ids: (n,) cells, all by default, in the order of registration. pressure: (n,) in Pa, at the end of the
        step as far as the host knows it. velocity: (n,) in m/s, along the shock, against the material ahead;
        without it loads go by pressure. May be called any number of times, with all cells or some; the last
        call for a cell is committed, and a cell left out of a step stands still. Raises ClosureError, with
        nothing changed.
        """
        step = self._need_step("advance")
        rows, p, u = self._inputs(ids, pressure, velocity)
        names = self.cells.ids if rows is None else self.cells.ids[rows]
        try:
            return self._advance(step, rows, names, p, u)
        except Exception as err:
            self._recorder.failure(self, step, names, p, u, err)
            raise

    def _advance(
        self, step: OpenStep, rows: np.ndarray | None, ids: np.ndarray, p: np.ndarray, u: np.ndarray | None
    ) -> Response:
        rows, response, work = self._look(rows, ids, p, u)
        if not len(work):
            step.calls.append(self._idle(rows, p))
            return response
        live = self._stepper.react(step, rows[work], p[work], None if u is None else u[work], response, work)
        step.calls.append(Call(rows, p, live.live, live.record, live.block, live.place))
        return response

    def _look(
        self, rows: np.ndarray | None, ids: np.ndarray, p: np.ndarray, u: np.ndarray | None
    ) -> tuple[np.ndarray, Response, np.ndarray]:
        """Check what came in: (rows (n,), a response of cells at rest, places (k,) of those at work)."""
        low, high = (p.min(), p.max()) if len(p) else (0.0, 0.0)
        if not (low >= 0 and high < np.inf):
            check_pressure(p, ids)
        life = self.cells.life if rows is None else self.cells.life[rows]
        porosity = self._porosity.copy() if rows is None else self._porosity[rows]
        response = at_rest(ids, p.copy(), porosity, self.table.T0)
        rows = self.cells.all_rows if rows is None else rows
        if not len(p) or (high < self._p_ignite and not life.any()):
            return rows, response, self.cells.all_rows[:0]
        work = np.flatnonzero((life != Life.IDLE) | (p >= self._p_ignite))
        if u is not None and not np.isfinite(u[work]).all():
            bad = ids[work][~np.isfinite(u[work])]
            raise ClosureError(
                f"velocity of {cells(bad)} is not finite; repair the state of these cells", bad
            )
        return rows, response, work

    def _idle(self, rows: np.ndarray, p: np.ndarray) -> Call:
        """A call in which no cell lives."""
        nothing = self.cells.all_rows[:0]
        return Call(rows, p, nothing, self.cells.record[:0], nothing, nothing)

    def submit(self, ids: Any, *, pressure: Any, velocity: Any = None) -> Ticket:
        """Hand in a call to be made together with others; `wait` makes them, the ticket gives the result."""
        self._need_step("submit")
        rows, p, u = self._inputs(ids, pressure, velocity)
        self._tickets.append(Ticket(self.cells.ids[rows] if rows is not None else self.cells.ids, p, u))
        return self._tickets[-1]

    def wait(self) -> None:
        """Make all calls handed in as one, which must name every cell once at most."""
        self._need_step("wait")
        tickets, self._tickets = self._tickets, []
        if tickets:
            ids, p, u = merge(tickets)
            share(self.advance(ids, pressure=p, velocity=u), tickets)

    def commit(self) -> None:
        """Make what the step's calls found the committed state, and close the step."""
        step = self._need_step("commit")
        if self._tickets:
            raise ClosureError(f"{len(self._tickets)} calls handed in and not made; call wait before commit")
        flagged = self._stepper.commit(step) if self._stepper is not None and step.calls else []
        self._step, self.time = None, step.t + step.dt
        self._recorder.policies(self, step, flagged)
        if self.shadow is not None:
            self.shadow.commit()

    def rollback(self) -> None:
        """Drop everything found since `begin_step`; the committed state stands."""
        self._need_step("roll back")
        self._step, self._tickets = None, []
        if self.shadow is not None:
            self.shadow.rollback()

    def save(self, path: str | Path) -> None:
        """Write a restart folder; what was there stays whole until it is replaced. Patches are not in it."""
        self._no_step("save")
        checkpoint.write(path, *snapshot(self))

    def restore(self, path: str | Path) -> None:
        """Take the state of a restart folder; the same cells must be registered, in any order.

        Raises ClosureError for another bundle, other cells, patches, scale or patch size; FileNotFoundError
        where there is none. The run goes on with the bits of the one that saved, where the cells were
        registered in the same order.
        """
        self._no_step("restore")
        adopt(self, *checkpoint.read(path))

    def migrate(self, ids: Any, new_owner: Any) -> None:
        """Hand cells to other ranks; here there is one, so that nothing moves. ClosureError otherwise."""
        self._no_step("migrate cells")
        rows = self.cells.rows(id_array(ids))
        if (np.broadcast_to(np.asarray(new_owner), rows.shape) != 0).any():
            raise ClosureError("this closure has one rank, 0; cells cannot migrate to another")

    def close(self) -> None:
        """Drop the open step, if there is one, and give the memory back; closing twice is harmless."""
        self._step, self._tickets, self._stepper = None, [], None
        self.sources, self.cells, self._porosity = Sources(), Cells(), np.empty(0)

    def __enter__(self) -> Closure:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @property
    def clock(self) -> Clock:
        """Numbers of the cells' clocks; there once the size of the patches is known."""
        return self._ready().evolution.clock

    @property
    def pool(self) -> Pool:
        """The latent states; there once the size of the patches is known."""
        return self._ready().pool

    def _ready(self) -> Stepper:
        if self._stepper is None:
            raise ClosureError("no cells yet: register some, or open with patch_shape=(ny, nx)")
        return self._stepper

    def _prepare(self, shape: tuple[int, int]) -> None:
        """Everything that waits for the size of the patches."""
        self._check_shape(shape)
        ny, nx = (int(n) for n in shape)
        settings = replace(self.settings, patch_shape=(ny, nx))
        bundle, model, table = self.bundle, self.engine.model, self.table
        step = bundle.meso_step if settings.scale == "meso" else bundle.micro_step
        ratio = 1 if settings.scale == "meso" else bundle.config.meso_micro_ratio
        low = bundle.load_range[0]
        frames = settings.horizon or bundle.horizon * ratio
        if settings.read_every > frames:
            raise ValueError(f"read_every = {settings.read_every} leaves no frame of {frames} to be read")
        clock = Clock(
            p_ignite=settings.p_ignite or AWAKE * float(table.shock_pressure(low)),
            window=settings.capture_window or nx * bundle.pixel / float(table.shock_speed(low)),
            updates=settings.load_updates,
            model_step=step,
            step=step * settings.read_every,
            horizon=frames // settings.read_every,
            exponent=settings.history_exponent,
        )
        evolution = Evolution(
            self.engine, table, self.sources, settings, clock, model.config, self._spread,
            None if self._physics else self.shadow,
        )  # fmt: skip
        latent = (model.config.latent_size, ny // LATENT_FACTOR, nx // LATENT_FACTOR)
        pool = Pool(latent, model.config.evolve_logvar, self.device.torch)
        delay = (0.5 * nx - table.front_column) * bundle.pixel
        if settings.warm_start:
            self.engine.warm_up((len(model.config.fields), ny, nx))
        self._stepper = Stepper(
            evolution, self.cells, pool, bundle.load_range, delay, self._fallback, self._physics
        )
        self.settings, self._p_ignite = settings, clock.p_ignite
        log.info(
            "closure: %s scale, %s readout, patches %d x %d, %s, micro-batch %d%s, %.0f kB a reacting cell",
            settings.scale, settings.readout, ny, nx, self.device, settings.micro_batch,
            " (reproducible)" if settings.reproducible else "", pool.bytes_per_cell / 1e3,
        )  # fmt: skip

    def _check_shape(self, shape: tuple[int, int]) -> None:
        check_frame(*shape)
        if shape[1] < self.table.entry:
            raise ClosureError(
                f"patches are {shape[1]} pixels wide, but the shock of frame 0 alone takes {self.table.entry}"
            )

    def _inputs(
        self, ids: Any, pressure: Any, velocity: Any
    ) -> tuple[np.ndarray | None, np.ndarray, np.ndarray | None]:
        rows = None if ids is None else self.cells.rows(id_array(ids))
        count = len(self.cells) if rows is None else len(rows)
        p = host_array("pressure", pressure, count)
        if velocity is None and self.settings.load not in ("auto", "pressure"):
            raise ClosureError(
                f"load = '{self.settings.load}' needs the velocity of the cells; pass velocity="
            )
        return rows, p, None if velocity is None else host_array("velocity", velocity, count)

    def _need_step(self, what: str) -> OpenStep:
        if self._step is None:
            raise ClosureError(f"no step is open: call begin_step before you {what}")
        return self._step

    def _no_step(self, what: str) -> None:
        if self._step is not None:
            raise ClosureError(
                f"the step from {self._step.t} s is open: commit or roll back before you {what}"
            )


def open(
    bundle: str | Path | Bundle,
    comm: Any = None,
    device: str = "auto",
    precision: str = "fp32",
    readout: str = "head",
    *,
    threads: int | None = None,
    load_table: LoadTable | Mapping[str, Any] | None = None,
    fallback: Fallback | None = None,
    capture: str | Path | None = None,
    failures: str | Path | None = None,
    **settings: Any,
) -> Closure:
    """A closure ready for cells, from a bundle given by name, path, or itself.

    comm: None or a communicator of one process. device: auto | cpu | cuda[:i]; precision: fp32 | bf16 |
    bf16-decode; readout: head | decode; threads of torch, None for all cores. load_table: in place of the
    bundle's own (`LoadTable`, or the arrays it is made from). fallback: physics for cells that the policies
    hand to it. capture: file for cells that needed a policy; failures: folder for calls that failed.
    settings: any field of `Settings`. Raises ValueError naming what cannot be used.
    """
    size = 1 if comm is None else getattr(comm, "size", None) or comm.Get_size()
    if size != 1:
        raise ValueError(f"this closure serves one process, the communicator has {size}")
    parts = load_parts(bundle, device, precision, {"readout": readout, **settings}, threads, load_table)
    return Closure(*parts, fallback=fallback, capture=capture, failures=failures)


def replay(path: str | Path, bundle: str | Path | Bundle, **options: Any) -> Response:
    """Make a recorded failing call again, without the hydrocode: raises its error, or returns its response.

    path: one folder under `failures`. options: what `open` takes beside the recorded settings.
    """
    arrays, facts = checkpoint.read(path)
    if "call_pressure" not in arrays:
        raise ClosureError(f"{path} is a restart, not a recorded call")
    with open(bundle, **{**facts["settings"], **options}) as closure:
        closure.register(arrays["ids"], patches=arrays["patches"])
        adopt(closure, arrays, facts, same_patches=False)
        closure.begin_step(facts["t"], facts["dt"])
        return closure.advance(pressure=arrays["call_pressure"], velocity=arrays.get("call_velocity"))
