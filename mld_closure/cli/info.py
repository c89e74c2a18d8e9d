"""`mld-closure info`: what a data file or a bundle holds, and whether it is valid."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import click

from mld_closure.cli.output import json_option, print_json, print_table, progress

_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"


@click.command()
@click.argument("path")
@click.option("--quick", is_flag=True, help="Read the header only: no ranges, no verdict on the values.")
@json_option
@click.pass_context
def command(ctx: click.Context, path: str, quick: bool, as_json: bool) -> None:
    """Say what is in a data file or bundle, and whether it is valid.

    PATH is a trajectory file, a bundle, or the name of a bundle that comes with the package. The exit code is
    0 for a valid file, 1 for one with faults, 2 for one that cannot be read.

    \b
    Examples:
      mld-closure info data.h5
      mld-closure info hmx-compact --json
    """
    if _is_trajectories(path):
        found = trajectories_info(path, quick)
        if as_json:
            print_json(found)
        else:
            _print_trajectories(found)
        ctx.exit(1 if found["faults"] else 0)
    from mld_closure.models.manifest import describe

    found = _finite(describe(path))
    if as_json:
        print_json(found)
    else:
        rows = [(key, _line(value)) for key, value in _flat(found)]
        print_table(f"{path}: bundle", ("what", "value"), rows)


def trajectories_info(path: str, quick: bool = False) -> dict[str, Any]:
    """What a trajectory file holds, JSON-ready; `quick` leaves out what needs its values to be read."""
    from mld_closure import fields
    from mld_closure.data.trajectories import Trajectories
    from mld_closure.data.validation import inspect

    with Trajectories(path) as data:
        found: dict[str, Any] = {
            "kind": "trajectories",
            "path": str(path),
            "cases": data.n_cases,
            "failures": [{"case": case, "reason": reason} for case, reason in data.failures],
            "frames": data.n_frames,
            "times": data.times.tolist(),
            "shape": list(data.shape),
            "pixel": data.pixel,
            "fields": {name: {"units": fields.get(name).units} for name in data.fields},
            "scalars": {name: _summary(values) for name, values in data.scalars.items()},
            "provenance": data.provenance,
        }
    if quick:
        return _finite({**found, "checked": False, "faults": []})
    with progress() as bar:
        task = bar.add_task("check", total=found["cases"], status="")
        inspection = inspect(path, lambda _: bar.advance(task))
    for name, (low, high) in inspection.ranges.items():
        found["fields"][name] |= {"min": low, "max": high}
    return _finite({**found, "checked": True, "faults": inspection.faults})


def _print_trajectories(found: dict[str, Any]) -> None:
    ny, nx = found["shape"]
    width, height = (n * found["pixel"] * 1e6 for n in (nx, ny))
    times = found["times"]
    made = found["provenance"]
    rows = [
        ("cases", f"{found['cases']} stored, {len(found['failures'])} failed"),
        ("frames", f"{len(times)}, {times[0] * 1e9:.4g} to {times[-1] * 1e9:.4g} ns"),
        ("frame", f"{ny} x {nx} pixels of {found['pixel'] * 1e9:.4g} nm ({height:.4g} x {width:.4g} um)"),
        ("made by", f"mld_closure {made['version']}, {made['created']}"),
        ("on", made["platform"]),
    ]
    print_table(f"{found['path']}: trajectories", ("what", "value"), rows)
    ranges = [(n, f["units"], f.get("min", "-"), f.get("max", "-")) for n, f in found["fields"].items()]
    print_table("Fields", ("field", "units", "min", "max"), ranges)
    scalars = [(n, s["min"], s["mean"], s["max"]) for n, s in found["scalars"].items()]
    print_table("Scalars", ("scalar", "min", "mean", "max"), scalars)
    settings = [(key, _line(value)) for key, value in _flat(made["configuration"])]
    print_table("Configuration", ("key", "value"), settings)
    for failure in found["failures"]:
        click.echo(f"failed case {failure['case']}: {failure['reason']}")
    for fault in found["faults"]:
        click.echo(f"fault: {fault}")
    if not found["checked"]:
        click.echo("not checked (--quick)")
    else:
        click.echo(f"INVALID: {len(found['faults'])} faults" if found["faults"] else "valid")


def _is_trajectories(path: str) -> bool:
    """True for anything to be read as a trajectory file; a missing file with such a name is one, too."""
    file = Path(path)
    if not file.is_file():
        return not file.exists() and file.suffix in (".h5", ".hdf5")
    with open(file, "rb") as opened:
        if opened.read(len(_HDF5_SIGNATURE)) == _HDF5_SIGNATURE:
            return True
    from mld_closure.models.manifest import is_bundle

    return not is_bundle(path)


def _summary(values: Any) -> dict[str, Any]:
    known = [float(v) for v in values if math.isfinite(v)]
    if not known:
        return {"min": None, "mean": None, "max": None}
    return {"min": min(known), "mean": sum(known) / len(known), "max": max(known)}


def _finite(value: Any) -> Any:
    """The same nested value with None for numbers that JSON cannot hold."""
    if isinstance(value, dict):
        return {str(k): _finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _flat(value: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = []
    for key, item in value.items():
        if isinstance(item, dict) and item:
            rows += _flat(item, f"{prefix}{key}.")
        else:
            rows.append((f"{prefix}{key}", item))
    return rows


def _line(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) else json.dumps(value, default=str)
