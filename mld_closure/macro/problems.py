"""A porous slab under impact, as a configuration and as a solver ready to step.

`wall`: the slab is thrown at a rigid wall on the left with the piston's speed, so that the material behind
the shock is at rest and stays in its cells. `inflow`: the slab is at rest and the shocked state flows in from
the left, for as long as no burning raises the pressure there (what flows in is unburned).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from mld_closure.dns.eos import Material
from mld_closure.dns.kinetics import Kinetics
from mld_closure.dns.loading import inflow_state
from mld_closure.dns.solver import Boundaries
from mld_closure.grids import Grid
from mld_closure.macro.domain import Domain
from mld_closure.macro.porous import porous_density, porous_shock
from mld_closure.macro.protocol import CellClosure
from mld_closure.macro.solver import MacroSolver


@dataclass(frozen=True)
class Block:
    """A rectangle of other porosity; its corner nearest the origin, width and height in m."""

    x: float
    y: float
    width: float
    height: float
    porosity: float

    def __post_init__(self) -> None:
        if not (self.width > 0 and self.height > 0):
            raise ValueError(f"a block needs a positive size, got {self.width} x {self.height} m")
        if not 0 <= self.porosity <= 1:
            raise ValueError(
                f"the porosity of a block must be from 0 (solid) to 1 (void), got {self.porosity}"
            )


MOST_CELLS = 10**9
# beyond these a number is a mistake of units, and divisions by it overflow
BOUNDS = {"cell_size": (1e-9, 1e3, " m"), "end_time": (1e-15, 1e3, " s"), "cfl": (1e-6, 0.5, "")}


@dataclass(frozen=True)
class MacroCase:
    """A slab of cells x rows macro cells, hit from the left; one row is a one-dimensional run.

    What burns the cells is no part of it: `start` takes a closure.
    """

    cells: int = 100  # along x
    rows: int = 1
    cell_size: float = 24e-6  # m
    piston_speed: float = 900.0  # m/s
    porosity: float = 0.1
    end_time: float = 300e-9  # s
    drive: Literal["wall", "inflow"] = "wall"
    sides: Literal["mirror", "periodic"] = "mirror"  # bottom and top, where there is more than one row
    heat: float = Kinetics.Q  # J/kg
    cfl: float = 0.4
    two_phases: bool = False  # burned and unburned material of a cell at one pressure, not as one material
    blocks: tuple[Block, ...] = ()
    material: Material = field(default_factory=Material)  # its conduction does not act at this scale

    def __post_init__(self) -> None:
        if self.cells < 4 or self.rows < 1:
            raise ValueError(
                f"a slab needs at least 4 cells along x and 1 row, got {self.cells} x {self.rows}"
            )
        if self.cells * self.rows > MOST_CELLS:
            raise ValueError(f"a slab has at most {MOST_CELLS} cells, got {self.cells} x {self.rows}")
        for name, (low, high, unit) in BOUNDS.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name} must be at least {low:g} and at most {high:g}{unit}, got {value}")
        porous_shock(self.piston_speed, self.porosity, self.material)
        for block in self.blocks:
            if not self._covers(block).any():
                raise ValueError(
                    f"block at x = {block.x} m, y = {block.y} m covers no cell centre of the slab"
                )

    @property
    def grid(self) -> Grid:
        """The macro cells."""
        return Grid(self.rows, self.cells, self.cell_size)

    @property
    def length(self) -> float:
        """Length of the slab in m."""
        return self.cells * self.cell_size

    @property
    def ids(self) -> np.ndarray:
        """Ids (rows, cells) under which the cells are to be registered with the closure."""
        return np.arange(self.rows * self.cells).reshape(self.rows, self.cells)

    def porosities(self) -> np.ndarray:
        """Initial porosity (rows, cells); a later block lies over an earlier one."""
        out = np.full((self.rows, self.cells), self.porosity)
        for block in self.blocks:
            out[self._covers(block)] = block.porosity
        return out

    def _covers(self, block: Block) -> np.ndarray:
        y, x = (np.indices((self.rows, self.cells)) + 0.5) * self.cell_size
        along = (x >= block.x) & (x < block.x + block.width)
        return along & (y >= block.y) & (y < block.y + block.height)


def sides(case: MacroCase) -> Boundaries:
    """What lies beyond the sides of a case."""
    across = "copy" if case.rows == 1 else case.sides
    return Boundaries("mirror" if case.drive == "wall" else "fixed", "copy", across, across)


def start(case: MacroCase, closure: CellClosure | None = None, domain: Domain | None = None) -> MacroSolver:
    """The solver of a case at time 0.

    closure: with cells registered under `case.ids`; without one nothing burns.
    domain: the block of this rank, of `case.grid` and `sides(case)`; one block by default.
    """
    domain = domain or Domain(case.grid, sides(case))
    material = dataclasses.replace(case.material, kappa=0.0)
    thrown = case.drive == "wall"
    state = np.zeros((5, case.rows, case.cells))
    state[0] = np.vectorize(porous_density, otypes=[float])(case.porosities(), material)
    state[1] = -case.piston_speed if thrown else 0.0
    shock = porous_shock(case.piston_speed, case.porosity, material)
    return MacroSolver(
        case.grid,
        state,
        closure,
        ids=case.ids,
        heat=case.heat,
        material=material,
        boundaries=sides(case),
        inflow=None if thrown else inflow_state(shock),
        velocity_ahead=(-case.piston_speed if thrown else 0.0, 0.0),
        cfl=case.cfl,
        domain=domain,
        two_phases=case.two_phases,
    )
