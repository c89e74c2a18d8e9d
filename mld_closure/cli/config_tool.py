"""`mld-closure-config`: where compilers and build systems find the C, C++ and Fortran interface."""

from __future__ import annotations

from pathlib import Path

import click

from mld_closure import _native


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--cmakedir", "wanted", flag_value="cmake", help="Folder for mld_closure_DIR of find_package.")
@click.option("--includedir", "wanted", flag_value="include", help="Folder of the headers.")
@click.option("--libdir", "wanted", flag_value="lib", help="Folder of the library.")
@click.option("--pkgconfigdir", "wanted", flag_value="lib/pkgconfig", help="Folder for PKG_CONFIG_PATH.")
@click.option("--fortrandir", "wanted", flag_value="fortran", help="Folder of the Fortran module's source.")
@click.option("--version", "wanted", flag_value="version", help="Version of the library.")
def main(wanted: str | None) -> None:
    """Print one path.

    \b
    Example:
      cmake -S . -B build -Dmld_closure_DIR=$(mld-closure-config --cmakedir)
    """
    if wanted is None:
        raise click.UsageError("say what to print; see --help")
    if wanted == "version":
        click.echo(_native.version)
        return
    folder = Path(_native.__file__).parent / wanted
    if not folder.is_dir():
        raise click.ClickException(
            f"no {folder}: this installation is older than the bridge; install it again"
        )
    click.echo(folder)
