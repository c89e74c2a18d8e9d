"""A burn law as a closure: one burned fraction per registered cell, behind the step protocol."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mld_closure.macro.laws import BurnLaw

CLOCK_TOLERANCE = 1e-6  # of dt: how far a step may begin before the last one ended


@dataclass(frozen=True)
class Burned:
    """What `RateClosure.advance` returns (see `protocol.Advance`)."""

    burned_fraction: np.ndarray
    burn_rate: np.ndarray
    dt_max: float


class RateClosure:
    """Burned fractions of cells under a law of pressure; follows `protocol.CellClosure`."""

    def __init__(self, law: BurnLaw, *, max_change: float = 0.05) -> None:
        """`max_change`: amount that no burned fraction should exceed in one step; sets dt_max."""
        if not max_change > 0:
            raise ValueError(f"max_change must be positive, got {max_change}")
        self.law = law
        self.max_change = max_change
        self._ids = np.empty(0, np.int64)  # sorted
        self._burned = np.empty(0)
        self._next = np.empty(0)
        self._time = -np.inf
        self._step: tuple[float, float] | None = None

    def register(self, ids: np.ndarray) -> None:
        """Take in unburned cells by their ids (n,); ValueError if an id is known or given twice."""
        if self._step is not None:
            raise RuntimeError("register between steps: commit or roll back the open step first")
        every = np.concatenate([self._ids, np.asarray(ids, np.int64).ravel()])
        order = np.argsort(every, kind="stable")
        twice = every[order][1:][np.diff(every[order]) == 0]
        if twice.size:
            raise ValueError(f"{twice.size} cell ids are given twice, the first is {twice[0]}")
        burned = np.concatenate([self._burned, np.zeros(every.size - self._ids.size)])
        self._ids, self._burned = every[order], burned[order]
        self._next = self._burned.copy()

    def begin_step(self, t: float, dt: float) -> None:
        """Open the step from t (s) to t + dt."""
        if self._step is not None:
            raise RuntimeError(f"a step at t = {self._step[0]:.6e} s is open; commit or roll it back first")
        if not dt > 0:
            raise ValueError(f"the step must be positive, got dt = {dt} s")
        if t < self._time - CLOCK_TOLERANCE * dt:
            raise ValueError(f"time goes backwards: step at {t:.6e} s, committed until {self._time:.6e} s")
        self._step = (t, dt)

    def advance(self, ids: np.ndarray, *, pressure: np.ndarray, velocity: np.ndarray) -> Burned:
        """Burn the cells through the open step at the given pressures (Pa); the velocity is not used."""
        if self._step is None:
            raise RuntimeError("advance outside a step; call begin_step first")
        ids, pressure = np.asarray(ids), np.asarray(pressure, float)
        if ids.ndim != 1 or pressure.shape != ids.shape:
            raise ValueError(f"{ids.shape} ids but pressures of shape {pressure.shape}; both must be (n,)")
        bad = ~(pressure >= 0) | np.isinf(pressure)
        if bad.any():
            raise ValueError(f"pressure {pressure[bad][0]} Pa in cell {ids[bad][0]} ({bad.sum()} cells)")
        at = self._find(ids)
        dt = self._step[1]
        F, rate = self.law.advance(self._burned[at], pressure, dt)
        self._next[at] = F
        fastest = max(float((F - self._burned[at]).max(initial=0.0)) / dt, float(rate.max(initial=0.0)))
        return Burned(F, rate, self.max_change / fastest if fastest > 0 else np.inf)

    def commit(self) -> None:
        """Keep what the step burned."""
        if self._step is None:
            raise RuntimeError("commit outside a step; call begin_step first")
        self._time = self._step[0] + self._step[1]
        self._burned[:] = self._next
        self._step = None

    def rollback(self) -> None:
        """Forget what the step burned."""
        if self._step is None:
            raise RuntimeError("rollback outside a step; call begin_step first")
        self._next[:] = self._burned
        self._step = None

    def state(self) -> dict[str, np.ndarray]:
        """Committed state as plain arrays: ids (n,), burned (n,), time (); RuntimeError inside a step."""
        if self._step is not None:
            raise RuntimeError("the state is defined between steps; commit or roll back first")
        return {"ids": self._ids.copy(), "burned": self._burned.copy(), "time": np.array(self._time)}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Take over a `state`; an open step is forgotten."""
        self._ids = np.array(state["ids"], np.int64)
        self._burned = np.array(state["burned"], float)
        self._next = self._burned.copy()
        self._time = float(state["time"])
        self._step = None

    def _find(self, ids: np.ndarray) -> np.ndarray:
        at = np.minimum(np.searchsorted(self._ids, ids), max(self._ids.size - 1, 0))
        unknown = self._ids[at] != ids if self._ids.size else np.ones(ids.shape, bool)
        if unknown.any():
            raise ValueError(f"{unknown.sum()} cell ids are not registered, the first is {ids[unknown][0]}")
        return at
