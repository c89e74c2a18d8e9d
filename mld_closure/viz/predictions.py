"""A prediction beside the truth: for each field, rows of truth, prediction, error and latents over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from mld_closure.viz.plots import STYLES, colour_limits, new_figure, show, spread

WIDTH = 2.5  # inches per column


def draw_prediction(
    predicted: np.ndarray,
    times: Sequence[float],
    fields: Sequence[str],
    pixel: float,
    *,
    truth: np.ndarray | None = None,
    latents: Mapping[str, np.ndarray] | None = None,
    n_frames: int = 5,
    title: str = "",
) -> Figure:
    """Draw a predicted movie, with truth, error and latents where they are given.

    Parameters
    ----------
    predicted : array (time, field, y, x)
        Prediction in SI units.
    times : sequence (time,)
        Times [s].
    fields : sequence of str
        Names along the field axis.
    pixel : float
        Side of a pixel [m].
    truth : array (time, field, y, x), optional
        True movie in SI units. It may have fewer frames; truth and error are not drawn for the missing ones.
        Truth and prediction share the colour scale of the truth; the error is prediction - truth, on a scale
        symmetric about zero.
    latents : mapping of str to array (time, channel, y, x), optional
        Latent means by field, drawn as tiles, each channel on its own scale over all times.
    n_frames : int
        Number of columns, evenly spread over the times.
    title : str
        Title of the figure.

    Returns
    -------
    Figure
    """
    frames = spread(len(predicted), n_frames)
    rows = [
        (name, kind)
        for name in fields
        for kind in ("truth", "prediction", "error", "latents")
        if (kind == "prediction")
        or (kind in ("truth", "error") and truth is not None)
        or (kind == "latents" and latents is not None and name in latents)
    ]
    last = "error" if truth is not None else "prediction"
    ny, nx = predicted.shape[-2:]
    figure = new_figure(WIDTH * len(frames) + 1.4, (WIDTH * ny / nx + 0.1) * len(rows) + 0.9)
    axes = figure.subplots(len(rows), len(frames), squeeze=False)
    for row, (name, kind) in zip(axes, rows, strict=True):
        i = list(fields).index(name)
        known = None if truth is None else truth[:, i]
        limits = colour_limits(name, predicted[:, i] if known is None else known)
        bound = STYLES[name].factor * _error_bound(predicted[:, i], known) if kind == "error" else 0.0
        image = None
        for axis, frame in zip(row, frames, strict=True):
            if kind in ("truth", "error") and frame >= len(known):
                axis.set_axis_off()
                continue
            if kind == "latents":
                tiles = _tiles(latents[name])[frame]
                extent = (0, nx * pixel * 1e6, 0, ny * pixel * 1e6)
                image = axis.imshow(tiles, cmap="gray", vmin=0, vmax=1, origin="lower", extent=extent)
                axis.set(xticks=[], yticks=[])  # no coordinates: each tile shows the whole frame
            elif kind == "error":
                image = show(axis, predicted[frame, i] - known[frame], name, pixel, (-bound, bound))
                image.set_cmap("RdBu_r")
            else:
                image = show(
                    axis, known[frame] if kind == "truth" else predicted[frame, i], name, pixel, limits
                )
            axis.tick_params(labelsize=6, labelbottom=kind == last, labelleft=axis is row[0])
        row[0].set_ylabel(kind, fontsize=8)
        if image is not None:
            bar = figure.colorbar(image, ax=list(row), pad=0.01, aspect=12)
            bar.set_label("channels, own scales" if kind == "latents" else STYLES[name].label, fontsize=7)
            bar.ax.tick_params(labelsize=6)
    for axis, frame in zip(axes[0], frames, strict=True):
        axis.set_title(f"{times[frame] * 1e9:.2f} ns", fontsize=9)
    figure.suptitle(title, fontsize=11)
    return figure


def _error_bound(predicted: np.ndarray, truth: np.ndarray) -> float:
    """Symmetric colour limit for errors: a high percentile of the worst frame, in the unit of the movies."""
    n = min(len(predicted), len(truth))
    worst = np.percentile(np.abs(predicted[:n] - truth[:n]), 99.5, axis=(1, 2)).max()
    return float(worst) or 1e-12


def _tiles(latents: np.ndarray) -> np.ndarray:
    """Channels (time, channel, y, x), each scaled to [0, 1] over all times, as one image per time."""
    low, high = np.percentile(latents, [1, 99], axis=(0, 2, 3), keepdims=True)
    z = np.clip((latents - low) / np.where(high > low, high - low, 1.0), 0.0, 1.0)
    times, channels, ny, nx = z.shape
    side = int(np.ceil(np.sqrt(channels)))
    down = -(-channels // side)
    z = np.concatenate([z, np.full((times, side * down - channels, ny, nx), np.nan)], axis=1)
    z = z.reshape(times, down, side, ny, nx)[:, ::-1]  # first channel top left, for origin="lower"
    return z.transpose(0, 1, 3, 2, 4).reshape(times, down * ny, side * nx)
