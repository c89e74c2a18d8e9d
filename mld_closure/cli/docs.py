"""`mld-closure docs`: the API reference as web pages, built by pdoc."""

from __future__ import annotations

import pkgutil
import warnings
from pathlib import Path
from types import ModuleType

import click


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default="mld-closure-docs",
    show_default=True,
    help="Folder of the pages.",
)
def command(out: Path) -> None:
    """Build the API reference as web pages.

    One page per module, made from its docstrings; open index.html in a browser. Needs pdoc, which comes with
    the extra `docs`.

    \b
    Examples:
      mld-closure docs
      mld-closure docs --out public
    """
    try:
        import pdoc
        import pdoc.doc
        import pdoc.render
    except ImportError as err:
        raise click.ClickException(
            f"the API reference needs pdoc ({err}); install it with: pip install 'mld_closure[docs]'"
        ) from None

    import mld_closure

    _load_names(mld_closure)
    pdoc.render.configure(docformat="numpy", math=True, footer_text=f"mld_closure {mld_closure.__version__}")
    warnings.filterwarnings("ignore", "Error parsing type annotation")  # names for type checkers only
    pdoc.pdoc("mld_closure", "!mld_closure.cli", "!mld_closure.__main__", output_directory=out)
    click.echo(out / "index.html")


def _load_names(package: ModuleType) -> None:
    """Load all lazy names of a package, and list its rooms too: pdoc shows what it finds there, no more."""
    vars(package).update({name: getattr(package, name) for name in package.__all__})
    found = (module.name for module in pkgutil.iter_modules(package.__path__))
    rooms = [name for name in found if name != "cli" and not name.startswith("_")]
    vars(package)["__all__"] = [*package.__all__, *(room for room in rooms if room not in package.__all__)]
