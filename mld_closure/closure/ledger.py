"""The ledger of a closure: what its points have burned, and the heat that this has released."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .cells import Cells
from .open_step import OpenStep


@dataclass(frozen=True)
class Ledger:
    """Material burned and heat released, in all and in one step; SI units.

    Masses are those that a host gives with `advance`; without them every point counts as 1 kg, so that these
    are sums of burned fractions, and of J/kg.

    Attributes
    ----------
    burned_mass : float, kg
        Of all committed steps, since the points were registered; a restart goes on counting.
    heat : float, J
        The same times the heat of reaction; NaN where the bundle does not state that.
    step_burned_mass : float, kg
        What the open step has found so far, or with none open what the last one committed.
    step_heat : float, J
    """

    burned_mass: float
    heat: float
    step_burned_mass: float
    step_heat: float

    @classmethod
    def of(cls, burned: float, in_step: float, heat: float) -> Ledger:
        """The ledger of masses (kg) with a heat of reaction (J/kg)."""
        return cls(float(burned), float(heat * burned), float(in_step), float(heat * in_step))


class Books:
    """Keeps the ledger of the points of one rank.

    gone (kg): burned by points that are not registered any more. last (kg): burned in the last step."""

    def __init__(self) -> None:
        self.gone: float = 0.0
        self.last: float = 0.0

    def masses(self, cells: Cells, step: OpenStep | None) -> tuple[float, float]:
        """Burned mass (kg) of all committed steps, and that of the open or of the last one."""
        in_step = self.last if step is None else gained(step, cells)
        return self.gone + float(cells.state.burned_mass.sum()), in_step


def gained(step: OpenStep, cells: Cells) -> float:
    """Mass (kg) that burns in an open step, by what its calls have found."""
    total = 0.0
    for call, _, counts in step.last_calls():
        if len(call.live):
            new, old = call.state.burned_mass[counts], cells.state.burned_mass[call.live[counts]]
            total += float(np.sum(new - old))
    return total
