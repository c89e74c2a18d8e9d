"""`mld-closure bench patches`: speed of gathering patches and adding them back."""

from __future__ import annotations

import click

from .output import json_option, print_json, print_table


@click.command()
@click.option(
    "--patch",
    type=(click.IntRange(1), click.IntRange(1)),
    default=(320, 480),
    show_default=True,
    help="Height and width in pixels.",
)
@click.option(
    "--image", type=click.IntRange(1), default=128, show_default=True, help="Size of the image in MiB."
)
@click.option("--batch", type=click.IntRange(1), default=8, show_default=True, help="Patches a call.")
@click.option("--repeats", type=click.IntRange(1), default=9, show_default=True, help="Rounds; best counts.")
@json_option
def command(patch: tuple[int, int], image: int, batch: int, repeats: int, as_json: bool) -> None:
    """Bytes per second of gather and scatter on one core, beside plain copies of as many bytes.

    Patches lie at random in the image. "All" gathers them in one call, with image and result beyond the
    caches; a batch goes to the same small array again and again.

    \b
    Example:
      mld-closure bench patches --image 16 --repeats 2
    """
    from ..benchmarks.description import description
    from ..benchmarks.patches import measure

    m = measure(patch, image, batch, repeats) | {"description": description(shape=patch)}
    if as_json:
        print_json(m)
        return
    rows = [
        _row("gather, all", m["gather"], "plain copy", m["copy"]),
        _row("gather, all half beyond a side", m["gather_across_edges"], "plain copy", m["copy"]),
        _row("numpy slices, all", m["slices"], "plain copy", m["copy"]),
        _row(f"gather, batches of {m['batch']}", m["gather_batch"], "plain copy", m["copy_batch"]),
        _row("scatter-add, all", m["scatter_add"], "plain add", m["add"]),
        _cost("describing one patch", m["description"]),
        ("generated specimen", f"{m['generated_pixels'] / 1e6:.0f} M pixels/s", "", "", ""),
    ]
    title = (
        f"{m['patches']} patches of {patch[0]} x {patch[1]}, image of {m['image_bytes'] / 2**20:.0f} MiB; "
        f"{m['machine']}"
    )
    print_table(title, ("figure", "measured", "beside", "measured", "ratio"), rows)


def _row(name: str, rate: float, plain: str, plain_rate: float) -> tuple[str, ...]:
    return (
        name,
        f"{rate / 1e9:.1f} GB/s",
        plain,
        f"{plain_rate / 1e9:.1f} GB/s",
        f"{100 * rate / plain_rate:.0f} %",
    )


def _cost(name: str, m: dict) -> tuple[str, ...]:
    seconds = m["seconds"]
    return (
        name,
        f"{1e3 * seconds['describe']:.2f} ms",
        "encoding it",
        f"{1e3 * seconds['encode']:.1f} ms",
        f"{100 * m['share']:.1f} %",
    )
