"""`mld-closure predict`: the movie that a surrogate makes of frame 0, as a data file and as a picture."""

from __future__ import annotations

from pathlib import Path

import click

from .output import progress


@click.command()
@click.argument("bundle")
@click.argument("data", type=click.Path(exists=True, dir_okay=False))
@click.option("--case", default=0, show_default=True, help="Place of the case in the file, from 0.")
@click.option("--out", type=click.Path(dir_okay=False), help="Trajectory file to write (.h5).")
@click.option("--plot", type=click.Path(dir_okay=False), help="Picture to write (.png, .pdf, .svg).")
@click.option(
    "--scale", type=click.Choice(["meso", "micro"]), help="By default the one whose step is the data's."
)
@click.option(
    "--frames", type=click.IntRange(2), help="Frames, the first included; as in the data by default."
)
@click.option("--sample", type=int, help="Decode samples of the latents, with this seed, instead of means.")
@click.option("--columns", type=click.IntRange(1), default=5, show_default=True, help="Times in the picture.")
@click.option("--device", default="auto", show_default=True, help="auto | cpu | cuda[:i].")
@click.option(
    "--precision",
    type=click.Choice(["fp32", "bf16", "bf16-decode"]),
    default="fp32",
    show_default=True,
    help="Of the networks.",
)
@click.option("--threads", type=click.IntRange(1), help="CPU threads of torch; all cores by default.")
def command(
    bundle: str,
    data: str,
    case: int,
    out: str | None,
    plot: str | None,
    scale: str | None,
    frames: int | None,
    sample: int | None,
    columns: int,
    device: str,
    precision: str,
    threads: int | None,
) -> None:
    """Roll a bundle out from frame 0 of a case; write the movie, draw it beside the truth.

    The file has the format of the training data, values beyond what such a file may hold are clipped. The
    picture shows truth, prediction, their difference and the mean channels of the latents over time.

    \b
    Examples:
      mld-closure predict hmx-compact heldout.h5 --case 3 --plot case3.png
      mld-closure predict hmx-compact heldout.h5 --case 3 --out case3.h5 --frames 60
    """
    from ..data.trajectories import Trajectories
    from ..offline.predict import predict

    if not (out or plot):
        plot = f"{Path(data).stem}-prediction{case}.png"
    if out and Path(out).exists():
        raise click.UsageError(f"{out} exists already; choose another name or remove it")
    if plot:
        from ..viz import plots, predictions

        plots.picture_path(plot)
    with Trajectories(data) as file, progress() as bar:
        task = bar.add_task("rolling out", total=(frames or file.n_frames) - 1, status="")
        made = predict(
            bundle,
            file,
            case,
            frames=frames,
            scale=scale,
            sample=sample,
            device=device,
            precision=precision,
            threads=threads,
            report=lambda frame: bar.update(task, completed=frame),
        )
        if out:
            click.echo(made.save(out))
        if plot:
            figure = predictions.draw_prediction(
                made.movie,
                made.times,
                made.fields,
                file.pixel,
                truth=file.read(case, made.fields),
                latents=made.latents,
                n_frames=columns,
                title=f"{plots.case_title(file, case)}, predicted by {made.source}",
            )
            click.echo(plots.save(figure, plot))
