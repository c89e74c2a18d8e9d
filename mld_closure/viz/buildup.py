"""Slabs whose shock builds up to a detonation, side by side: distance and time, and speed of the front."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from .macro import MACRO_STYLES
from .plots import new_figure

SMOOTH = 16  # cells over which a front's speed is taken


def draw_buildup(slabs: Sequence[Any]) -> Figure:
    """Draw what `study.buildup.run_slab` returned: above, pressure and burned fraction of each slab over
    depth and time with its front; below, the speed of the fronts over depth."""
    figure = new_figure(4.6 * len(slabs), 9.6)
    grid = figure.add_gridspec(3, len(slabs), height_ratios=(1, 1, 0.9))
    high = max(float(np.quantile(s.fields["pressure"], 0.999)) for s in slabs)
    end = max(float(s.run.depth) for s in slabs)
    until = max(float(s.times[-1]) for s in slabs)
    for column, slab in enumerate(slabs):
        for row, name in enumerate(("pressure", "burned_fraction")):
            axis = figure.add_subplot(grid[row, column])
            style = MACRO_STYLES[name]
            limits = (0.0, style.factor * high) if name == "pressure" else (0.0, 1.0)
            image = axis.pcolormesh(
                1e3 * slab.depth, 1e6 * slab.times, style.factor * slab.fields[name], cmap=style.colours,
                vmin=limits[0], vmax=limits[1], rasterized=True, shading="nearest",
            )  # fmt: skip
            axis.plot(1e3 * slab.run.front[:, 0], 1e6 * slab.run.front[:, 1], color="w", lw=0.8, ls="--")
            if np.isfinite(slab.run.run):
                axis.plot(1e3 * slab.run.run, 1e6 * slab.run.run_time, "o", mfc="none", mec="w", ms=9)
            axis.set(xlim=(0, 1e3 * end), ylim=(0, 1e6 * until))
            if row == 0:
                axis.set_title(_title(slab), fontsize=10)
            if column == 0:
                axis.set_ylabel("time [µs]")
            bar = figure.colorbar(image, ax=axis, pad=0.01)
            bar.set_label(style.label if column == len(slabs) - 1 else "")
    axis = figure.add_subplot(grid[2, :])
    for k, slab in enumerate(slabs):
        depth, speed = front_speed(slab.run.front)
        axis.plot(1e3 * depth, 1e-3 * speed, color=f"C{k}", label=f"pores of {1e6 * slab.pore:.2g} µm")
        if np.isfinite(slab.run.run):
            axis.axvline(1e3 * slab.run.run, color=f"C{k}", lw=0.8, ls=":")
    run = slabs[0].run
    for value, name in ((run.inert_speed, "inert shock"), (run.detonation_speed, "Chapman-Jouguet")):
        axis.axhline(1e-3 * value, color="0.5", lw=0.8, ls="--")
        axis.annotate(name, (1e3 * end, 1e-3 * value), ha="right", va="bottom", fontsize=8, color="0.35")
    axis.set(xlabel="depth in the slab before the impact [mm]", ylabel="speed of the front [km/s]")
    axis.set(xlim=(0, 1e3 * end), ylim=(0.9e-3 * run.inert_speed, 1.25e-3 * run.detonation_speed))
    axis.legend(loc="upper left", fontsize=9)
    return figure


def front_speed(front: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Depths (m) and speeds (m/s) of a front (n, 2), depth and time cell by cell, over `SMOOTH` cells."""
    lag = min(SMOOTH, len(front) - 1)
    rise = front[lag:] - front[:-lag]
    return 0.5 * (front[lag:, 0] + front[:-lag, 0]), rise[:, 0] / rise[:, 1]


def _title(slab: Any) -> str:
    run = slab.run
    ended = f"no detonation by {1e3 * run.depth:.2f} mm"
    found = f"detonates at {1e3 * run.run:.2f} mm" if np.isfinite(run.run) else ended
    return f"pores of {1e6 * slab.pore:.2g} µm, {1e-9 * run.input_pressure:.1f} GPa: {found}"
