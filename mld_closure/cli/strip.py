"""`mld-closure strip`: a strip of many patches, resolved."""

from __future__ import annotations

from pathlib import Path

import click

from mld_closure.cli.output import json_option, print_json, progress


@click.command()
@click.option("--up", type=click.FloatRange(0, min_open=True), required=True, help="Piston speed in km/s.")
@click.option(
    "--porosity", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.1, show_default=True,
    help="Porosity of the strip.",
)  # fmt: skip
@click.option(
    "--pores", type=click.FloatRange(0, min_open=True), default=1.2, show_default=True,
    metavar="UM", help="Median diameter of the pores in um.",
)  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Same seed, same bits.")
@click.option("--patches", type=click.IntRange(1), default=8, show_default=True, help="Patches of 24 um.")
@click.option(
    "--end", type=click.FloatRange(0, min_open=True), default=400.0, show_default=True,
    metavar="NS", help="Last time in ns.",
)  # fmt: skip
@click.option(
    "--pixel", type=click.FloatRange(0, min_open=True), default=200.0, show_default=True,
    metavar="NM", help="Pixel in nm; 400 costs an eighth and does not resolve the flames.",
)  # fmt: skip
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), default="strip.npz", show_default=True,
    help="File of the strip.",
)  # fmt: skip
@json_option
def command(up, porosity, pores, seed, patches, end, pixel, out, as_json) -> None:
    """Simulate a strip of patches of porous explosive thrown at a rigid wall.

    The file holds the image of the microstructure and, for each patch and column part, arrival, burned share,
    pressure and hot spots over time: what a hydrocode with a closure in its cells is compared with. Eight
    patches take 8 to 15 minutes of one core. Killed and started again with the same options, it goes on
    from FILE.part and ends with the same data.

    \b
    Example:
      mld-closure strip --up 0.85 --porosity 0.1 --pores 1.2 --seed 7 --out strip.npz
    """
    from mld_closure.dns.strip import StripConfig, frame_at, simulate_strip

    frame = frame_at(pixel / 1e9)
    tail = frame.shape[1] - frame.wall.halo
    config = StripConfig(1e3 * up, porosity, pores / 1e6, seed, patches, end / 1e9, tail, frame=frame)
    with progress() as bar:
        task = bar.add_task("strip", total=None, status="")
        strip = simulate_strip(
            config,
            checkpoint=out.with_name(out.name + ".part"),
            done=lambda i, n: bar.update(task, completed=i, total=n),
        )
    strip.save(out)
    came = strip.arrival[strip.arrival > 0]  # s; nan where no shock came before the end
    summary = {
        "file": str(out),
        "patches": strip.patches,
        "parts_reached": came.size,
        "last_arrival": float(came.max(initial=0.0)),
        "burned": [float(b) for b in strip.curves["burned_share"][-1].mean(axis=1)],
        "bytes": out.stat().st_size,
    }
    if as_json:
        print_json(summary)
    else:
        click.echo(
            f"{out}: {strip.patches} patches, {came.size} of {strip.arrival.size} parts reached by the "
            f"shock, the last at {1e9 * summary['last_arrival']:.1f} ns; {summary['bytes'] / 1e6:.2f} MB"
        )
