"""Pictures of a macro run: x-t diagram, profiles at some times, position and speed of the front."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from mld_closure.viz.plots import STYLES, Style, new_figure, spread

MACRO_STYLES: Mapping[str, Style] = {
    **STYLES,
    "pressure": Style("pressure [GPa]", 1e-9, "viridis"),
    "burned_fraction": Style("burned fraction", 1.0, "magma", (0.0, 1.0)),
    "temperature": Style("mean temperature [K]", 1.0, "inferno"),
    "hotspot_temperature": Style("hot-spot temperature [K]", 1.0, "inferno"),
    "burn_rate": Style("burn rate [1/µs]", 1e-6, "magma"),
    "velocity_x": Style("velocity [km/s]", 1e-3, "viridis"),
}


def draw_xt(
    fields: Mapping[str, np.ndarray],
    times: np.ndarray,
    cell_size: float,
    *,
    front: np.ndarray | None = None,
    title: str = "",
) -> Figure:
    """Draw an x-t diagram: one panel per field, distance to the right, time upwards.

    Parameters
    ----------
    fields : mapping of str to array (frame, x)
        Values in SI units.
    times : array (frame,)
        Times [s].
    cell_size : float
        Width of a cell [m].
    front : array (frame,), optional
        Position of the front [m], drawn as a dashed line.
    title : str
        Title of the figure.

    Returns
    -------
    Figure
    """
    figure = new_figure(4.3 * len(fields), 4.6)
    axes = figure.subplots(1, len(fields), squeeze=False, sharey=True)[0]
    middles = 0.5 * (times[1:] + times[:-1])
    t_edges = 1e9 * np.concatenate([times[:1], middles, times[-1:]])
    for axis, (name, values) in zip(axes, fields.items(), strict=True):
        style = MACRO_STYLES[name]
        x_edges = 1e3 * cell_size * np.arange(values.shape[1] + 1)
        low, high = style.limits if isinstance(style.limits, tuple) else (None, None)
        image = axis.pcolormesh(
            x_edges, t_edges, style.factor * values, cmap=style.colours, vmin=low, vmax=high, rasterized=True
        )
        if front is not None:
            axis.plot(1e3 * front, 1e9 * times, "--", color="white", lw=0.9)
        axis.set_xlabel("x [mm]")
        figure.colorbar(image, ax=axis, location="top", pad=0.01, aspect=30).set_label(style.label)
    axes[0].set_ylabel("time [ns]")
    figure.suptitle(title, fontsize=11)
    return figure


def draw_profiles(
    fields: Mapping[str, np.ndarray],
    times: np.ndarray,
    cell_size: float,
    *,
    n_times: int = 6,
    title: str = "",
) -> Figure:
    """Draw fields over x, one panel per field, one line per time.

    Parameters
    ----------
    fields : mapping of str to array (frame, x)
        Values in SI units.
    times : array (frame,)
        Times [s].
    cell_size : float
        Width of a cell [m].
    n_times : int
        Number of evenly spread times.
    title : str
        Title of the figure.

    Returns
    -------
    Figure
    """
    frames = spread(len(times), n_times + 1)[1:] or [0]
    figure = new_figure(7.0, 1.9 * len(fields) + 0.9)
    axes = figure.subplots(len(fields), 1, squeeze=False, sharex=True)[:, 0]
    colours = _colours(len(frames))
    for axis, (name, values) in zip(axes, fields.items(), strict=True):
        style = MACRO_STYLES[name]
        x = 1e3 * cell_size * (np.arange(values.shape[1]) + 0.5)
        for frame, colour in zip(frames, colours, strict=True):
            axis.plot(
                x, style.factor * values[frame], color=colour, lw=1.2, label=f"{1e9 * times[frame]:.0f} ns"
            )
        axis.set_ylabel(style.label, fontsize=8)
        axis.tick_params(labelsize=8)
        axis.grid(alpha=0.25)
        if isinstance(style.limits, tuple):
            axis.set_ylim(style.limits[0] - 0.03, style.limits[1] + 0.03)
    axes[-1].set_xlabel("x [mm]")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right upper", fontsize=8)
    figure.suptitle(title, fontsize=11)
    return figure


def draw_front(
    times: np.ndarray,
    distance: np.ndarray,
    speed: np.ndarray,
    levels: Mapping[str, float],
    *,
    transition: tuple[float, float] | None = None,
    title: str = "",
) -> Figure:
    """Draw the distance that the front has run into the unshocked material, and its speed, over time.

    Parameters
    ----------
    times : array (step,)
        Times [s].
    distance : array (step,)
        Distance [m].
    speed : array (step,)
        Speed [m/s].
    levels : mapping of str to float
        Speeds to compare with [m/s], by name.
    transition : (time, distance), optional
        Transition to detonation to be marked [s, m].
    title : str
        Title of the figure.

    Returns
    -------
    Figure
    """
    figure = new_figure(7.0, 6.2)
    top, bottom = figure.subplots(2, 1, sharex=True)
    top.plot(1e9 * times, 1e3 * distance, color="C0")
    top.set_ylabel("distance run [mm]")
    bottom.plot(1e9 * times, 1e-3 * speed, color="C0", label="front")
    for i, (name, level) in enumerate(levels.items()):
        bottom.axhline(
            1e-3 * level, color=f"C{i + 1}", ls="--", lw=1, label=f"{name}, {1e-3 * level:.2f} km/s"
        )
    if transition is not None:
        t, x = transition
        for axis in (top, bottom):
            axis.axvline(1e9 * t, color="0.6", lw=0.8)
        top.plot(1e9 * t, 1e3 * x, "o", color="C3")
        top.annotate(
            f"transition: {1e3 * x:.2f} mm, {1e9 * t:.0f} ns", (1e9 * t, 1e3 * x), (8, -14), fontsize=8,
            textcoords="offset points",
        )  # fmt: skip
    bottom.set_ylim(bottom=0)
    bottom.set_xlabel("time [ns]")
    bottom.set_ylabel("speed [km/s]")
    bottom.legend(fontsize=8, loc="lower right")
    for axis in (top, bottom):
        axis.grid(alpha=0.25)
    figure.suptitle(title, fontsize=11)
    return figure


def _colours(n: int) -> Sequence[tuple[float, ...]]:
    """`n` colours from dark to light."""
    from matplotlib import colormaps

    return [colormaps["plasma"](v) for v in np.linspace(0.0, 0.85, n)]
