"""How a closure's burned fraction acts on the flow: the share of the unburned material that burns in a step.

The closure's cells and their ids stay in place; the reaction progress lam of the flow moves with the
material. A closure cell that goes from F0 to F1 burns the share (F1 - F0)/(1 - F0) of whatever is unburned
there, so lam stays in [0, 1], equals F in material at rest, and a cell that has burned out burns what still
flows in. Where the material behind the shock is at rest (a slab thrown at a wall) the difference between lam
and F stays small as long as the material moves by less than a cell while it burns.
Why: adding F1 - F0 itself would burn more than there is once burned material has flowed in.
"""

from __future__ import annotations

import numpy as np

from mld_closure.macro.protocol import Advance, CellClosure

BURNED_OUT = 0.999  # from this burned fraction on nothing is left of a cell's own material
ROUND_OFF = 1e-9


def burned_share(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Share of the unburned material that burns while F goes from `before` to `after` (any one shape)."""
    left = 1 - before
    share = np.maximum(after - before, 0.0) / np.where(left > 0, left, 1.0)
    return np.where(after >= BURNED_OUT, 1.0, np.minimum(share, 1.0))


def checked_fraction(out: Advance, before: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """The burned fraction of an advance in the shape of `before`.

    Raises ValueError unless there is one number per cell, and FloatingPointError naming the first cell whose
    fraction is not finite, outside [0, 1] or below the committed one, or a dt_max that is not positive.
    """
    F = np.array(out.burned_fraction, float)
    if F.size != before.size or np.size(out.burn_rate) != before.size:
        raise ValueError(f"the closure gave {F.size} burned fractions for {before.size} cells")
    F = F.reshape(before.shape)
    bad = ~((before - ROUND_OFF <= F) & (F >= 0) & (F <= 1))
    if bad.any():
        raise FloatingPointError(
            f"closure: burned fraction {F[bad][0]} after {before[bad][0]} in cell {ids[bad][0]} "
            f"({bad.sum()} cells); it must not fall and must stay in [0, 1]"
        )
    if not out.dt_max > 0:
        raise FloatingPointError(f"closure: dt_max = {out.dt_max} s, it must be positive")
    return F


def commit(closure: CellClosure) -> None:
    """Commit the closure's step; where that fails, roll it back and raise, so that it can be tried again."""
    try:
        closure.commit()
    except BaseException:
        closure.rollback()
        raise
