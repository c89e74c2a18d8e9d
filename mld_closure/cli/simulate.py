"""`mld-closure simulate`: make training data."""

from __future__ import annotations

from pathlib import Path

import click

from mld_closure.cli.output import CaseBar, json_option, print_json, progress


def _range(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[float, float] | None:
    if value is None:
        return None
    try:
        low, high = (float(v) for v in value.split(":"))
    except ValueError:
        raise click.BadParameter(f"'{value}' is not LOW:HIGH in km/s, for example 0.7:0.9") from None
    if not 0 < low <= high:
        raise click.BadParameter(f"'{value}' needs 0 < LOW <= HIGH")
    return 1e3 * low, 1e3 * high


@click.command()
@click.argument("kind", type=click.Choice(["micro", "meso", "wall", "wall-micro"]))
@click.option("--cases", type=click.IntRange(1), required=True, help="Number of cases.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Same seed, same bits.")
@click.option(
    "--up",
    callback=_range,
    metavar="LO:HI",
    help="Range of piston speeds in km/s [default: 0.5:1.4, wall 0.5:1.6].",
)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Data file [default: KIND.h5].")
@click.option(
    "--workers", type=click.IntRange(1), default=1, show_default=True, help="Processes (of each rank)."
)
@click.option(
    "--frames",
    type=click.IntRange(2),
    help="Frames of each case [default: 20 micro, 32 meso, 33 wall frames].",
)
@click.option(
    "--pixel",
    type=click.FloatRange(min=0, min_open=True),
    metavar="NM",
    help="Wall frames: pixel in nm [default: 200].",
)
@click.option(
    "--kinetics",
    type=click.Choice(["K1", "K2", "K3", "K4"]),
    help="Wall frames: pace of the kinetics [default: K4].",
)
@click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="TOML with any field of the case configuration: shape, pixel, pack, material, kinetics, ...",
)
@json_option
def command(kind, cases, seed, up, out, workers, frames, pixel, kinetics, config_path, as_json) -> None:
    """Simulate shocked microstructures into a data file.

    KIND is micro (one void, 8 x 12.8 um) or meso (a pack of 20 to 45 voids, 16 x 24 um), both shocked by a
    steady inflow; or wall, a porous patch of 12.8 x 24 um with its surroundings, thrown at a rigid wall, and
    wall-micro, a part of one of 6.4 x 9.6 um in half the time. Wall frames store curves of the patch's own
    material beside the fields. K1 to K3 burn faster than K4, need pixels of at most 100 nm and have frames
    closer together. --config is read after --pixel and --kinetics, and wins. Killed and started again with
    the same options, it resumes and ends with the same data. Under mpirun the cases are dealt out to the
    ranks.

    \b
    Examples:
      mld-closure simulate micro --cases 8 --seed 11 --out micro.h5 --workers 2
      mpirun -n 2 mld-closure simulate meso --cases 2 --seed 11 --up 0.7:0.9 --out meso.h5
      mld-closure simulate wall --cases 4 --seed 11 --out wall.h5 --workers 2
    """
    from mld_closure.config import ConfigError, from_dict, read_toml, to_dict
    from mld_closure.data.trajectories import Trajectories
    from mld_closure.dns.cases import PRESETS, CaseConfig, at_pace, at_pixel
    from mld_closure.dns.kinetics import PACES
    from mld_closure.runtime.comm import default_comm
    from mld_closure.simulation import simulate

    preset, kind = kind, kind.split("-")[0]
    if kind != "wall" and (pixel is not None or kinetics is not None):
        raise click.UsageError(f"--pixel and --kinetics are for wall frames, not for {kind} cases")
    config = PRESETS[preset]
    if kinetics is not None:
        config = at_pace(config, PACES[kinetics])
    if pixel is not None:
        config = at_pixel(config, 1e-9 * pixel)
    if config_path is not None:
        given = read_toml(config_path)
        if given.get("kind", kind) != kind:
            raise ConfigError(f"{config_path} is for {given['kind']} cases, asked for {kind}")
        config = from_dict(CaseConfig, {**to_dict(config), **given}, where=str(config_path))
    out = out or Path(f"{preset}.h5")
    comm = default_comm()
    with progress() as bar:
        shown = CaseBar(bar, f"{preset} cases", comm)
        simulate(kind, cases, out, seed=seed, up=up, frames=frames, workers=workers, config=config, comm=comm,
                 started=shown.started, done=shown.done)  # fmt: skip
    if comm.rank == 0:
        with Trajectories(out) as data:
            summary = {
                "file": str(out),
                "cases": data.n_cases,
                "failures": data.failures,
                "bytes": out.stat().st_size,
            }
        if as_json:
            print_json(summary)
        else:
            click.echo(f"{out}: {summary['cases']} cases, {len(summary['failures'])} failed, "
                       f"{summary['bytes'] / 1e6:.1f} MB")  # fmt: skip
