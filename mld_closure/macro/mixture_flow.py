"""Eulerian flow of partly burned material: what `dns.solver.Solver` is for one material, with the mixture's
equation of state and the entropy of the solid as one more variable that rides on the mass flux.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mld_closure.dns import eos
from mld_closure.dns.eos import Material, constants
from mld_closure.dns.solver import Boundaries, conserved
from mld_closure.grids import Grid
from mld_closure.macro import mixture_kernels as kernels
from mld_closure.macro.domain import fill_sides
from mld_closure.macro.mixture import mixture_state, no_equilibrium, solid_entropy

INSIDE = slice(2, -2)


class MixtureFlow:
    """Inert flow of solid and products on a uniform grid; primitive arrays are (6, ny, nx).

    rho (kg/m3), u, v (m/s), e (J/kg), lam, A (J/kg). `q` (ny, nx) is the viscous pressure of the last step
    (Pa): not part of the flux, which needs none, but by it the entropy of burning solid rises in a shock.
    """

    def __init__(
        self,
        grid: Grid,
        primitive: np.ndarray,
        *,
        heat: float,
        material: Material | None = None,
        boundaries: Boundaries | None = None,
        inflow: np.ndarray | None = None,
        cfl: float = 0.4,
        q1: float = 0.1,
        q2: float = 1.2,
        plane: bool | None = None,
        neighbours: Callable[[np.ndarray], None] | None = None,
    ) -> None:
        """Start from primitive (5 or 6, ny, nx); without the sixth A is read from the energy.

        heat: J/kg of burned material. inflow: (5,) primitive state beyond a fixed left side. plane: whether
        there is a flow across y; by default where there is more than one row. q1, q2: of the viscosity,
        weaker than a Lagrangian code's, which has the whole work of a shock to do. neighbours: see
        `dns.solver.Solver`.
        """
        if primitive.shape[1:] != grid.shape or primitive.shape[0] not in (5, 6):
            raise ValueError(f"initial state has shape {primitive.shape}, needs {(6, *grid.shape)}")
        self.grid, self.material, self.heat = grid, material or Material(), heat
        self.boundaries = boundaries or Boundaries()
        self.boundaries.check(grid)
        self.cfl, self.q1, self.q2 = cfl, q1, q2
        self.time, self.steps = 0.0, 0
        if self.boundaries.left == "fixed" and inflow is None:
            raise ValueError("a fixed left boundary needs its inflow state")
        self._neighbours = neighbours
        self._eos = constants(self.material)
        self._inflow = np.zeros(6) if inflow is None else self._conserved(np.asarray(inflow, float)[:, None])
        ny, nx = grid.shape
        self._plane = ny > 1 if plane is None else plane
        self._state = np.ones((6, ny + 4, nx + 4))
        self.interior[...] = self._conserved(primitive)
        self._other = self._state.copy()
        self._W = np.zeros((8, ny + 4, nx + 4))
        self.q = np.zeros(grid.shape)
        self._lost: FloatingPointError | None = None
        self._look()

    @property
    def interior(self) -> np.ndarray:
        """Conserved variables without ghosts, (6, ny, nx): a view; call `refresh` after writing into it."""
        return self._state[:, INSIDE, INSIDE]

    @property
    def next_step(self) -> float:
        """Step (s) that the present state allows.

        Raises FloatingPointError if it has no finite wave speed, or naming a cell without equilibrium: here
        and not within a step, so that ranks that exchange ghosts meet the error together.
        """
        if self._lost is not None:
            raise self._lost
        dt = self.cfl * self.grid.pixel / float(self._fastest)
        if not dt > 0:
            raise FloatingPointError(f"no time step at t = {self.time:.4e} s: wave speed {self._fastest} m/s")
        return dt

    def step(self, limit: float = np.inf) -> float:
        """Advance one step of at most `limit` seconds; returns the step taken (s)."""
        dt = min(self.next_step, limit)
        ratio = dt / self.grid.pixel
        kernels.stage(self._state, self._other, self._W, 0.0, 1.0, ratio, self._plane, self._eos)
        self._look(self._other)
        kernels.stage(self._other, self._state, self._W, 0.5, 0.5, ratio, self._plane, self._eos)
        self._look()
        kernels.keep_entropy(
            self._state, self._W, self.q, dt, self.grid.pixel, self._plane, self.heat,
            self.q1, self.q2, self._eos,
        )  # fmt: skip
        self.time += dt
        self.steps += 1
        self._look()
        return dt

    def run(self, until: float) -> None:
        """Advance to time `until` (s) exactly."""
        while until - self.time > 1e-9 * max(until, 1e-30):
            self.step(until - self.time)
        if self._lost is not None:
            raise self._lost
        self.time = until

    def refresh(self) -> None:
        """Find pressures and the wave speed of the next step, after the state was changed from outside."""
        self._lost = None
        self._look()

    def primitive(self) -> np.ndarray:
        """(rho, u, v, e, lam, A) of the interior, (6, ny, nx)."""
        return self._W[:6, INSIDE, INSIDE].copy()

    @property
    def pressure(self) -> np.ndarray:
        """Pressure (Pa), (ny, nx)."""
        return self._W[kernels.P, INSIDE, INSIDE].copy()

    def totals(self) -> np.ndarray:
        """Sums over the interior per metre of depth: mass, momentum x and y, energy, burned mass (SI)."""
        return self.interior[:5].sum(axis=(1, 2)) * self.grid.pixel**2

    def fields(self) -> dict[str, np.ndarray]:
        """Physical fields by name, (ny, nx) each in SI units; temperature is the phases' mean by mass."""
        rho, u, v, e, lam, A = self.primitive()
        m, p = self.material, self.pressure
        one = eos.temperature(rho, e, m)
        solid = mixture_state(rho, e, lam, A, m).solid_density
        mixed = (lam >= kernels.FEW) & (lam <= 0.998) & (p > 0)
        part = np.where(mixed, lam, 0.5)
        x = solid / m.rho0
        e_s = m.K / (m.n * m.rho0) * (x ** (m.n - 1) / (m.n - 1) + 1 / x - m.n / (m.n - 1)) + A * x**m.G
        v_p = np.where(mixed, (1 / rho - (1 - part) / solid) / part, 1 / rho)
        hot = eos.temperature(1 / v_p, (e - (1 - part) * e_s) / part, m)
        both = (1 - part) * eos.temperature(solid, e_s, m) + part * hot
        mu = np.where(p > 0, 1.0, eos.solid_fraction(rho, e, m))
        return {
            "temperature": np.where(mu < 0.5, m.T0, np.where(mixed, both, one)),
            "pressure": p,
            "microstructure": mu,
            "reaction_progress": np.clip(lam, 0.0, 1.0),
            "density": rho,
            "velocity_x": u,
            "velocity_y": v,
        }

    def _conserved(self, primitive: np.ndarray) -> np.ndarray:
        if len(primitive) == 5:
            A = solid_entropy(primitive[0], primitive[3], self.material)
        else:
            A = primitive[5]
        return np.concatenate([conserved(primitive[:5]), (primitive[0] * A)[None]])

    def _look(self, state: np.ndarray | None = None) -> None:
        """Fill the ghosts of a state and find its primitives and its fastest wave."""
        state = self._state if state is None else state
        fill_sides(state, self.boundaries, self._inflow)
        if self._neighbours is not None:
            self._neighbours(state)
        bad = kernels.primitives(state, self._W, self._eos)
        if bad >= 0:
            j, i = divmod(bad, state.shape[2])
            rho, u, v, e, lam, a = state[:, j, i] / np.array([1, *[state[0, j, i]] * 5])
            ny, nx = self.grid.shape  # a ghost is named by the cell it lies at
            cell = min(max(j - 2, 0), ny - 1), min(max(i - 2, 0), nx - 1)
            self._lost = no_equilibrium(cell, rho, e - 0.5 * (u * u + v * v), lam, a)
        self._fastest = kernels.fastest_wave(self._W)
