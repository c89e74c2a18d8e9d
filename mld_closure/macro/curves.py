"""Burn curves of patches by load: what a perfect surrogate would know, and how a point follows it.

A curve is the burned fraction F(tau) of a patch at a load, the piston speed up that drives the shock into it,
with the pressure p_frame(tau) that the patch had in its own simulation. A point reads its load from the
entropy of its solid (`porous.porous_shock` gives A_H(up) at the patch's porosity) and runs its own clock tau.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from mld_closure.dns.eos import Material, jit
from mld_closure.macro.mixture import solid_entropy
from mld_closure.macro.porous import porous_shock

LOADS = 64  # piston speeds of the entropy table


@dataclass(frozen=True)
class BurnCurves:
    """Burned fraction and pressure of patches by load and time since arrival.

    Parameters
    ----------
    up : (L,)
        Loads (m/s), increasing; a load beyond the ends counts as the nearest end.
    tau : (T,)
        Times since arrival (s), increasing from 0.
    burned : (P, L, T)
        Burned fraction of each patch, from 0 at tau = 0; made not to fall. Past the last tau the specific
        rate -d ln(1 - F)/d tau of the last interval goes on.
    porosity : (P,)
        Porosity of each patch.
    pressure : (P, L, T)
        Pressure p_frame (Pa) of each patch, or None for a clock that does not depend on pressure.
    material : Material
        The solid, of which the entropies on the porous Hugoniot are those.
    frame_entropy : (P, L)
        Entropy A (J/kg) that the solid of each patch had behind the shock in its own simulation, by which
        loads are read; by default that on the porous Hugoniot at its porosity.
    """

    up: np.ndarray
    tau: np.ndarray
    burned: np.ndarray
    porosity: np.ndarray
    pressure: np.ndarray | None = None
    material: Material = field(default_factory=Material)
    frame_entropy: np.ndarray | None = None
    entropy: np.ndarray = field(init=False, repr=False)  # (P, LOADS) J/kg by which loads are read
    load: np.ndarray = field(init=False, repr=False)  # (LOADS,) m/s of those entropies

    def __post_init__(self) -> None:
        for name in ("up", "tau", "burned", "porosity"):
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name), np.float64))
        up, tau = self.up, self.tau
        shape = (self.porosity.size, up.size, tau.size)
        if up.size < 1 or tau.size < 2 or not up[0] > 0 or np.any(np.diff(up) <= 0):
            raise ValueError("burn curves need loads and at least two times, loads positive and increasing")
        if tau[0] != 0 or np.any(np.diff(tau) <= 0):
            raise ValueError("the times of burn curves must begin at 0 and increase")
        if self.burned.shape != shape:
            raise ValueError(f"burned fractions have shape {self.burned.shape}, they need {shape}")
        if not (self.burned.min() >= 0 and self.burned.max() <= 1):
            raise ValueError("burned fractions must be from 0 to 1")
        object.__setattr__(self, "burned", np.maximum.accumulate(self.burned, axis=2))
        if self.pressure is not None:
            pressure = np.ascontiguousarray(self.pressure, np.float64)
            if pressure.shape != shape or not np.all(pressure >= 0):
                raise ValueError(f"pressures must be of shape {shape} and not negative, got {pressure.shape}")
            object.__setattr__(self, "pressure", pressure)
        load = np.linspace(min(50.0, 0.5 * up[0]), up[-1], LOADS)
        object.__setattr__(self, "load", load)
        of = {phi: self._hugoniot_entropy(load, phi) for phi in np.unique(self.porosity)}
        entropy = np.array([of[phi] for phi in self.porosity])
        if self.frame_entropy is not None:
            entropy = self._scaled(entropy)
        object.__setattr__(self, "entropy", entropy)

    @property
    def patches(self) -> int:
        """Number of patches."""
        return self.porosity.size

    def _scaled(self, hugoniot: np.ndarray) -> np.ndarray:
        """The Hugoniot's entropies (P, LOADS) times their ratio to the frames' own, linear between loads."""
        own = np.asarray(self.frame_entropy, np.float64)
        if own.shape != (self.patches, self.up.size) or not np.all(own > 0):
            raise ValueError(f"frame entropies must be positive and of shape {(self.patches, self.up.size)}")
        ratio = [a / np.interp(self.up, self.load, h) for a, h in zip(own, hugoniot, strict=True)]
        scaled = hugoniot * [np.interp(self.load, self.up, r) for r in ratio]
        return np.maximum.accumulate(scaled, axis=1)

    def _hugoniot_entropy(self, load: np.ndarray, porosity: float) -> np.ndarray:
        shocks = [porous_shock(float(up), float(porosity), self.material) for up in load]
        rho, e = np.array([(s.rho, s.e) for s in shocks]).T
        return np.maximum.accumulate(solid_entropy(rho, e, self.material))


@jit
def load_of(A, entropies, loads):
    """Load (m/s) whose porous Hugoniot has entropy A (J/kg); clipped to the table (LOADS,)."""
    n = loads.shape[0]
    A = min(max(A, entropies[0]), entropies[n - 1])
    i = min(np.searchsorted(entropies, A, side="right") - 1, n - 2)
    return loads[i] + (loads[i + 1] - loads[i]) * (A - entropies[i]) / (entropies[i + 1] - entropies[i])


@jit
def _between(x, grid):
    """(i, w): x lies at grid[i] + w (grid[i + 1] - grid[i]); clipped to the grid."""
    n = grid.shape[0]
    if n == 1 or x <= grid[0]:
        return 0, 0.0
    if x >= grid[n - 1]:
        return n - 2, 1.0
    i = np.searchsorted(grid, x, side="right") - 1
    return i, (x - grid[i]) / (grid[i + 1] - grid[i])


@jit
def table_value(up, tau, values, ups, taus):
    """Bilinear value of a table (L, T) at a load and a time, clipped to its ends."""
    i, w = _between(up, ups)
    k, r = _between(tau, taus)
    j = min(i + 1, ups.shape[0] - 1)
    low = values[i, k] + r * (values[i, k + 1] - values[i, k])
    high = values[j, k] + r * (values[j, k + 1] - values[j, k])
    return low + w * (high - low)


@jit
def unburned(up, tau, values, ups, taus):
    """1 - F at a load and a time; past the table the specific rate of its last interval goes on."""
    n = taus.shape[0]
    rest = 1.0 - table_value(up, tau, values, ups, taus)
    if tau > taus[n - 1] and rest > 0.0:
        before = 1.0 - table_value(up, taus[n - 2], values, ups, taus)
        rest *= (rest / before) ** ((tau - taus[n - 1]) / (taus[n - 1] - taus[n - 2]))
    return rest
