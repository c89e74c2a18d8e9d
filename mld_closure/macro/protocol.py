"""What the hydrocode asks of a closure: the step protocol, and what an advance returns.

    begin_step(t, dt) -> advance(ids, pressure=..., velocity=..., ...) [repeatable] -> commit() | rollback()

`advance` starts from the committed state, so that the same inputs give the same bits; `rollback` restores the
committed state exactly. Cells are registered with the closure by whoever opens it, before the first step.
A closure that needs more than pressure and velocity names it in its attribute `inputs`, a tuple of names out
of `EXTRA_INPUTS`; the hydrocode gives it what it names as further keywords, (n,) each.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

OWN = -1  # in place of the id of the point whose load is taken

EXTRA_INPUTS = {
    "entropy": "entropy A of the solid (J/kg), see `mixture`",
    "viscous_pressure": "viscous pressure (Pa), by which a shock that still passes is told from one that has",
}


class Advance(Protocol):
    """Result of one advance; arrays hold one number per cell, in the order of the ids."""

    @property
    def burned_fraction(self) -> np.ndarray:
        """Burned mass fraction at the end of the step, (n,), never below the committed one."""
        ...

    @property
    def burn_rate(self) -> np.ndarray:
        """Its rate at the end of the step (1/s), (n,)."""
        ...

    @property
    def dt_max(self) -> float:
        """Longest step (s) over which no burned fraction moves more than the closure's set amount."""
        ...


class CellClosure(Protocol):
    """Homogenised burning of macro cells, one state per registered id."""

    def begin_step(self, t: float, dt: float) -> None:
        """Open the step from time t (s) to t + dt."""
        ...

    def advance(self, ids: np.ndarray, *, pressure: np.ndarray, velocity: np.ndarray) -> Advance:
        """Carry cells through the open step.

        ids: (n,) int64; pressure: (n,) Pa, at the end of the step; velocity: (n,) m/s, speed relative to the
        material ahead of the shock. Further keywords as named in `inputs`.
        """
        ...

    def commit(self) -> None:
        """Make the step's end the committed state."""
        ...

    def rollback(self) -> None:
        """Forget the open step."""
        ...


def wanted_inputs(closure: CellClosure) -> tuple[str, ...]:
    """The extra inputs that a closure names; ValueError for one that no hydrocode here gives."""
    names = tuple(getattr(closure, "inputs", ()))
    unknown = set(names) - set(EXTRA_INPUTS)
    if unknown:
        raise ValueError(
            f"the closure asks for {', '.join(sorted(unknown))}; there is {', '.join(EXTRA_INPUTS)}"
        )
    return names
