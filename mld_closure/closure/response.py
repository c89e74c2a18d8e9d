"""What `advance` returns: homogenised quantities of cells, in SI units."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from ..fields import QUANTITIES
from .cells import STAGE_STATUS, CellState, Stage

NAMES = tuple(QUANTITIES)
_RATES = {
    "burn_rate": "burned_fraction",
    "hotspot_area_rate": "hotspot_area_fraction",
    "hotspot_temperature_rate": "hotspot_temperature",
}


@dataclass
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
    dt_max: float
    dt: float = 0.0
    heat: float = float("nan")
    burned_mass: np.ndarray | None = None

    @property
    def burned_increment(self) -> np.ndarray:
        """Change of the burned fraction (n,) over the step."""
        return self.burn_rate * self.dt

    @property
    def heat_increment(self) -> np.ndarray:
        """Heat (n,) in J/kg released over the step; NaN where the bundle does not state its heat."""
        return self.burn_rate * (self.dt * self.heat)

    def part(self, where: slice | np.ndarray) -> Response:
        """The same for some of the cells, by position."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return Response(**{k: v[where] if isinstance(v, np.ndarray) else v for k, v in values.items()})


def at_rest(ids: np.ndarray, pressure: np.ndarray, porosity: np.ndarray, temperature: float) -> Response:
    """The response of cells that have not been shocked."""
    zero = np.zeros((7, len(ids)))
    return Response(
        ids, *zero[:6], np.full(len(ids), temperature), pressure, porosity, zero[6],
        np.zeros(len(ids), np.int64), float("inf"),
    )  # fmt: skip


def committed(ids: np.ndarray, state: CellState, heat: float) -> Response:
    """The committed state (n,) of cells as a response: what a host reads back. Rates and uncertainty, which
    belong to a step, are NaN, and dt_max is infinite."""
    unknown = np.full(len(ids), np.nan)
    values = {name: state.value[:, i].copy() for i, name in enumerate(NAMES)}
    idle = state.stage < Stage.ACTIVE
    values["mean_pressure"][idle] = state.pressure[idle]
    return Response(
        ids, **values, **dict.fromkeys(_RATES, unknown), uncertainty=unknown,
        status=STAGE_STATUS[state.stage] | state.flags, dt_max=float("inf"), heat=heat,
        burned_mass=state.burned_mass,
    )  # fmt: skip


def respond(response: Response, where: np.ndarray, values: np.ndarray, before: np.ndarray, dt: float) -> None:
    """Write values (k, 6) and their rates since `before` (k, 6) into positions `where` of a response."""
    for i, name in enumerate(NAMES):
        getattr(response, name)[where] = values[:, i]
    for rate, name in _RATES.items():
        i = NAMES.index(name)
        getattr(response, rate)[where] = (values[:, i] - before[:, i]) / dt
