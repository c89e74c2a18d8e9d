"""`mld-closure import`: arrays of other codes into a trajectory file, Keras weights into a bundle.

`import SOURCE ...` is short for `import arrays SOURCE ...`.
"""

from __future__ import annotations

import importlib
import math

import click

from mld_closure.cli.output import progress

SUBCOMMANDS = {
    "arrays": "Arrays of simulations made by another code, into a trajectory file (the default).",
    "keras": "Keras weights of the reference implementation, into a bundle.",
}


class ImportGroup(click.Group):
    """A group that takes `arrays` where no subcommand is named, and loads `keras` only when it is."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in (*SUBCOMMANDS, *ctx.help_option_names):
            args = ["arrays", *args]
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(SUBCOMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name == "keras":
            return importlib.import_module("mld_closure.cli.import_keras").command
        return super().get_command(ctx, name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Kinds"):
            formatter.write_dl(list(SUBCOMMANDS.items()))


@click.group(cls=ImportGroup)
def command() -> None:
    """Bring in data and weights made by other codes.

    \b
    Examples:
      mld-closure import raw.npy --layout reference --pixel-nm 50 --frame-ns 0.172 --out data.h5
      mld-closure import runs/ --layout parc --pixel-nm 50 --frame-ns 0.172 --out data.h5
      mld-closure import keras weights/ --out bundle/

    'mld-closure import SOURCE ...' is short for 'mld-closure import arrays SOURCE ...'; see
    'mld-closure import arrays --help' for its options.
    """


@command.command("arrays")
@click.argument("source", type=click.Path(exists=True))
@click.option(
    "--layout",
    type=click.Choice(["reference", "parc"]),
    required=True,
    help="reference: one .npy array (sample, y, x, field, time), scaled to [0, 1]. "
    "parc: a folder of .npy arrays (time, channel, y, x), one per case, in SI units.",
)
@click.option("--pixel-nm", type=float, required=True, help="Side of a pixel in nm.")
@click.option("--frame-ns", type=float, required=True, help="Time between two frames in ns.")
@click.option(
    "--fields",
    metavar="NAME,...",
    help="Names along the field axis, in order.  [default: temperature,pressure,microstructure; "
    "for parc also velocity_x,velocity_y]",
)
@click.option(
    "--bounds",
    metavar="NAME=LO:HI",
    multiple=True,
    help="What 0 and 1 in the source stand for, in SI units; may be repeated. pressure=0:1e9 reads GPa. "
    "[default: reference: temperature=300:5000, pressure=-2e9:50e9, microstructure=0:1; parc: none]",
)
@click.option("--out", type=click.Path(dir_okay=False), required=True, help="Trajectory file to write.")
def arrays(
    source: str,
    layout: str,
    pixel_nm: float,
    frame_ns: float,
    fields: str | None,
    bounds: tuple[str, ...],
    out: str,
) -> None:
    """Arrays of simulations made by another code, into a trajectory file.

    An interrupted import goes on where it stopped when the same command is given again. The file is checked
    at the end; the exit code is 1 if a value lies outside what its field may be.

    \b
    Example:
      mld-closure import arrays raw.npy --layout reference --pixel-nm 50 --frame-ns 0.172 \\
        --bounds temperature=300:4000 --out data.h5
    """
    from mld_closure.data import importers
    from mld_closure.data.validation import inspect

    names = [n.strip() for n in fields.split(",")] if fields else None
    if layout == "reference":
        arrays = importers.reference_source(source, *([names] if names else []))
        scaling = {n: importers.REFERENCE_BOUNDS[n] for n in arrays.fields}
    else:
        arrays = importers.parc_source(source, *([names] if names else []))
        scaling = {}
    scaling |= dict(parse_bounds(text) for text in bounds)
    with progress() as bar:
        reading = bar.add_task("import", total=len(arrays.names), status="")
        path = importers.import_arrays(
            arrays,
            out,
            pixel=pixel_nm * 1e-9,
            frame_interval=frame_ns * 1e-9,
            bounds=scaling,
            on_case=lambda _: bar.advance(reading),
        )
        checking = bar.add_task("check", total=len(arrays.names), status="")
        faults = inspect(path, lambda _: bar.advance(checking)).faults
    click.echo(f"{path}: {len(arrays.names)} cases, {', '.join(arrays.fields)}")
    for fault in faults[:5]:
        click.echo(f"{path}: {fault}", err=True)
    if faults:
        click.echo(f"{path}: {len(faults)} faults; are --fields and --bounds those of the source?", err=True)
        raise SystemExit(1)


def parse_bounds(text: str) -> tuple[str, tuple[float, float]]:
    """`name=lo:hi` as (name, (lo, hi)); ValueError naming the text otherwise."""
    name, _, values = text.partition("=")
    low, _, high = values.partition(":")
    try:
        bounds = float(low), float(high)
    except ValueError:
        bounds = math.nan, math.nan
    if not (name and all(map(math.isfinite, bounds))):
        raise ValueError(f"--bounds '{text}': write NAME=LO:HI, for example temperature=300:5000")
    return name, bounds
