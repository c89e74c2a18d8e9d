"""`mld-closure plot`: a case of a trajectory file as a picture or a movie."""

from __future__ import annotations

from pathlib import Path

import click

DEFAULT_FIELDS = "temperature,pressure,microstructure"


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.option("--case", type=int, default=0, show_default=True, help="Place of the case in the file, from 0.")
@click.option("--out", type=click.Path(dir_okay=False), help="Picture to write (.png, .pdf, .svg).")
@click.option("--movie", type=click.Path(dir_okay=False), help="Movie to write (.gif, .mp4).")
@click.option(
    "--frames",
    type=click.IntRange(min=1),
    help="How many frames, evenly spread from first to last.  [default: 5 in a picture, all in a movie]",
)
@click.option("--fields", default=DEFAULT_FIELDS, show_default=True, help="Fields to draw, one per row.")
@click.option(
    "--fps", type=click.FloatRange(min=0.1), default=8, show_default=True, help="Movie frames per second."
)
def command(
    file: str, case: int, out: str | None, movie: str | None, frames: int | None, fields: str, fps: float
) -> None:
    """Draw a case of a data file as a picture or movie.

    \b
    Examples:
      mld-closure plot data.h5 --case 3 --out case.png
      mld-closure plot data.h5 --case 3 --movie case.gif
    """
    from mld_closure.data.trajectories import Trajectories
    from mld_closure.viz import movies, plots

    names = [n.strip() for n in fields.split(",")]
    if not (out or movie):
        out = f"{Path(file).stem}-case{case}.png"
    with Trajectories(file) as data:
        if out:
            click.echo(plots.save(plots.draw_case(data, case, names, frames or 5), out))
        if movie:
            click.echo(movies.film_case(data, case, movie, names, n_frames=frames, fps=fps))
