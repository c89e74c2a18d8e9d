"""The solver: a state on a grid, advanced in time, and the physical fields read from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mld_closure.dns import eos, kernels, viscosity
from mld_closure.dns.eos import Material
from mld_closure.dns.kinetics import Kinetics, rates
from mld_closure.grids import Grid

Side = Literal["copy", "mirror", "periodic", "fixed", "held"]
CODES = {
    "copy": kernels.COPY,
    "mirror": kernels.MIRROR,
    "periodic": kernels.PERIODIC,
    "fixed": kernels.FIXED,
    "held": kernels.HELD,
}
ONLY = {"fixed": "left", "held": "right"}


@dataclass(frozen=True)
class Boundaries:
    """What lies beyond each side.

    `fixed`, left only, is the inflow state. `held`, right only, copies until the shock arrives, or is another
    given state until then, and is a given state from then on.
    """

    left: Side = "fixed"
    right: Side = "copy"
    bottom: Side = "mirror"
    top: Side = "mirror"

    def __post_init__(self) -> None:
        for side in ("left", "right", "bottom", "top"):
            kind = getattr(self, side)
            if kind not in CODES or ONLY.get(kind, side) != side:
                raise ValueError(
                    f"boundary {side} = '{kind}': choose copy, mirror, periodic (or left fixed, right held)"
                )
        for a, b in (("left", "right"), ("bottom", "top")):
            if (getattr(self, a) == "periodic") != (getattr(self, b) == "periodic"):
                raise ValueError(f"boundaries {a} and {b} must be periodic together")

    def check(self, grid: Grid) -> None:
        """ValueError unless the grid has the two cells across that mirrors and periodic sides read."""
        for n, names in ((grid.nx, ("left", "right")), (grid.ny, ("bottom", "top"))):
            for name in names:
                if n < 2 and getattr(self, name) in ("mirror", "periodic"):
                    raise ValueError(
                        f"{name} = '{getattr(self, name)}' needs 2 cells across, got {n}; use 'copy'"
                    )

    @property
    def codes(self) -> tuple[int, int, int, int]:
        """(left, right, bottom, top) as the kernels know them."""
        return CODES[self.left], CODES[self.right], CODES[self.bottom], CODES[self.top]


class Solver:
    """A two-dimensional reactive compressible flow on a uniform grid.

    Primitive arrays are (5, ny, nx): rho (kg/m3), u, v (m/s), e (J/kg), lam. MUSCL with van Leer's limiter,
    HLLC, SSP-RK2, then explicit viscosity, conduction and point-wise chemistry;
    dt = cfl dx / max(max(|u|, |v|) + c).
    """

    def __init__(
        self,
        grid: Grid,
        primitive: np.ndarray,
        *,
        material: Material | None = None,
        kinetics: Kinetics | None = None,
        boundaries: Boundaries | None = None,
        inflow: np.ndarray | None = None,
        held: tuple[np.ndarray, float] | None = None,
        ahead: np.ndarray | None = None,
        cfl: float = 0.4,
        dtype: type = np.float64,
        neighbours: Callable[[np.ndarray], None] | None = None,
    ) -> None:
        """Start from primitive (5, ny, nx); inflow (5,) is the primitive state beyond a fixed left side.

        held: primitive state (5,) beyond a held right side, and the velocity u (m/s) of the last column
        above which it stands there; needed where the right side is held. ahead: primitive state (5,) that
        stands there until then; a copy of the last column where it is not given.

        neighbours: called with the state (5, ny + 4, nx + 4) after its ghosts were filled as the boundaries
        say, to put in those that other solvers own.
        """
        if primitive.shape != (5, *grid.shape):
            raise ValueError(f"initial state has shape {primitive.shape}, the grid needs {(5, *grid.shape)}")
        self.grid = grid
        self.material = material or Material()
        self.kinetics = kinetics or Kinetics()
        self.boundaries = boundaries or Boundaries()
        self.boundaries.check(grid)
        self.cfl = cfl
        self._neighbours = neighbours
        self.time = 0.0
        self.steps = 0
        if self.boundaries.left == "fixed" and inflow is None:
            raise ValueError("a fixed left boundary needs its inflow state")
        if self.boundaries.right == "held" and held is None:
            raise ValueError("a held right boundary needs its state and velocity")
        ny, nx = grid.shape
        self._c = eos.constants(self.material, dtype)
        self._k = rates(self.kinetics, dtype)
        self._inflow = conserved(np.zeros(5) if inflow is None else np.asarray(inflow, float)).astype(dtype)
        beyond, arrived = held if held is not None else (np.zeros(5), 0.0)
        before = np.zeros(5) if ahead is None else conserved(np.asarray(ahead, float))  # of no mass: a copy
        self._held = np.concatenate([conserved(np.asarray(beyond, float)), [arrived], before]).astype(dtype)
        self._U = np.zeros((5, ny + 4, nx + 4), dtype)
        self._U[:, 2:-2, 2:-2] = conserved(primitive)
        self._fill(self._U)
        self._V = self._U.copy()
        self._W = np.zeros((3, 5, nx + 4), dtype)
        self._E = np.ones((5, 5, nx + 4), dtype)
        self._F = np.zeros((3, 5, nx + 4), dtype)
        self._T = np.zeros((3, nx + 4), dtype)
        self._solid = np.zeros((3, nx + 4), dtype)
        self._row = np.zeros(nx + 4, dtype)
        self.refresh()

    def step(self, limit: float = np.inf) -> float:
        """Advance one step of at most `limit` seconds; returns the step taken (s)."""
        dt = min(self.next_step, limit)
        f = self._U.dtype.type
        ratio = f(dt / self.grid.pixel)
        work = (self._W, self._E, self._F, self._c)
        self._fill(self._U)
        kernels.stage(self._U, self._V, f(0), f(1), ratio, *work)
        self._fill(self._V)
        kernels.stage(self._V, self._U, f(0.5), f(0.5), ratio, *work)
        if self.material.viscosity:
            self._add_viscosity(dt)
        factor = dt * self.material.kappa / self.grid.pixel**2
        if factor > 0:
            self._fill(self._U)
        react = self.kinetics.Z > 0
        self._fastest = kernels.finish(
            self._U, f(dt), f(factor), react, self._T, self._solid, self._row, self._c, self._k
        )
        self.time += dt
        self.steps += 1
        return dt

    def run(self, until: float, max_steps: int | None = None) -> None:
        """Advance to time `until` (s) exactly. Raises RuntimeError after max_steps steps of this call."""
        taken = 0
        while until - self.time > 1e-9 * max(until, 1e-30):
            if max_steps is not None and taken >= max_steps:
                raise RuntimeError(
                    f"{max_steps} steps taken and only {self.time:.4e} s of {until:.4e} s reached"
                )
            self.step(until - self.time)
            taken += 1
        self.time = until

    @property
    def next_step(self) -> float:
        """Step (s) that the present state allows; FloatingPointError if it has no finite wave speed."""
        dt = self.cfl * self.grid.pixel / float(self._fastest)
        if not dt > 0:
            raise FloatingPointError(f"no time step at t = {self.time:.4e} s: wave speed {self._fastest} m/s")
        return dt

    @property
    def interior(self) -> np.ndarray:
        """Conserved variables without ghosts, (5, ny, nx): a view; call `refresh` after writing into it."""
        return self._U[:, 2:-2, 2:-2]

    def refresh(self) -> None:
        """Find the wave speed that sets the next step, after the state was changed from outside."""
        zero = self._U.dtype.type(0)
        self._fastest = kernels.finish(
            self._U, zero, zero, False, self._T, self._solid, self._row, self._c, self._k
        )

    def primitive(self) -> np.ndarray:
        """(rho, u, v, e, lam) of the interior, (5, ny, nx)."""
        U = self.interior.astype(np.float64)
        W = U / U[0]
        W[0] = U[0]
        W[3] = np.maximum(W[3] - 0.5 * (W[1] ** 2 + W[2] ** 2), 0.0)
        return W

    def totals(self) -> np.ndarray:
        """Sums over the interior per metre of depth: mass, momentum x and y, energy, burned mass (SI)."""
        return self.interior.astype(np.float64).sum(axis=(1, 2)) * self.grid.pixel**2

    def fields(self) -> dict[str, np.ndarray]:
        """Physical fields by name, each (ny, nx) in SI units; temperature is T0 where mu < 0.5."""
        rho, u, v, e, lam = self.primitive()
        m = self.material
        mu = eos.solid_fraction(rho, e, m)
        return {
            "temperature": np.where(mu < 0.5, m.T0, eos.temperature(rho, e, m)),
            "pressure": eos.pressure(rho, e, m),
            "microstructure": mu,
            "reaction_progress": np.clip(lam, 0.0, 1.0),
            "density": rho,
            "velocity_x": u,
            "velocity_y": v,
        }

    def _add_viscosity(self, dt: float) -> None:
        number = dt * self.material.viscosity / self.material.rho0 / self.grid.pixel**2
        n = viscosity.substeps(number)
        for _ in range(n):
            self._fill(self._U)
            viscosity.viscous_step(self._U, self._U.dtype.type(number / n), self._W, self._F, self._c)

    def _fill(self, state: np.ndarray) -> None:
        kernels.fill_ghosts(state, self.boundaries.codes, self._inflow, self._held)
        if self._neighbours is not None:
            self._neighbours(state)


def conserved(primitive: np.ndarray) -> np.ndarray:
    """(rho, rho u, rho v, rho E, rho lam) from (rho, u, v, e, lam); the first axis holds the variables."""
    rho, u, v, e, lam = primitive
    return np.stack([rho, rho * u, rho * v, rho * (e + 0.5 * (u**2 + v**2)), rho * lam])
