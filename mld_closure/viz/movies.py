"""Movies of fields: GIF with Pillow, MP4 with the ffmpeg program of the package imageio-ffmpeg."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.animation import AbstractMovieWriter, FFMpegWriter, PillowWriter

from mld_closure.data.trajectories import Trajectories
from mld_closure.fields import MODEL_FIELDS
from mld_closure.viz.plots import (
    STYLES,
    add_colour_bar,
    case_title,
    colour_limits,
    new_figure,
    show,
    spread,
)


def film_case(
    data: Trajectories,
    case: int,
    path: str | Path,
    fields: Sequence[str] = MODEL_FIELDS,
    *,
    n_frames: int | None = None,
    fps: float = 8,
) -> Path:
    """Write a movie of one case.

    Parameters
    ----------
    data : Trajectories
        The file.
    case : int
        Position of the case in the file.
    path : path
        Movie to write, ending in .gif or .mp4.
    fields : sequence of str
        Fields, shown side by side.
    n_frames : int, optional
        Number of evenly spread frames; all by default.
    fps : float
        Frames per second.

    Returns
    -------
    Path
        `path`.
    """
    frames = spread(data.n_frames, n_frames or data.n_frames)
    values = data.read(case, fields, frames)
    return film_frames(
        values, data.times[frames], fields, data.pixel, path, title=case_title(data, case), fps=fps
    )


def film_frames(
    values: np.ndarray,
    times: np.ndarray,
    fields: Sequence[str],
    pixel: float,
    path: str | Path,
    *,
    title: str = "",
    fps: float = 8,
    dpi: int = 110,
) -> Path:
    """Write frames as a movie, the fields side by side, with one colour scale per field for all frames.

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
    path : path
        Movie to write, ending in .gif or .mp4.
    title : str
        Text above the frames.
    fps : float
        Frames per second.
    dpi : int
        Resolution [dots per inch].

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    ValueError
        Another file suffix.
    ImportError
        MP4 without the package imageio-ffmpeg; the message names what to install.
    """
    path = Path(path)
    executable = ffmpeg(path)
    ny, nx = values.shape[-2:]
    width = 3.2
    figure = new_figure((width + 0.7) * len(fields) + 0.4, width * ny / nx + 0.8)
    figure.get_layout_engine().set(wspace=0.04)
    axes = figure.subplots(1, len(fields), squeeze=False, sharey=True)[0]
    images = []
    for i, name in enumerate(fields):
        limits = colour_limits(name, values[:, i])
        images.append(show(axes[i], values[0, i], name, pixel, limits))
        add_colour_bar(figure, images[-1], [axes[i]], name, values[:, i], limits)
        axes[i].set_xlabel("x [µm]", fontsize=8)
    axes[0].set_ylabel("y [µm]", fontsize=8)
    heading = figure.suptitle(" ", fontsize=11)
    for _ in range(2):  # the first pass changes the ticks, the second lays them out
        figure.canvas.draw()
    figure.set_layout_engine("none")  # nothing may move between frames
    with mpl.rc_context({"animation.ffmpeg_path": executable} if executable else {}):
        writer: AbstractMovieWriter = FFMpegWriter(fps=fps) if executable else PillowWriter(fps=fps)
        with writer.saving(figure, str(path), dpi):
            for frame, time in enumerate(times):
                heading.set_text(", ".join(filter(None, [title, f"{time * 1e9:.2f} ns"])))
                for i, name in enumerate(fields):
                    images[i].set_data(values[frame, i] * STYLES[name].factor)
                writer.grab_frame()
    return path


def ffmpeg(path: Path) -> str | None:
    """Return the ffmpeg program needed for the movie at `path`; None for a GIF, which needs none.

    Raises
    ------
    ValueError
        Another file suffix.
    ImportError
        The package imageio-ffmpeg is missing.
    """
    if path.suffix.lower() == ".gif":
        return None
    if path.suffix.lower() != ".mp4":
        raise ValueError(f"{path}: a movie ends in .gif or .mp4")
    try:
        import imageio_ffmpeg
    except ImportError:
        raise ImportError(
            f"{path}: MP4 needs ffmpeg; pip install 'mld_closure[movie]', or choose a .gif"
        ) from None
    return imageio_ffmpeg.get_ffmpeg_exe()
