"""One call to `advance`: what a host brings, the cells that are shocked, their frames, and what comes
back."""

from __future__ import annotations

import dataclasses
import weakref
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ClosureError
from ..surrogate.facts import ModelFacts
from .cells import NO_CELLS, Cells, Stage
from .inputs import host_array, id_array
from .open_step import Call, OpenStep, no_calls
from .plausible import Plausibility
from .policies import check_entropy, check_velocity, highest_pressure, positive_masses
from .ranks import Ranks
from .response import Response
from .sources import Sources
from .step import Motion, Stepper

_NO_ROWS = np.empty(0, np.int64)


@dataclass(frozen=True)
class Inputs:
    """What a call brings: rows (None: all cells, in order), ids, pressures (Pa); velocities (m/s), masses
    (kg) and entropies (J/kg), or None."""

    rows: np.ndarray | None
    ids: np.ndarray
    pressure: np.ndarray
    velocity: np.ndarray | None
    mass: np.ndarray | None = None
    entropy: np.ndarray | None = None


@dataclass(frozen=True)
class Looked:
    """A call after a look at its cells (n,): rows; a response, at rest; places (k,) of the shocked cells, and
    these on their way through the step, None where there are none."""

    rows: np.ndarray
    response: Response
    work: np.ndarray
    motion: Motion | None


@dataclass(frozen=True)
class Advancing:
    """Takes cells of one rank, together with those of the others, to the end of the open step.

    Parameters
    ----------
    cells, sources
        The cells and their patches.
    facts
        Of the model.
    watch
        Warns of pressures that look like another unit.
    load_kind
        State of the macro cell that loads are matched to.
    ranks
        What carries requests to the servers.
    """

    cells: Cells
    sources: Sources
    facts: ModelFacts
    watch: Plausibility
    load_kind: str
    ranks: Ranks

    def inputs(self, ids: Any, pressure: Any, velocity: Any, mass: Any = None, entropy: Any = None) -> Inputs:
        """What the host brings, as arrays; ClosureError for unknown cells and wrong lengths."""
        rows = None if ids is None else self.cells.rows(id_array(ids))
        rows = None if rows is self.cells.all_rows else rows
        names = self.cells.ids if rows is None else self.cells.ids[rows]
        p = host_array("pressure", pressure, len(names))
        m = None if mass is None else positive_masses(host_array("mass", mass, len(names)), names)
        for name, given, kind in (("velocity", velocity, "incoming wave"), ("entropy", entropy, "entropy")):
            if given is None and self.load_kind == kind and len(names):
                raise ClosureError(f"load = '{kind}' needs the {name} of the cells; pass {name}=")
        if entropy is not None and not self.facts.table.knows_entropy:
            raise ClosureError(
                "this bundle cannot tell a load by the entropy; leave entropy out, or use another bundle"
            )
        u, entropies = (
            None if given is None else host_array(name, given, len(names))
            for name, given in (("velocity", velocity), ("entropy", entropy))
        )
        if entropies is not None:
            check_entropy(entropies, names)
        return Inputs(rows, names, p, u, m, entropies)

    def together(
        self, call: Any, step: OpenStep | None, stepper: Stepper | None, given: Inputs | None
    ) -> Response:
        """The response to a call: look at the cells, let servers bring them to their frames, read them, and
        agree on dt_max. given: None where this rank has failed already. Collective."""
        looked = call(self._look, step, stepper, given)
        motion = None if looked is None else looked.motion
        if motion is None:
            asked = _NO_ROWS, _NO_ROWS, _NO_ROWS, NO_CELLS, self.sources, _NO_ROWS
        else:
            go = motion.go
            asked = (
                motion.ids[go], motion.rows[go], motion.wanted[go], motion.state.take(go), self.sources,
                step.server,
            )  # fmt: skip
        answers = self.ranks.ask(call, *asked, 0.0 if step is None else step.t + step.dt)
        if answers is not None and motion is not None and len(motion.go):
            call(stepper.take, motion, answers)
        found = call(self._finish, step, stepper, given, looked)
        dt_max = np.inf if looked is None else looked.response.dt_max
        looked.response.dt_max = min(self.ranks.settle(call, dt_max)[:, 0].tolist())
        step.calls.append(found)
        step.shown.append(weakref.ref(looked.response))
        return looked.response

    def _look(self, step: OpenStep, stepper: Stepper | None, given: Inputs) -> Looked:
        """Check what came in, and take shocked cells to where they need model frames."""
        p, u = given.pressure, given.velocity
        high = highest_pressure(p, given.ids)
        self.watch.pressure(high)
        state = self.cells.state
        stage, porosity = state.stage, state.porosity
        if given.rows is not None:
            stage, porosity = stage[given.rows], porosity[given.rows]
        rest = {"mean_pressure": p, "porosity": porosity, "mean_temperature": self.facts.table.T0}
        response = Response(given.ids, rest, step.dt, self.facts.heat)
        rows = self.cells.all_rows if given.rows is None else given.rows
        p_arrival = np.inf if stepper is None else stepper.capture.p_arrival
        if not len(p) or (high < p_arrival and not stage.any()):
            return Looked(rows, response, _NO_ROWS, None)
        work = np.flatnonzero((stage != Stage.IDLE) | (p >= p_arrival))
        if u is not None:
            check_velocity(u[work], given.ids[work])
        if not len(work):
            return Looked(rows, response, work, None)
        mass = 1.0 if given.mass is None else given.mass[work]
        told = (None if given is None else given[work] for given in (u, given.entropy))
        motion = stepper.prepare(step, rows[work], p[work], *told, mass)
        return Looked(rows, response, work, motion)

    def _finish(self, step: OpenStep, stepper: Stepper | None, given: Inputs, looked: Looked) -> Call:
        """Read the cells, and write what they show into the response."""
        if looked.motion is None:
            return no_calls(looked.rows, given.pressure)
        found = stepper.finish(step, looked.motion, looked.response, looked.work)
        return dataclasses.replace(found, rows=looked.rows, pressure=given.pressure)
