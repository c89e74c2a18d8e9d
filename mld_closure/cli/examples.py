"""`mld-closure examples`: the example hosts, copied to a folder of the user's own."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from mld_closure import _native


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def command(folder: Path) -> None:
    """Copy the example hosts in C, C++ and Fortran to FOLDER, which is made.

    They run with the shipped bundle. Build and run all of them with

    \b
      cmake -S FOLDER -B build -Dmld_closure_DIR=$(mld-closure-config --cmakedir)
      cmake --build build && ctest --test-dir build

    \b
    Example:
      mld-closure examples hosts
    """
    source = Path(_native.__file__).parent / "examples/hosts"
    if not source.is_dir():
        raise click.ClickException(f"no {source}: this installation has no examples; install it again")
    if folder.exists() and any(folder.iterdir()):
        raise click.ClickException(f"{folder} is not empty; name a new folder")
    shutil.copytree(source, folder, dirs_exist_ok=True)
    for file in sorted(p for p in folder.rglob("*") if p.is_file()):
        click.echo(file)
