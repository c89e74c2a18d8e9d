"""What `advance` returns: homogenised quantities of cells, in SI units.

Why: arrays of cells at rest are made when they are asked for, since most cells of a run wait for their shock
and most hosts read few of the quantities.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..fields import QUANTITIES
from .cells import STAGE_STATUS, CellState, Stage

NAMES = tuple(QUANTITIES)
_RATES = {
    "burn_rate": "burned_fraction",
    "hotspot_area_rate": "hotspot_area_fraction",
    "hotspot_temperature_rate": "hotspot_temperature",
}
ARRAYS = (*NAMES, *_RATES, "uncertainty", "status")


class Response:
    """Homogenised quantities of cells at the end of a step, one value per cell, and the next step they allow.

    Rates are averages over the step, so that rate times dt is exactly the change returned. A cell that has
    not reacted yet shows material at rest: burned fraction, area and hot-spot temperature 0, the pressure
    passed in, the porosity of its patch.

    Attributes
    ----------
    ids : (n,) int64
        The cells.
    burned_fraction : (n,)
        Burned share of the cell's own material, from 0 to 1; it never falls.
    burn_rate : (n,) 1/s
    hotspot_area_fraction : (n,)
        Share of the patch that is hotter than `readout.threshold`.
    hotspot_area_rate : (n,) 1/s
    hotspot_temperature : (n,) K
        Mean over the hot spots; 0 where there are none.
    hotspot_temperature_rate : (n,) K/s
    mean_temperature : (n,) K
    mean_pressure : (n,) Pa
    porosity : (n,)
    uncertainty : (n,) 1/s
        Of the burn rate; what it knows and does not know says `surrogate/readers.py`.
    status : (n,) int64
        Words of `Status`.
    dt_max : float, s
        The longest step over which, at present rates, no burned fraction moves more than
        `policy.max_burn_step`; a cell that starts in this step counts from the next one on.
    dt : float, s
        Of the step; 0 for what is read between steps.
    heat : float, J/kg
        Of reaction; NaN where the bundle does not state it.
    burned_mass : (n,) kg, or None
        Material burned since the cells were registered; of what is read between steps.

    Examples
    --------
    >>> import numpy as np, mld_closure as mld
    >>> closure = mld.open(mld.testing.random_networks(base=2), device="cpu")
    >>> closure.register([7, 8], patches=np.ones((2, 32, 96), np.float32))
    >>> closure.begin_step(0.0, 1e-9)
    >>> response = closure.advance(pressure=[1e5, 2e5])
    >>> response.burned_fraction.tolist(), response.mean_pressure.tolist(), response.dt_max
    ([0.0, 0.0], [100000.0, 200000.0], inf)
    >>> closure.close()
    """

    ids: np.ndarray
    burned_fraction: np.ndarray
    burn_rate: np.ndarray
    hotspot_area_fraction: np.ndarray
    hotspot_area_rate: np.ndarray
    hotspot_temperature: np.ndarray
    hotspot_temperature_rate: np.ndarray
    mean_temperature: np.ndarray
    mean_pressure: np.ndarray
    porosity: np.ndarray
    uncertainty: np.ndarray
    status: np.ndarray

    def __init__(self, ids: np.ndarray, rest: dict[str, Any], dt: float, heat: float) -> None:
        """rest: what cells at rest show, a number or an array (n,) by name; 0 for what is not named."""
        self.ids = ids
        self.dt_max = float("inf")
        self.dt, self.heat = dt, heat
        self.burned_mass: np.ndarray | None = None
        self._rest = rest
        self._where = slice(0, 0)
        self._found: dict[str, np.ndarray] = {}

    def __getattr__(self, name: str) -> np.ndarray:
        if name not in ARRAYS:
            raise AttributeError(f"a response has no '{name}'; it has {', '.join(ARRAYS)}")
        array = np.empty(len(self.ids), np.int64 if name == "status" else np.float64)
        self.write(name, array)
        self.__dict__[name] = array
        return array

    @property
    def burned_increment(self) -> np.ndarray:
        """Change of the burned fraction (n,) over the step."""
        return self.burn_rate * self.dt

    @property
    def heat_increment(self) -> np.ndarray:
        """Heat (n,) in J/kg released over the step; NaN where the bundle does not state its heat."""
        return self.burn_rate * (self.dt * self.heat)

    def write(self, name: str, out: np.ndarray) -> None:
        """Write the quantity `name` to an array (n,)."""
        if name in self.__dict__ or name not in ARRAYS:
            out[...] = getattr(self, name)
            return
        out[...] = self._rest.get(name, 0)
        if self._found:
            out[self._where] = self._found[name]

    def set_apart(self, where: np.ndarray) -> dict[str, np.ndarray]:
        """Arrays (k,) by name for the cells at positions `where` (k,), at rest as yet, to be filled in."""
        self._where = where
        for name in ARRAYS:
            rest = self._rest.get(name, 0.0)
            found = rest[where] if isinstance(rest, np.ndarray) else np.full(len(where), float(rest))
            self._found[name] = found
        return self._found

    def keep(self) -> None:
        """Copy what a commit may change, before it does."""
        self._rest = {k: v.copy() if isinstance(v, np.ndarray) else v for k, v in self._rest.items()}

    def part(self, where: slice | np.ndarray) -> Response:
        """The same for some of the cells, by position."""
        part = Response(self.ids[where], {}, self.dt, self.heat)
        part.dt_max = self.dt_max
        for name in ARRAYS:
            part.__dict__[name] = getattr(self, name)[where]
        return part


def committed(ids: np.ndarray, state: CellState, heat: float) -> Response:
    """The committed state (n,) of cells as a response: what a host reads back. Rates and uncertainty, which
    belong to a step, are NaN, and dt_max is infinite."""
    values = {name: state.value[:, i].copy() for i, name in enumerate(NAMES)}
    idle = state.stage < Stage.ACTIVE
    values["mean_pressure"][idle] = state.pressure[idle]
    values["porosity"][idle] = state.porosity[idle]
    unknown = dict.fromkeys((*_RATES, "uncertainty"), np.nan)
    response = Response(
        ids, values | unknown | {"status": STAGE_STATUS[state.stage] | state.flags}, 0.0, heat
    )
    response.burned_mass = state.burned_mass
    return response


def respond(
    found: dict[str, np.ndarray], where: np.ndarray, values: np.ndarray, before: np.ndarray, dt: float
) -> None:
    """Write values (k, 6) and their rates since `before` (k, 6) into positions `where` of arrays by name."""
    for i, name in enumerate(NAMES):
        found[name][where] = values[:, i]
    for rate, name in _RATES.items():
        i = NAMES.index(name)
        found[rate][where] = (values[:, i] - before[:, i]) / dt
