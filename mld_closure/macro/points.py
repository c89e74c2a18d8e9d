"""Material points that the Eulerian flow carries: what a closure burns moves with its material.

A point holds an id, a position and the closure's burned fraction. In a step

    move      dx/dt = u by Heun's method, u linear inside each cell with van Leer's slopes
    gather    pressure, entropy and viscous pressure at the point, linear inside its cell likewise
    scatter   each point's share s of its unburned material burns the share s_c = sum a s / sum a of what is
              unburned in cell c, a = w(point, cell) (1 - F), w the hat function over the cells around

so that what a cell gains is what its points lose: b = (1 - lam) m_c s a / sum a is the mass that one point
burns in one cell, the cell gains the sum over the points, the point's ledger the sum over the cells, and the
energy is the heat of either. A cell that no point reaches does not burn.
Why: shares are normalised by the cell, because the number of points in a cell of compressed material varies
from cell to cell, and masses carried by the points would burn some of it twice and leave some unburned.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mld_closure.dns.eos import jit
from mld_closure.grids import Grid
from mld_closure.macro.domain import Domain, fill_sides

LEAST_WEIGHT = 1e-6  # of a burned-out point: it burns what is left of a cell that only such points reach


class MaterialPoints:
    """Points at x, y (n,) in m with ids (n,), in the order of the ids; the arrays are those of all ranks.

    `burned` (n,) is the closure's burned fraction, `ledger` (n,) the mass each has burned (kg per metre of
    depth), summed rank by rank.
    """

    def __init__(self, x: np.ndarray, y: np.ndarray, ids: np.ndarray | None = None) -> None:
        """Points in the order given, which must be that of their ids; 0, 1, ... by default."""
        self.x, self.y = np.array(x, float).ravel(), np.array(y, float).ravel()
        self.ids = np.arange(self.x.size) if ids is None else np.array(ids, np.int64).ravel()
        if not self.x.shape == self.y.shape == self.ids.shape:
            raise ValueError(f"{self.x.size} x, {self.y.size} y and {self.ids.size} ids of points")
        if np.any(np.diff(self.ids) <= 0):
            raise ValueError("points must be in the order of their ids, each once")
        self.burned = np.zeros(self.x.size)
        self.ledger = np.zeros(self.x.size)

    @property
    def size(self) -> int:
        """Number of points."""
        return self.x.size


def points_in_cells(grid: Grid, along_x: int = 1, along_y: int = 1) -> MaterialPoints:
    """along_x times along_y points evenly in every cell, numbered row by row of the grid of points."""
    x = (np.arange(grid.nx * along_x) + 0.5) * (grid.pixel / along_x)
    y = (np.arange(grid.ny * along_y) + 0.5) * (grid.pixel / along_y)
    return MaterialPoints(*(a.ravel() for a in np.meshgrid(x, y)))


class Carrier:
    """Moves points with a flow on a `Domain`, and carries values between cells and points.

    Every rank knows all points; a point belongs to the rank in whose block it lies, which moves it and
    gathers for it, and to the closure of the rank in whose block it was born. Results have the same bits on
    any number of ranks. All methods are collective.
    """

    def __init__(self, points: MaterialPoints, domain: Domain) -> None:
        self.points, self.domain = points, domain
        rows, columns = domain.part
        self._corner = columns.start, rows.start  # of the block, in cells
        sides = domain.sides
        self._around = [sides.left == "periodic", sides.bottom == "periodic"]
        self._beyond = replace(domain.boundaries, left=domain.boundaries.left.replace("fixed", "copy"))
        self.born_here = self._inside(points.x, points.y)

    def move(self, before: np.ndarray, after: np.ndarray, dt: float) -> None:
        """Carry the points through dt (s) by the velocities (2, ny, nx) at its beginning and its end."""
        p = self.points
        first = self._velocities(before, p.x, p.y)
        ahead = self._kept(p.x + dt * first[0], p.y + dt * first[1])
        mean = 0.5 * (first + self._velocities(after, *ahead))
        p.x, p.y = self._kept(p.x + dt * mean[0], p.y + dt * mean[1])

    def gather(self, field: np.ndarray) -> np.ndarray:
        """Values (n,) of a scalar cell field (ny, nx) at the points; zero for those outside the grid."""
        return self._gather(field[None], (), self.points.x, self.points.y)[0]

    def velocities(self, field: np.ndarray) -> np.ndarray:
        """Velocities (2, n) at the points from those of the cells (2, ny, nx)."""
        return self._velocities(field, self.points.x, self.points.y)

    def scatter(self, share: np.ndarray, unburned: np.ndarray) -> np.ndarray:
        """Mass (ny, nx) that burns in the cells of this block when each point burns a share (n,) of its own.

        unburned: (ny, nx) unburned mass of the cells, of which no cell burns more. Adds to the ledgers.
        """
        p, grid = self.points, self.domain.grid
        weight = np.where(self._within(), np.maximum(1 - p.burned, LEAST_WEIGHT), 0.0)
        burned, ledger = scatter_shares(
            p.x / grid.pixel - 0.5, p.y / grid.pixel - 0.5, weight, share, unburned,
            *self._corner, grid.nx, grid.ny, *self._around,
        )  # fmt: skip
        p.ledger = p.ledger + self.domain.sum(ledger)
        return burned

    def everywhere(self, mine: np.ndarray) -> np.ndarray:
        """Values (n,) of all points from those (m,) of the points whose closure is here."""
        values = np.zeros(self.points.size)
        values[self.born_here] = mine
        return self.domain.sum(values)

    def _velocities(self, field: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return self._gather(field, (0, 1), x, y)

    def _gather(self, fields: np.ndarray, flips: tuple[int, ...], x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Values (f, n) of fields (f, ny, nx) at x, y (n,); flips: those that change sign in the mirrors."""
        here = self._inside(x, y)
        values = np.zeros((len(fields), x.size))
        if fields.size:
            padded = np.zeros((len(fields), *(n + 4 for n in self.domain.shape)))
            padded[:, 2:-2, 2:-2] = fields
            fill_sides(padded, self._beyond, np.zeros((len(fields), 1)), flips)
            self.domain.fill(padded)
            pixel = self.domain.grid.pixel
            for field, value in zip(padded, values, strict=True):
                value[here] = gather_linear(field, x[here] / pixel, y[here] / pixel, *self._corner)
        return self.domain.sum(values.ravel()).reshape(values.shape)

    def _inside(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Which of the positions lie in this block."""
        rows, columns = self.domain.part
        pixel = self.domain.grid.pixel
        i, j = np.floor(x / pixel), np.floor(y / pixel)
        return (i >= columns.start) & (i < columns.stop) & (j >= rows.start) & (j < rows.stop)

    def _within(self) -> np.ndarray:
        """Which of the points lie in the grid."""
        p, grid = self.points, self.domain.grid
        i, j = p.x / grid.pixel, p.y / grid.pixel
        return (i >= 0) & (i < grid.nx) & (j >= 0) & (j < grid.ny)

    def _kept(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Positions brought back into the grid where its sides are periodic or mirrors."""
        grid, sides = self.domain.grid, self.domain.sides
        out = []
        for z, low, high, n in ((x, sides.left, sides.right, grid.nx), (y, sides.bottom, sides.top, grid.ny)):
            length = n * grid.pixel
            if low == "periodic":
                z = np.mod(z, length)
                z = np.where(z >= length, 0.0, z)  # a tiny negative number comes back as the length itself
            if low == "mirror":
                z = np.abs(z)
            if high == "mirror":
                z = np.where(z > length, 2 * length - z, z)
            out.append(z)
        return tuple(out)


@jit
def gather_linear(padded, x, y, left_cell, low_cell):
    """Values (n,) at x, y (n,), in cells from the grid's corner, of a field (ny + 4, nx + 4) of a block whose
    first cell is (left_cell, low_cell)."""
    out = np.empty(x.shape[0])
    for k in range(x.shape[0]):
        a, b = int(np.floor(x[k])), int(np.floor(y[k]))
        i, j = a - left_cell + 2, b - low_cell + 2
        middle = padded[j, i]
        left, right = middle - padded[j, i - 1], padded[j, i + 1] - middle
        below, above = middle - padded[j - 1, i], padded[j + 1, i] - middle
        slope_x = 2.0 * left * right / (left + right) if left * right > 0.0 else 0.0
        slope_y = 2.0 * below * above / (below + above) if below * above > 0.0 else 0.0
        value = middle + slope_x * (x[k] - a - 0.5) + slope_y * (y[k] - b - 0.5)
        low = middle - max(left, -right, below, -above, 0.0)
        high = middle + max(-left, right, -below, above, 0.0)
        out[k] = min(max(value, low), high)  # both slopes together may leave the range of the cells around
    return out


@jit
def scatter_shares(i, j, weight, share, unburned, left_cell, low_cell, nx, ny, around_x, around_y):
    """(burned (h, w), ledger (n,)) of a block: see the head of this file; points in their order.

    i, j (n,): cells from the centre of the grid's first; nx, ny: cells of the grid; around: whether its sides
    are periodic. Beyond other sides the nearest cell takes the weight.
    """
    h, w = unburned.shape
    total, part = np.zeros((h, w)), np.zeros((h, w))
    ledger = np.zeros(i.shape[0])
    for second in range(2):
        for k in range(i.shape[0]):
            if weight[k] == 0.0:
                continue
            a, b = int(np.floor(i[k])), int(np.floor(j[k]))
            for corner in range(4):
                x, y = a + corner % 2, b + corner // 2
                hat = (1.0 - abs(i[k] - x)) * (1.0 - abs(j[k] - y)) * weight[k]
                x = x % nx if around_x else min(max(x, 0), nx - 1)
                y = y % ny if around_y else min(max(y, 0), ny - 1)
                x, y = x - left_cell, y - low_cell
                if hat > 0.0 and 0 <= x < w and 0 <= y < h:
                    if second:
                        ledger[k] += unburned[y, x] * share[k] * (hat / total[y, x])
                    else:
                        total[y, x] += hat
                        part[y, x] += hat * share[k]
    burned = np.zeros((h, w))
    for y in range(h):
        for x in range(w):
            if total[y, x] > 0.0:
                burned[y, x] = unburned[y, x] * min(part[y, x] / total[y, x], 1.0)
    return burned, ledger
