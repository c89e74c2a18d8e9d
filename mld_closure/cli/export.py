"""`mld-closure export`: a bundle's step compiled ahead of time for this machine."""

from __future__ import annotations

import time
from pathlib import Path

import click

from .output import json_option, print_json, print_table


@click.command()
@click.argument("bundle")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The compiled file."
)
@click.option(
    "--scale",
    type=click.Choice(["meso", "micro"]),
    default="meso",
    show_default=True,
    help="Model whose step it is.",
)
@click.option(
    "--frame",
    type=(click.IntRange(32), click.IntRange(32)),
    help="Height and width of the patches in pixels.  [default: 320 480, or 160 256 for micro]",
)
@click.option(
    "--precision", type=click.Choice(["fp32", "bf16"]), default="fp32", show_default=True, help="Of the step."
)
@click.option(
    "--micro-batch", type=click.IntRange(1), help="Fixed number of cells at once; any number by default."
)
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True, help="Of the comparison.")
@json_option
def command(bundle, out, scale, frame, precision, micro_batch, threads, as_json) -> None:
    """Compile the step of BUNDLE (a path or a name) for this machine, and compare it with the eager one.

    The file is for mld_closure.open(BUNDLE, compiled=FILE), or options.compiled in the closure of a case. It
    serves this bundle, frame size, precision, torch version and processor and is refused elsewhere. Unlike a
    bundle it is native code: open only files you made or trust. Compiling takes a few minutes.

    \b
    Example:
      mld-closure export model/bundle --out model/step.pt2 --precision bf16
    """
    from ..device import choose
    from ..grids import MESO_SHAPE, MICRO_SHAPE
    from ..models.bundle import Bundle
    from ..surrogate.export import compare, export

    loaded = Bundle.load(bundle)
    where = choose("cpu", precision, threads)
    begun = time.perf_counter()
    shape = frame or (MICRO_SHAPE if scale == "micro" else MESO_SHAPE)
    export(loaded, out, frame_shape=shape, scale=scale, precision=precision, micro_batch=micro_batch)
    compiling = time.perf_counter() - begun
    found = {"file": str(out), "bytes": out.stat().st_size, "compile_seconds": compiling}
    found |= compare(loaded, out, where)
    if as_json:
        print_json(found)
        return
    print_table(
        f"{out}: {scale} step of {shape[0]} x {shape[1]} pixels, {precision}, "
        f"{micro_batch or 'any number of'} cells at once",
        ("", "result"),
        _rows(found),
    )


def _rows(found: dict) -> list[tuple[str, str]]:
    seconds, latents = found["seconds"], found["latents"]
    rows = [
        ("size, time to compile", f"{found['bytes'] / 1e6:.0f} MB, {found['compile_seconds']:.0f} s"),
        (f"a step of a cell, {found['cells']} at once, eager", f"{1e3 * seconds['eager']:.1f} ms"),
        ("compiled", f"{1e3 * seconds['compiled']:.1f} ms, {found['speedup']:.2f} times as fast"),
    ]
    for title, key in (("compiled to eager", "compiled_to_eager"), ("eager to fp32", "eager_to_fp32")):
        for k, when in enumerate(("first step", f"{found['frames']} steps")):
            rows.append(
                (
                    f"latents, {title}, {when}",
                    f"{latents[key][k]:.2g} of {latents['greatest'][k]:.3g}",
                )
            )
        for name, value in (found["readouts"] or {}).get(key, {}).items():
            rows.append((f"{name}, {title}", f"{value:.2g}"))
    return rows
