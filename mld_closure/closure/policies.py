"""Status words, policies, and the checks of what goes into a closure and what comes out of its model.

A cell releases its heat of reaction times the rise of its burned fraction, so a burned fraction that rises
within [0, 1] is also the guarantee that no step releases more than the chemical energy that is left.
"""

from __future__ import annotations

from enum import IntFlag

import numpy as np

from ..errors import ClosureError, name_cells
from ..fields import FRACTIONS, QUANTITIES, get


class Status(IntFlag):
    """What a cell is (first byte; none of them: IDLE), what was done about it, and why.

    Examples
    --------
    >>> word = 65794  # as an array of a response holds it
    >>> Status(word) & Status.EXTRAPOLATING != 0
    True
    >>> names(word)
    'ACTIVE, EXTRAPOLATING, LOAD_LOW'
    """

    IDLE = 0
    LOADING = 1 << 0
    ACTIVE = 1 << 1
    BURNED = 1 << 2
    BEYOND_HORIZON = 1 << 3  # past what the model can tell: burned fraction relaxes to 1
    EXTRAPOLATING = 1 << 8  # its load or its patch lies outside what the model was trained on
    FALLBACK = 1 << 9  # served by the fallback, not by the model
    REJECTED = 1 << 10  # a result of the model was not used
    LOAD_LOW = 1 << 16
    LOAD_HIGH = 1 << 17
    NOT_FINITE = 1 << 18
    OUT_OF_BOUNDS = 1 << 19
    NOT_MONOTONE = 1 << 20
    UNCERTAIN = 1 << 21
    MICROSTRUCTURE = 1 << 22  # the patch is unlike those trained on
    PATCH_SIZE = 1 << 23  # the patch has another size than those trained on


REASONS = (
    Status.LOAD_LOW
    | Status.LOAD_HIGH
    | Status.NOT_FINITE
    | Status.OUT_OF_BOUNDS
    | Status.NOT_MONOTONE
    | Status.UNCERTAIN
    | Status.MICROSTRUCTURE
    | Status.PATCH_SIZE
)
FRACTION_SLACK = 0.05  # a decoded fraction may overshoot [0, 1] by so much before it counts as wrong
MONOTONE_SLACK = 0.02  # a burned fraction may fall by so much from frame to frame before it counts as wrong
BURNED = list(QUANTITIES).index("burned_fraction")


def names(status: int) -> str:
    """The flags of a status word, such as "ACTIVE, EXTRAPOLATING, LOAD_HIGH"."""
    return ", ".join(str(flag.name) for flag in Status if flag and status & flag) or "IDLE"


def check_pressure(pressure: np.ndarray, ids: np.ndarray) -> None:
    """ClosureError naming the cells whose pressure (Pa) is not finite, or negative."""
    for bad, what, cure in (
        (~np.isfinite(pressure), "is not finite", "repair the state of these cells"),
        (pressure < 0, "is negative", "pass 0 for material in tension"),
    ):
        if bad.any():
            value = pressure[bad][0]
            raise ClosureError(f"pressure of {name_cells(ids[bad])} {what} ({value} Pa); {cure}", ids[bad])


def highest_pressure(pressure: np.ndarray, ids: np.ndarray) -> float:
    """The greatest of pressures (n,) in Pa, 0 for none; ClosureError as `check_pressure`."""
    if not len(pressure):
        return 0.0
    high = float(pressure.max())
    if not (pressure.min() >= 0 and high < np.inf):
        check_pressure(pressure, ids)
    return high


def check_velocity(velocity: np.ndarray, ids: np.ndarray) -> None:
    """ClosureError naming the cells whose velocity (m/s) is not finite."""
    bad = ids[~np.isfinite(velocity)]
    if len(bad):
        raise ClosureError(
            f"velocity of {name_cells(bad)} is not finite; repair the state of these cells", bad
        )


def check_entropy(entropy: np.ndarray, ids: np.ndarray) -> None:
    """ClosureError naming the cells whose entropy (J/kg) is not finite, or negative."""
    bad = ids[~((entropy >= 0) & (entropy < np.inf))]
    if len(bad):
        raise ClosureError(
            f"entropy of {name_cells(bad)} is not finite or is negative; it is the thermal energy, in J/kg, "
            "that the solid would have at its density at rest",
            bad,
        )


def positive_masses(mass: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """The masses (n,) in kg; ClosureError naming the cells whose mass is not finite, or negative."""
    bad = ids[~((mass >= 0) & (mass < np.inf))]
    if len(bad):
        raise ClosureError(f"mass of {name_cells(bad)} is not finite or is negative; masses are in kg", bad)
    return mass


def limits() -> tuple[np.ndarray, np.ndarray]:
    """Least and greatest value of each of `QUANTITIES` that a frame may have: (6,) and (6,)."""
    known = {name: (-FRACTION_SLACK, 1 + FRACTION_SLACK) for name in FRACTIONS}
    low, high = get("temperature").valid
    known |= {"mean_temperature": (low, high), "hotspot_temperature": (0.0, high)}
    known["mean_pressure"] = get("pressure").valid
    both = np.array([known[name] for name in QUANTITIES])
    return both[:, 0], both[:, 1]


_LOW, _HIGH = limits()
_CLIP_LOW, _CLIP_HIGH = _LOW.copy(), _HIGH.copy()
for _i, _name in enumerate(QUANTITIES):
    if _name in FRACTIONS:
        _CLIP_LOW[_i], _CLIP_HIGH[_i] = 0.0, 1.0


def check_frames(values: np.ndarray, before: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One frame of several cells, made usable: (values (n, 6) within bounds, reasons (n,) of `Status`).

    values: as the readout gave them; before: the burned fraction (n,) of the frame before; known: which of
    the six the readout gives at all, (6,). The burned fraction comes out monotone. Rows that are not finite
    are marked and otherwise useless.
    """
    reasons = np.zeros(len(values), np.int64)
    finite = np.isfinite(values[:, known]).all(axis=1)
    reasons[~finite] |= Status.NOT_FINITE
    with np.errstate(invalid="ignore"):
        outside = ((values < _LOW) | (values > _HIGH)) & known
        reasons[finite & outside.any(axis=1)] |= Status.OUT_OF_BOUNDS
        usable = np.clip(values, _CLIP_LOW, _CLIP_HIGH)
        reasons[finite & (usable[:, BURNED] < before - MONOTONE_SLACK)] |= Status.NOT_MONOTONE
    usable[:, BURNED] = np.fmax(usable[:, BURNED], before)
    return usable, reasons


def check_fallback(values: np.ndarray, before: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """What a fallback returned (n, 6), checked: finite but for NaN as "unknown", within bounds, monotone.

    before: (n, 6). ClosureError naming cell and quantity otherwise: nothing is left to fall back on.
    """
    values = np.asarray(values, np.float64)
    if values.shape != before.shape:
        raise ClosureError(f"the fallback returned shape {values.shape}, expected {before.shape}", ids)
    wrong = (values < _LOW) | (values > _HIGH) | np.isinf(values)
    wrong[:, BURNED] |= ~(values[:, BURNED] >= before[:, BURNED] - 1e-12)  # energy never flows back
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        name = list(QUANTITIES)[column]
        raise ClosureError(
            f"the fallback gave {name} = {values[row, column]} for {name_cells(ids[wrong.any(axis=1)])} "
            f"(before: {before[row, column]}); repair the fallback",
            ids[wrong.any(axis=1)],
        )
    return np.clip(values, _CLIP_LOW, _CLIP_HIGH)
