"""Model frames as they come from the server: checked, taken into the states of cells, or refused by
policy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import ClosureError, name_cells
from ..surrogate.known_errors import KnownErrors
from ..surrogate.messages import Answers
from .cells import FROM_SERVER, CellState, Stage
from .clock import Clock, retire
from .options import PolicyOptions
from .policies import BURNED, Status, check_frames, names

_BAD = Status.NOT_FINITE | Status.OUT_OF_BOUNDS | Status.NOT_MONOTONE


@dataclass(frozen=True)
class Frames:
    """Takes the readings of frames into cells.

    Parameters
    ----------
    clock
        Numbers of the cells' clocks.
    policy
        What is done with a reading that cannot be used.
    known
        Which of `fields.QUANTITIES` (6,) the readout gives.
    errors
        Uncertainty of a burn rate where there are no samples of it.
    """

    clock: Clock
    policy: PolicyOptions
    known: np.ndarray
    errors: KnownErrors

    def take(
        self, state: CellState, ids: np.ndarray, go: np.ndarray, counts: np.ndarray, got: Answers
    ) -> None:
        """Take answers to requests (k,) into the cells `go` (k,) of a state, in place.

        counts: frames (k,) that were asked for. Cells stop early where they burn out, or leave the model:
        retired, or handed to the fallback. Raises ClosureError by policy.
        """
        for name in FROM_SERVER:
            given = getattr(got, name)
            new = ~np.isnan(given)
            getattr(state, name)[go[new]] = given[new]
        first = np.cumsum(counts) - counts
        left = got.reached - state.frame[go]  # frames that were computed
        for step in range(int(left.max(initial=0))):
            here = np.flatnonzero(left > step)
            here = here[self._goes_on(state, go[here], step)]
            row = first[here] + step
            self._accept(state, ids, go[here], got.values[row], got.draws[row])

    @staticmethod
    def _goes_on(state: CellState, cells: np.ndarray, step: int) -> np.ndarray:
        """Which cells (k,) take one more frame."""
        on = (state.stage[cells] == Stage.ACTIVE) & ((state.flags[cells] & Status.FALLBACK) == 0)
        return on & ((state.frame[cells] >= 0) | (step == 0))

    def _accept(
        self, state: CellState, ids: np.ndarray, cells: np.ndarray, values: np.ndarray, draws: np.ndarray
    ) -> None:
        """Take one more frame into cells (indices), or do what policy says where it is no good."""
        first = state.frame[cells] < 0
        before = np.where(first, 0.0, state.right[cells, BURNED])
        usable, reasons = check_frames(values, before, self.known)
        change = (draws - np.where(first[:, None], draws, state.draws[cells])) / self.clock.step
        spread = change.std(axis=1, ddof=1)
        time = (state.frame[cells] + 0.5) * self.clock.step  # between the frame before and this one
        known = self.errors.at(state.up[cells], np.maximum(time, 0.0))
        spread = np.where(np.isnan(spread), known, spread) * self._wider(state, cells)
        if self.policy.max_uncertainty is not None:
            reasons[spread > self.policy.max_uncertainty] |= Status.UNCERTAIN
        state.flags[cells] |= reasons
        leave = self._leaving(reasons, ids[cells])
        state.flags[cells[leave]] |= Status.FALLBACK | Status.REJECTED
        state.frame[cells[leave]] = -1
        lost = ((reasons & Status.NOT_FINITE) != 0) & ~leave
        gone = cells[lost]
        state.flags[gone] |= Status.REJECTED
        never = gone[state.frame[gone] < 0]
        state.left[never] = state.right[never] = state.value[never]
        retire(state, gone)
        good = ~lost & ~leave
        to = cells[good]
        state.left[to] = np.where(first[:, None], usable, state.right[cells])[good]
        state.right[to] = usable[good]
        state.draws[to] = draws[good]
        state.spread[to] = spread[good]
        state.frame[to] += 1
        self.clock.remember_rate(state, to)

    def _wider(self, state: CellState, cells: np.ndarray) -> np.ndarray:
        """Factors (k,) by which cells outside what the model was trained on are less certain."""
        novelty = np.nan_to_num(state.novelty[cells], nan=1.0)
        return np.maximum(novelty, 1.0) * self.errors.beyond(state.load[cells])

    def _leaving(self, reasons: np.ndarray, ids: np.ndarray) -> np.ndarray:
        """Which cells (k,) go to the fallback for these reasons; ClosureError where policy says so."""
        leave = np.zeros(len(reasons), bool)
        for kind, policy in (
            (_BAD, self.policy.on_bad_result),
            (Status.UNCERTAIN, self.policy.on_uncertain),
        ):
            hit = (reasons & kind) != 0
            if policy == "error" and hit.any():
                raise ClosureError(
                    f"result of the model for {name_cells(ids[hit])}: {names(int(reasons[hit][0]))}; "
                    "choose policy 'clamp' or 'fallback' to go on",
                    ids[hit],
                )
            if policy == "fallback":
                leave |= hit
        return leave
