"""Pictures of fields: one row per field, one column per time, physical units, one colour scale per row.

Why: figures are made without pyplot, so drawing leaves no global state in a host program.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from mld_closure.data.trajectories import Trajectories
from mld_closure.durable import published
from mld_closure.fields import MODEL_FIELDS

PICTURE_FORMATS = (".png", ".pdf", ".svg")
PERCENTILE = 99.5  # of the brightest frame; a few pixels may saturate to keep the contrast of the rest


@dataclass(frozen=True)
class Style:
    """How a field is drawn.

    Attributes
    ----------
    label : str
        Name and display unit.
    factor : float
        Factor from SI units to the display unit.
    colours : str
        Name of the colour map.
    limits : (float, float), "centred" or None
        Fixed limits in display units, symmetric about zero, or taken from the values.
    """

    label: str
    factor: float
    colours: str
    limits: tuple[float, float] | Literal["centred"] | None = None


STYLES: Mapping[str, Style] = {
    "temperature": Style("temperature [K]", 1.0, "inferno"),
    "pressure": Style("pressure [GPa]", 1e-9, "viridis"),
    "microstructure": Style("solid fraction", 1.0, "gray", (0.0, 1.0)),
    "reaction_progress": Style("burned fraction", 1.0, "magma", (0.0, 1.0)),
    "density": Style("density [g/cm³]", 1e-3, "cividis"),
    "velocity_x": Style("velocity, x [km/s]", 1e-3, "viridis"),
    "velocity_y": Style("velocity, y [km/s]", 1e-3, "RdBu_r", "centred"),
}


def draw_case(
    data: Trajectories, case: int, fields: Sequence[str] = MODEL_FIELDS, n_frames: int = 5
) -> Figure:
    """Draw one case of a file.

    Parameters
    ----------
    data : Trajectories
        The file.
    case : int
        Position of the case in the file.
    fields : sequence of str
        One row per field.
    n_frames : int
        Number of columns, evenly spread over the times of the case.

    Returns
    -------
    Figure
    """
    frames = spread(data.n_frames, n_frames)
    values = data.read(case, fields, frames)
    return draw_frames(values, data.times[frames], fields, data.pixel, case_title(data, case))


def draw_frames(
    values: np.ndarray, times: np.ndarray, fields: Sequence[str], pixel: float, title: str = ""
) -> Figure:
    """Draw frames: one row per field, one column per time. A row has one colour scale.

    Parameters
    ----------
    values : array (time, field, y, x)
        Values in SI units.
    times : array (time,)
        Times [s].
    fields : sequence of str
        Names along the field axis.
    pixel : float
        Side of a pixel [m].
    title : str
        Title of the figure.

    Returns
    -------
    Figure
    """
    n_t, n_f, ny, nx = values.shape
    width = 2.5
    figure = new_figure(width * n_t + 1.3, (width * ny / nx + 0.25) * n_f + 0.8)
    axes = figure.subplots(n_f, n_t, squeeze=False, sharex=True, sharey=True)
    for row, name in enumerate(fields):
        limits = colour_limits(name, values[:, row])
        for column, time in enumerate(times):
            image = show(axes[row, column], values[column, row], name, pixel, limits)
            if row == 0:
                axes[row, column].set_title(f"{time * 1e9:.2f} ns", fontsize=9)
        add_colour_bar(figure, image, list(axes[row]), name, values[:, row], limits)
    for axis in axes[-1]:
        axis.set_xlabel("x [µm]", fontsize=8)
    for axis in axes[:, 0]:
        axis.set_ylabel("y [µm]", fontsize=8)
    figure.suptitle(title, fontsize=11)
    return figure


def save(figure: Figure, path: str | Path, dpi: int = 150) -> Path:
    """Write a figure in the format of the file suffix and return the path; ValueError for another suffix."""
    path = picture_path(path)
    with published(path) as temporary:
        figure.savefig(temporary, dpi=dpi, format=path.suffix[1:].lower())
    return path


def picture_path(path: str | Path) -> Path:
    """Return `path` as a Path; ValueError if its suffix is no picture format."""
    path = Path(path)
    if path.suffix.lower() not in PICTURE_FORMATS:
        raise ValueError(f"{path}: a picture ends in {', '.join(PICTURE_FORMATS)}")
    return path


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure (width and height in inches) that lays itself out without overlaps."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def show(axis: Axes, image: np.ndarray, name: str, pixel: float, limits: tuple[float, float]) -> AxesImage:
    """Draw one image.

    Parameters
    ----------
    axis : Axes
        Where to draw.
    image : array (y, x)
        Values in SI units.
    name : str
        Field, which decides the style.
    pixel : float
        Side of a pixel [m]; the axes are in micrometres.
    limits : (float, float)
        Limits of the colour scale in display units.

    Returns
    -------
    AxesImage
    """
    style = STYLES[name]
    ny, nx = image.shape
    axis.tick_params(labelsize=7)
    return axis.imshow(
        image * style.factor,
        cmap=style.colours,
        vmin=limits[0],
        vmax=limits[1],
        origin="lower",
        extent=(0, nx * pixel * 1e6, 0, ny * pixel * 1e6),
        interpolation="nearest",
    )


def add_colour_bar(
    figure: Figure,
    image: AxesImage,
    axes: Sequence[Axes],
    name: str,
    values: np.ndarray,
    limits: tuple[float, float],
) -> None:
    """Add a colour bar beside `axes`; a pointed end shows that some values lie beyond the limits."""
    shown = values * STYLES[name].factor
    over, under = shown.max() > limits[1] * (1 + 1e-6), shown.min() < limits[0] - 1e-6 * abs(limits[0])
    extend = {(0, 0): "neither", (1, 0): "max", (0, 1): "min", (1, 1): "both"}[int(over), int(under)]
    bar = figure.colorbar(image, ax=axes, extend=extend, pad=0.015, aspect=15)
    bar.set_label(STYLES[name].label, fontsize=8)
    bar.ax.tick_params(labelsize=7)


def colour_limits(name: str, values: np.ndarray) -> tuple[float, float]:
    """Return the colour limits, in display units, for the values of one row (time, y, x; SI units).

    The limits are fixed by the style, or follow the values.
    Why: hot spots are small, so the upper limit is a percentile of the brightest frame, not of all frames.
    """
    style = STYLES[name]
    if isinstance(style.limits, tuple):
        return style.limits
    low = float(values.min()) * style.factor
    high = float(np.percentile(values, PERCENTILE, axis=(1, 2)).max()) * style.factor
    if style.limits == "centred":
        high = float(np.percentile(np.abs(values), PERCENTILE, axis=(1, 2)).max()) * style.factor
        low = -high
    return (low, high) if high > low else (low, low + max(1e-9, abs(low) * 1e-3))


def case_title(data: Trajectories, case: int) -> str:
    """Return, for example, 'Case 3, piston speed 900 m/s'; without the speed where the file has none."""
    speed = data.scalars.get("piston_speed")
    known = speed is not None and 0 <= case < data.n_cases and np.isfinite(speed[case])
    return f"Case {case}" + (f", piston speed {speed[case]:.0f} m/s" if known else "")


def spread(n_frames: int, wanted: int) -> list[int]:
    """Return `wanted` frame numbers evenly spread from first to last; all frames if there are not more."""
    return sorted({round(f) for f in np.linspace(0, n_frames - 1, min(wanted, n_frames))})
