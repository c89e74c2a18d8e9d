"""What a surrogate must know of the DNS to start from a load alone: Hugoniot states and captured shocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mld_closure.dns.eos import Material, entropy
from mld_closure.dns.exact import porous_shock, shock_from_piston
from mld_closure.dns.kinetics import Kinetics
from mld_closure.dns.loading import FRONT_COLUMN, LINE, inflow_state, line_solver, shock_profile
from mld_closure.fields import FIELDS

SPEEDS = tuple(np.arange(200.0, 2001.0, 50.0))  # m/s
POROSITIES = (0.005, *np.arange(0.01, 0.301, 0.01))


def load_table(
    speeds: Sequence[float] = SPEEDS, pixel: float = 50e-9, material: Material | None = None
) -> dict[str, Any]:
    """Hugoniot states and shock profiles of frame 0 at increasing piston speeds (m/s), as plain arrays.

    `up, us, p, rho, T` (load,): SI units. `profile` (load, field, column): frame 0 of solid material, fields
    as in `profile_fields`. `wave` (load,): columns the entering shock takes. `front_column`, `pixel` (m), and
    the body at rest: `rho0`, `rho_void` (kg/m3), `T0` (K). About 0.2 s a speed.
    """
    m = material or Material()
    shocks = [shock_from_piston(float(up), m) for up in speeds]
    profiles, waves = [], []
    for shock in shocks:
        state = shock_profile(shock.up, pixel, m)
        line = line_solver(state, pixel, m, Kinetics(Z=0.0), boundaries=LINE, inflow=inflow_state(shock))
        fields = line.fields()
        profiles.append([fields[name][0] for name in FIELDS])
        waves.append(int(np.flatnonzero(state[1] > 1e-6 * shock.up)[-1]) + 1)
    return {
        **{name: np.array([getattr(s, name) for s in shocks]) for name in ("up", "us", "p", "rho", "T")},
        "profile": np.array(profiles),
        "profile_fields": tuple(FIELDS),
        "wave": np.array(waves),
        "front_column": FRONT_COLUMN,
        "pixel": pixel,
        "rho0": m.rho0,
        "rho_void": m.rho_void,
        "T0": m.T0,
    }


def wall_table(
    porosities: Sequence[float] = POROSITIES,
    speeds: Sequence[float] = SPEEDS,
    pixel: float = 200e-9,
    material: Material | None = None,
) -> dict[str, Any]:
    """What a surrogate of wall frames must know: as `load_table`, without profiles, as frame 0 has no shock.

    Also `porosity` (m,) and `entropy` (m, load), J/kg: of the solid behind shocks into porous material, by
    which a load can be told (`eos.entropy`).
    """
    m = material or Material()
    shocks = [shock_from_piston(float(up), m) for up in speeds]
    behind = np.array([[porous_shock(float(up), m, 1.0 - phi)[:3] for up in speeds] for phi in porosities])
    states = ("up", "us", "p", "rho", "T")
    return {
        **{name: np.array([getattr(s, name) for s in shocks]) for name in states},
        "profile": np.empty((len(shocks), 0, 0)),
        "profile_fields": (),
        "wave": np.zeros(len(shocks), np.int64),
        "front_column": 0.0,
        "pixel": pixel,
        "rho0": m.rho0,
        "rho_void": m.rho_void,
        "T0": m.T0,
        "porosity": np.array(porosities),
        "entropy": entropy(behind[..., 0], behind[..., 2], m),
    }
