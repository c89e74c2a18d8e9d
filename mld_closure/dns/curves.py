"""What the patch's own material does: burned share, pressure and hot spots by mass coordinate.

The mass coordinate of a column is the mass between it and the rigid wall at the left. Nothing flows through
the wall, so the material that lay in the patch at the start is always that between two mass coordinates, and
a part of the patch that between two others, wherever it has moved. Inside a column everything counts as
spread evenly over its width.

Why: a window fixed in space loses burned material and takes in foreign material as the products expand.
"""

from __future__ import annotations

import numpy as np

from mld_closure.dns.solver import Solver

HOT = 875.0  # K, above which material counts as a hot spot


class OwnMaterial:
    """The material that lies in some columns when it is made, and in equal parts of them, at any later time.

    columns: (first, last + 1) of the patch in the solver's grid, cut into `parts` of equal width.
    """

    def __init__(self, run: Solver, columns: tuple[int, int], parts: int) -> None:
        first, end = columns
        if not 0 <= first < end <= run.grid.nx or parts < 1 or (end - first) % parts:
            raise ValueError(f"columns {columns} of {run.grid.nx} cannot be cut into {parts} equal parts")
        edges = np.arange(first, end + 1, (end - first) // parts)
        self.edges = _running(run.primitive()[0])[edges] * run.grid.pixel**2  # (parts + 1,) kg/m

    def measure(self, run: Solver) -> dict[str, np.ndarray]:
        """Means and areas of the whole patch and of its parts now, each (1 + parts,) in SI units.

        burned_share: burned mass to own mass. mean_pressure: over own area. mean_density: own mass to own
        area. mean_energy: specific internal energy. hot_area: own area hotter than HOT. hot_temperature: mean
        over that area, 0 where there is none. kept_share: own mass that has not left through the right side.
        """
        rho, _, _, e, lam = run.primitive()
        fields = run.fields()
        hot = fields["temperature"] > HOT
        columns = (
            rho,
            rho * lam,
            rho * e,
            fields["pressure"],
            hot,
            np.where(hot, fields["temperature"], 0.0),
        )
        sums = np.stack([_running(c) for c in columns]) * run.grid.pixel**2  # (quantity, nx + 1)
        faces = np.arange(run.grid.nx + 1.0)
        places = np.interp(self.edges, sums[0], faces)  # columns where the mass coordinates are now
        at = np.stack([np.interp(places, faces, s) for s in sums])  # (quantity, parts + 1)
        area = places * (run.grid.ny * run.grid.pixel**2)
        mass, burned, energy, push, hot_area, heat = (_whole_and_parts(a) for a in at)
        area, own = _whole_and_parts(area), _whole_and_parts(self.edges)
        some = np.maximum(mass, 1e-12 * own)  # a part that has left altogether counts as nothing, not as nan
        return {
            "burned_share": burned / some,
            "mean_pressure": push / np.maximum(area, 1e-12 * run.grid.pixel**2),
            "mean_density": mass / np.maximum(area, 1e-12 * run.grid.pixel**2),
            "mean_energy": energy / some,
            "hot_area": hot_area,
            "hot_temperature": heat / np.where(hot_area > 0, hot_area, 1.0),
            "kept_share": mass / own,
        }


def _running(values: np.ndarray) -> np.ndarray:
    """Sum of values (ny, nx) over all columns left of each column's left face, (nx + 1,)."""
    return np.concatenate([[0.0], np.cumsum(values.sum(axis=0))])


def _whole_and_parts(at_edges: np.ndarray) -> np.ndarray:
    """(1 + parts,) differences of a running sum at the parts' edges: the whole first, then part by part."""
    return np.concatenate([[at_edges[-1] - at_edges[0]], np.diff(at_edges)])


class Arrivals:
    """When the mean pressure of the whole patch and of each part first reached a level; nan while it has not.

    Interpolated in time between the two measurements before and after.
    """

    def __init__(self, level: float, count: int) -> None:
        self.level = level
        self.times = np.full(count, np.nan)
        self.before: tuple[float, np.ndarray] | None = None

    def add(self, time: float, pressure: np.ndarray) -> None:
        """Take a measurement of pressure (count,) in Pa at a time (s) later than those before."""
        new = np.isnan(self.times) & (pressure >= self.level)
        if self.before is None:
            self.times[new] = time
        else:
            t, p = self.before
            share = (self.level - p[new]) / (pressure[new] - p[new])
            self.times[new] = t + share * (time - t)
        self.before = time, pressure

    @property
    def complete(self) -> bool:
        """Whether the level was reached everywhere."""
        return not np.isnan(self.times).any()
