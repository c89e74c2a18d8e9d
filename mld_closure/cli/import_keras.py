"""`mld-closure import keras`: weights of the published TensorFlow implementation become a bundle."""

from __future__ import annotations

from pathlib import Path

import click

from .output import json_option, print_json, print_table


@click.command("keras")
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Directory of the new bundle.")
@click.option(
    "--meso",
    "meso_directory",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Directory with the coupled networks of the meso model, if they differ.",
)
@click.option("--pixel-nm", type=float, default=50.0, show_default=True, help="Pixel size of the fields.")
@click.option("--micro-step-ns", type=float, default=0.172, show_default=True, help="Time of a micro step.")
@click.option(
    "--meso-micro-ratio", type=int, default=2, show_default=True, help="Micro steps in a meso step."
)
@click.option("--horizon", type=int, default=24, show_default=True, help="Meso frames the model may predict.")
@click.option("--overwrite", is_flag=True, help="Replace a bundle that is there already.")
@json_option
def command(
    directory: Path,
    out: Path,
    meso_directory: Path | None,
    pixel_nm: float,
    micro_step_ns: float,
    meso_micro_ratio: int,
    horizon: int,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Turn Keras weight files in DIRECTORY into a bundle.

    DIRECTORY holds <field>_encoder.h5, <field>_decoder.h5, <field>_decoupled_latent_evolution_mean.h5 and
    _var.h5 for each field, and coupled_latent_evolution_mean.h5 and _var.h5. Network sizes are read from the
    files; scales of length and time are not in them, so check the defaults.

    \b
    Example:
      mld-closure import keras weights --out hmx-paper --pixel-nm 50 --micro-step-ns 0.172
    """
    from ..models.keras_import import import_keras
    from ..models.manifest import describe

    bundle = import_keras(
        directory,
        pixel=pixel_nm * 1e-9,
        micro_step=micro_step_ns * 1e-9,
        meso_micro_ratio=meso_micro_ratio,
        horizon=horizon,
        meso_directory=meso_directory,
    )
    bundle.save(out, overwrite=overwrite)
    written = describe(out)
    if as_json:
        print_json(written)
        return
    config = written["config"]
    rows = [
        ("fields", ", ".join(config["fields"])),
        ("evolution", config["evolution"]),
        ("base of the VAEs", config["base"]),
        ("base of the evolution", config["evolution_base"]),
        ("parameters", written["parameters"]["meso"]),
        ("pixel (nm)", pixel_nm),
        ("micro step (ns)", micro_step_ns),
        ("meso step (ns)", micro_step_ns * meso_micro_ratio),
    ]
    print_table(f"bundle {out}", ("", "value"), rows)
