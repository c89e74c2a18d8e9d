"""Entry point of `mld-closure`: finds commands without importing them, sets the log level, reports errors.

Why: a command's module is imported only when that command runs, so `--help` needs neither torch nor numba.
Threads that wait sleep, unless OMP_WAIT_POLICY says otherwise: on a machine with other work the networks on
two threads took five times as long while they spun.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys

import click

COMMANDS = {
    "demo": ("demo", "Shock a slab of porous HMX, or one pore, and draw it."),
    "simulate": ("simulate", "Make training data: campaigns of micro or meso simulations."),
    "campaign": ("campaign", "Make all data files of a plan, a first part of each first."),
    "strip": ("strip", "Simulate a strip of many patches, to compare a hydrocode with."),
    "verify": ("verify", "Check the solver against problems with known answers."),
    "import": ("import_", "Bring in data and weights made by other codes."),
    "info": ("info", "Say what is in a data file or bundle, and whether it is valid."),
    "plot": ("plot", "Draw a case of a data file as a picture or movie."),
    "train": ("train", "Train the surrogate, stage by stage."),
    "curves": ("curves", "Train a network of whole burn curves on wall frames."),
    "evaluate": ("evaluate", "Score a bundle on whole movies it never saw."),
    "predict": ("predict", "Roll a bundle out from frame 0 of a case."),
    "run": ("run", "Run the shock initiation of a slab with a closure in its cells."),
    "guard": ("guard", "Measure the limits of a bundle and write them into it."),
    "export": ("export", "Compile a bundle's step for this machine."),
    "examples": ("examples", "Copy the example hosts in C, C++ and Fortran."),
    "docs": ("docs", "Build the API reference as web pages."),
    "bench": ("bench", "Measure speed against the machine's limits."),
}


class LazyGroup(click.Group):
    """A click group whose commands live in `mld_closure.cli.<module>.command`, imported on use.

    `table` maps a command's name to its module and one line of help.
    """

    table = COMMANDS

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.table)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in self.table:
            return None
        return importlib.import_module(f"mld_closure.cli.{self.table[name][0]}").command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self.table.items()])


def _version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from mld_closure import _native

        click.echo(f"mld_closure {_native.version} ({_native.compiler})")
        ctx.exit()


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Print the version."
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="warning",
    show_default=True,
    help="How much to report on standard error.",
)
def cli(log_level: str) -> None:
    """Sub-grid closures from learned meso-scale dynamics.

    \b
    Example:
      mld-closure demo
    """
    logging.basicConfig(level=log_level.upper(), format="%(levelname)s %(name)s: %(message)s")


def main(args: list[str] | None = None) -> None:
    """Run the command line; bad input ends with exit code 2 and one line on standard error."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read when torch starts its threads
    try:
        sys.exit(cli.main(args=args, prog_name="mld-closure", standalone_mode=False) or 0)
    except click.exceptions.Exit as end:
        sys.exit(end.exit_code)
    except click.Abort:
        click.echo("mld-closure: interrupted", err=True)
        sys.exit(130)
    except click.exceptions.NoArgsIsHelpError as err:
        click.echo(err.format_message(), err=True)
        sys.exit(2)
    except click.UsageError as err:
        where = err.ctx.command_path if err.ctx else "mld-closure"
        click.echo(f"{where}: {err.format_message()} (try '{where} --help')", err=True)
        sys.exit(2)
    except (click.ClickException, ValueError, KeyError, OSError, ImportError, RuntimeError) as err:
        if logging.getLogger().isEnabledFor(logging.DEBUG):
            raise
        text = err.format_message() if isinstance(err, click.ClickException) else _one_line(err)
        click.echo(f"mld-closure: {text}", err=True)
        sys.exit(2)


def _one_line(err: BaseException) -> str:
    if isinstance(err, OSError) and err.strerror and err.filename:
        return f"{err.filename}: {err.strerror}"
    if isinstance(err, KeyError) and err.args:
        return str(err.args[0])
    return " ".join(str(err).split()) or type(err).__name__
