"""Initial states: a microstructure at rest with a captured steady shock entering from the left.

Why: a sharp initial jump leaves a hot stripe that stays in the whole movie, so the shock is taken from a
one-dimensional run long after such a start, with the numerical width the scheme gives it.
"""

from __future__ import annotations

import functools

import numpy as np

from mld_closure.dns.eos import Material
from mld_closure.dns.exact import ShockState, shock_from_piston
from mld_closure.dns.kinetics import Kinetics
from mld_closure.dns.solver import Boundaries, Solver
from mld_closure.grids import Grid

FRONT_COLUMN = 32  # where the pressure of frame 0 crosses half the shock pressure
PROFILE_COLUMNS = 2 * FRONT_COLUMN
_RUN_COLUMNS, _RUN_FRONT = 420, 340
LINE = Boundaries(left="fixed", right="copy", bottom="copy", top="copy")


def inflow_state(shock: ShockState) -> np.ndarray:
    """Primitive state (5,) behind a shock: what flows in from the left."""
    return np.array([shock.rho, shock.up, 0.0, shock.e, 0.0])


def at_rest(mu: np.ndarray, m: Material) -> np.ndarray:
    """Primitive state (5, ny, nx) of a cold body at rest with solid fraction mu (ny, nx)."""
    W = np.zeros((5, *mu.shape))
    W[0] = m.rho0 * mu + m.rho_void * (1 - mu)
    return W


def line_solver(state: np.ndarray, pixel: float, m: Material, k: Kinetics, **options: object) -> Solver:
    """A one-dimensional solver of primitive states (5, nx)."""
    return Solver(Grid(1, state.shape[1], pixel), state[:, None, :], material=m, kinetics=k, **options)


def shock_front(pressure: np.ndarray, level: float) -> float:
    """Column, counted from the left edge of the first pixel, where pressure (nx,) last falls below `level`.

    Interpolated between pixel centres; 0 if the pressure is below the level everywhere.
    """
    above = np.flatnonzero(pressure >= level)
    if above.size == 0:
        return 0.0
    i = int(above[-1])
    if i + 1 == pressure.size:
        return float(pressure.size)
    return i + 0.5 + float((pressure[i] - level) / (pressure[i] - pressure[i + 1]))


@functools.lru_cache(maxsize=64)
def shock_profile(up: float, pixel: float, m: Material) -> np.ndarray:
    """Primitive profile (5, PROFILE_COLUMNS) of a steady captured shock with its front at FRONT_COLUMN.

    up: piston speed (m/s); pixel (m). The last columns are at rest.
    """
    shock = shock_from_piston(up, m)
    state = at_rest(np.ones((1, _RUN_COLUMNS)), m)[:, 0]
    state[:, :8] = inflow_state(shock)[:, None]
    run = line_solver(state, pixel, m, Kinetics(Z=0.0), boundaries=LINE, inflow=inflow_state(shock))
    run.run(until=(_RUN_FRONT - 8) * pixel / shock.us)
    front = round(shock_front(run.fields()["pressure"][0], 0.5 * shock.p))
    profile = run.primitive()[:, 0, front - FRONT_COLUMN : front - FRONT_COLUMN + PROFILE_COLUMNS]
    profile.setflags(write=False)
    return profile


def shocked(mu: np.ndarray, up: float, pixel: float, m: Material) -> np.ndarray:
    """Primitive state (5, ny, nx): body of solid fraction mu at rest, a shock of piston speed up entering.

    Raises ValueError if a void lies where the captured front stands.
    """
    profile = shock_profile(up, pixel, m)
    wave = int(np.flatnonzero(profile[1] > 1e-6 * up)[-1]) + 1
    if mu.shape[1] < PROFILE_COLUMNS or mu[:, :wave].min() < 1:
        raise ValueError(
            f"the entering shock takes the first {wave} columns, and they must be solid; "
            f"move the voids to the right (the frame needs at least {PROFILE_COLUMNS} columns)"
        )
    W = at_rest(mu, m)
    W[:, :, :wave] = profile[:, None, :wave]
    return W


def shocked_solver(
    mu: np.ndarray, up: float, pixel: float, m: Material, k: Kinetics, **options: object
) -> Solver:
    """The solver of a shocked microstructure mu (ny, nx): steady inflow on the left, open on the right."""
    inflow = inflow_state(shock_from_piston(up, m))
    state = shocked(mu, up, pixel, m)
    return Solver(Grid(*mu.shape, pixel), state, material=m, kinetics=k, inflow=inflow, **options)
