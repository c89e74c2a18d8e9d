"""A grid cut into blocks, one a rank: who owns what, ghost cells from neighbours, and ranks that agree.

Blocks are as even as can be, along x, along y or both, whichever shares the fewest edges. A rank beyond the
last block owns no cells and takes part in everything else. Without a communicator one block is all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from mld_closure.dns.eos import Material
from mld_closure.dns.solver import Boundaries
from mld_closure.fields import FIELDS
from mld_closure.grids import Grid

FLOW_FIELDS = tuple(FIELDS)
GHOSTS = 2  # layers of cells that the flow reads beyond its own
_OPPOSITE = {"left": "right", "right": "left", "bottom": "top", "top": "bottom"}
_TAGS = {side: number for number, side in enumerate(_OPPOSITE)}  # of a message, by the side it arrives at
_ERRORS = {kind.__name__: kind for kind in (FloatingPointError, FileNotFoundError, ValueError)}


class Domain:
    """The block of a grid that this rank owns.

    shape: (ny, nx) of the block, (0, 0) for a rank without cells; part: its slices (rows, columns) of the
    grid; boundaries: what lies beyond its sides where no neighbour does; sides: what lies beyond those of the
    grid. layout: (down, across) blocks of all ranks. comm: None, or a communicator with the calls of
    mpi4py's. Raises ValueError for a layout that does not fit.
    """

    def __init__(
        self,
        grid: Grid,
        boundaries: Boundaries,
        comm: Any = None,
        layout: tuple[int, int] | None = None,
    ) -> None:
        self.grid: Grid = grid
        self.comm: Any = comm
        self.rank, self.size = (0, 1) if comm is None else (comm.rank, comm.size)
        self.layout: tuple[int, int] = best_layout(grid, self.size) if layout is None else layout
        down, across = self.layout
        if down * across > self.size or not (_fits(grid.ny, down) and _fits(grid.nx, across)):
            raise ValueError(
                f"{down} x {across} blocks do not fit {self.size} ranks and {grid.ny} x {grid.nx} cells, "
                f"{GHOSTS} a block at least"
            )
        self.neighbours: dict[str, int] = {}
        self.sides = self.boundaries = boundaries
        if self.rank >= down * across:
            self.part = slice(0, 0), slice(0, 0)
            self.shape = (0, 0)
            return
        row, column = divmod(self.rank, across)
        self.part: tuple[slice, slice] = _span(grid.ny, row, down), _span(grid.nx, column, across)
        self.shape: tuple[Any, ...] = tuple(s.stop - s.start for s in self.part)
        self._meet("left", column > 0, boundaries.left, across, row * across + (column - 1) % across)
        right = row * across + (column + 1) % across
        self._meet("right", column + 1 < across, boundaries.right, across, right)
        self._meet("bottom", row > 0, boundaries.bottom, down, (row - 1) % down * across + column)
        self._meet("top", row + 1 < down, boundaries.top, down, (row + 1) % down * across + column)
        self.boundaries: Boundaries = replace(boundaries, **dict.fromkeys(self.neighbours, "copy"))

    def _meet(self, side: str, inside: bool, boundary: str, blocks: int, rank: int) -> None:
        if inside or (boundary == "periodic" and blocks > 1):
            self.neighbours[side] = rank

    def fill(self, U: np.ndarray) -> None:
        """Fill the ghost cells of U (v, ny + 4, nx + 4) that lie in neighbours' blocks; no corners."""
        inside, waiting = slice(GHOSTS, -GHOSTS), []
        for side, rank in self.neighbours.items():
            here, beyond = _strips(side)
            across = side in ("left", "right")
            mine = U[:, inside, here] if across else U[:, here, inside]
            ghosts = U[:, inside, beyond] if across else U[:, beyond, inside]
            come = np.empty(ghosts.shape, U.dtype)
            gone = np.ascontiguousarray(mine)
            waiting.append((self.comm.Irecv(come, rank, _TAGS[side]), ghosts, come))
            waiting.append((self.comm.Isend(gone, rank, _TAGS[_OPPOSITE[side]]), None, gone))
        for request, ghosts, data in waiting:
            request.Wait()
            if ghosts is not None:
                ghosts[...] = data

    def least(self, work: Callable[[], float]) -> float:
        """The least of what `work` gives on the ranks; an error on one is raised on all. Collective."""
        if self.size == 1:
            return work()
        value, error = np.nan, None
        try:
            value = work()
        except Exception as err:
            error = err
        every = np.empty((self.size, 2))
        self.comm.Allgather(np.array([value, error is not None], np.float64), every)
        if every[:, 1].any():
            self._raise(error)
        return float(every[:, 0].min())

    def gather(self, block: np.ndarray) -> np.ndarray | None:
        """The whole array (..., ny, nx) of blocks (..., h, w) on rank 0, None elsewhere. Collective."""
        if self.size == 1:
            return block
        parts = self.comm.gather((self.part, block))
        if parts is None:
            return None
        whole = np.empty((*block.shape[:-2], *self.grid.shape), block.dtype)
        for part, values in parts:
            whole[(..., *part)] = values
        return whole

    def cut(self, whole: np.ndarray) -> np.ndarray:
        """This rank's block (..., h, w), a copy, of an array (..., ny, nx)."""
        return np.array(whole[(..., *self.part)])

    def sum(self, values: np.ndarray) -> np.ndarray:
        """Sums over the ranks, in their order, of values (n,). Collective."""
        if self.size == 1:
            return values
        every = np.empty((self.size, len(values)))
        self.comm.Allgather(np.ascontiguousarray(values, np.float64), every)
        return every.sum(axis=0)

    def _raise(self, error: Exception | None) -> None:
        """Raise what the first rank with an error says, on every rank."""
        mine = None if error is None else (type(error).__name__, str(error))
        failed = {rank: text for rank, text in enumerate(self.comm.allgather(mine)) if text is not None}
        if getattr(error, "everywhere", False):
            raise error  # the closure's ranks have agreed on it
        rank = min(failed)
        kind, text = failed[rank]
        shared = _ERRORS.get(kind, RuntimeError)(f"rank {rank}: {text}")
        shared.everywhere = True
        raise shared from error


def best_layout(grid: Grid, ranks: int) -> tuple[int, int]:
    """Blocks (down, across) for as many ranks as can have one, with the fewest cells along shared edges."""
    fitting = [
        (down, across)
        for down in range(1, ranks + 1)
        for across in range(1, ranks // down + 1)
        if _fits(grid.ny, down) and _fits(grid.nx, across)
    ]
    return min(fitting, key=lambda b: (-b[0] * b[1], (b[0] - 1) * grid.nx + (b[1] - 1) * grid.ny))


def _fits(cells: int, blocks: int) -> bool:
    return blocks == 1 or (blocks > 1 and cells // blocks >= GHOSTS)


def _span(cells: int, number: int, blocks: int) -> slice:
    return slice(cells * number // blocks, cells * (number + 1) // blocks)


def _strips(side: str) -> tuple[slice, slice]:
    """Slices across a side: the own cells that its neighbour needs, and the ghosts that come from there."""
    if side in ("left", "bottom"):
        return slice(GHOSTS, 2 * GHOSTS), slice(0, GHOSTS)
    return slice(-2 * GHOSTS, -GHOSTS), slice(-GHOSTS, None)


def fill_sides(
    state: np.ndarray, boundaries: Boundaries, inflow: np.ndarray, flips: tuple[int, ...] = (1, 2)
) -> None:
    """Fill two ghost layers of (variables, ny + 4, nx + 4) as the boundaries say.

    inflow: (variables, 1) beyond a fixed left side. flips: the variables that change sign in mirrors across x
    and across y; empty for scalars.
    """
    along_y, along_x = state, state.transpose(0, 2, 1)
    for axis, (lines, low, high) in enumerate(
        ((along_x, boundaries.left, boundaries.right), (along_y, boundaries.bottom, boundaries.top))
    ):
        n = lines.shape[1] - 4
        for g in range(2):
            for kind, ghost, near, mirrored, across in (
                (low, 1 - g, 2, 2 + g, n + 1 - g),
                (high, n + 2 + g, n + 1, n + 1 - g, 2 + g),
            ):
                if kind == "fixed":
                    lines[:, ghost] = inflow
                    continue
                source = {"copy": near, "mirror": mirrored, "periodic": across}[kind]
                lines[:, ghost] = lines[:, source]
                if kind == "mirror" and flips:
                    lines[flips[axis], ghost] *= -1


class NoFlow:
    """The flow of a rank without cells: it keeps time, and shows what `dns.solver.Solver` does."""

    next_step: float = np.inf

    def __init__(self, grid: Grid, material: Material, variables: int = 5) -> None:
        self.grid: Grid = grid
        self.material: Material = material
        self.time, self.steps = 0.0, 0
        self.interior: np.ndarray = np.zeros((variables, 0, 0))
        self.pressure = self.q = np.zeros((0, 0))

    def step(self, limit: float) -> float:
        """Let `limit` seconds pass."""
        self.time += limit
        self.steps += 1
        return limit

    def refresh(self) -> None:
        """Nothing to look at."""

    def primitive(self) -> np.ndarray:
        """(variables, 0, 0)."""
        return self.interior.copy()

    def totals(self) -> np.ndarray:
        """Zeros (5,)."""
        return np.zeros(5)

    def fields(self) -> dict[str, np.ndarray]:
        """The fields by name, (0, 0) each."""
        return {name: np.zeros((0, 0)) for name in FLOW_FIELDS}
