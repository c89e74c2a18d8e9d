"""Bundles as directories: find, check and describe them without torch; write them crash-safe.

A bundle is `bundle.json` (format version, configuration, units, provenance, size and SHA-256 of every other
file, and a SHA-256 over all of that) and safetensors files. Neither can carry code, so opening a bundle runs
none; and neither is used before its hash was compared.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import durable, intake
from .. import fields as field_table
from ..config import from_dict
from ..errors import BundleError, ConfigError
from ..intake import IntakeError
from .settings import ModelConfig

FORMAT = "mld-closure-bundle"
VERSION = 2
UNSEALED = 1  # the version before, without a hash over the manifest
FILE_LIMIT = 1 << 38  # bytes of one file of a bundle
MANIFEST = "bundle.json"
RANGES = {"pixel": (0.0, 1.0), "micro_step": (0.0, 1.0), "horizon": (0, 10**6)}  # m, s, frames
SHIPPED = Path(__file__).resolve().parents[1] / "bundles"
KEYS: dict[str, type] = {
    "config": dict,
    "fields": dict,
    "pixel": float,
    "micro_step": float,
    "horizon": int,
    "load_range": list,
    "provenance": dict,
    "parts": dict,
    "extras": dict,
    "files": dict,
    "microstructure": dict,
    "errors": dict,
}
SAYS = ("microstructure", "errors")  # what a bundle says of its own limits; {} for nothing


def resolve(path_or_name: str | Path) -> Path:
    """The directory of a bundle, by path or by the name of a shipped one; BundleError if there is none."""
    path = Path(path_or_name)
    try:
        if not path.is_dir():
            durable.mend(path)
        if path.is_dir():
            return path
        there = path.exists()
    except (OSError, ValueError) as err:
        raise BundleError(f"no bundle at {str(path)[:200]!r} ({err})") from None
    if there:
        raise BundleError(f"{path} is a file; a bundle is a directory with {MANIFEST}")
    shipped = SHIPPED / path.name
    if len(path.parts) == 1 and (shipped / MANIFEST).is_file():
        return shipped
    names = sorted(p.parent.name for p in SHIPPED.glob(f"*/{MANIFEST}"))
    raise BundleError(f"no bundle at {path}; shipped bundles: {', '.join(names) or 'none'}")


def is_bundle(path_or_name: str | Path) -> bool:
    """Whether there is a bundle with that path or name; its content is not checked."""
    try:
        return (resolve(path_or_name) / MANIFEST).is_file()
    except BundleError:
        return False


def read_manifest(directory: Path, *, unsealed: bool = False) -> dict[str, Any]:
    """The content of `bundle.json`, checked; BundleError if it is missing, damaged or of another version.

    unsealed: also take the format version before, whose manifests have no hash.
    """
    path = directory / MANIFEST
    try:
        manifest = intake.read_json(path, inside=directory)
    except FileNotFoundError:
        raise BundleError(f"{directory} has no {MANIFEST}, so it is not a bundle") from None
    except IntakeError as err:
        raise BundleError(f"{err}; copy the bundle again") from None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise BundleError(f"{path} does not describe a bundle (its format is not '{FORMAT}')")
    version = manifest.get("version")
    if unsealed and version == UNSEALED:
        manifest |= {"version": VERSION} | {name: manifest.get(name, {}) for name in SAYS}
    elif version != VERSION:
        older = (
            f"`mld-closure guard {directory} --seal`" if version == UNSEALED else "export the bundle again"
        )
        raise BundleError(
            f"{path} has format version {version!r}; this package reads version {VERSION}: "
            f"install the package that wrote it, or {older}"
        )
    else:
        try:
            intake.check_seal(manifest, str(path))
        except IntakeError as err:
            raise BundleError(f"{err}; copy the bundle again") from None
    for key, kind in KEYS.items():
        if not isinstance(manifest.get(key), kind):
            raise BundleError(f"{path}: '{key}' must be a {kind.__name__}, got {manifest.get(key)!r}")
    _check_numbers(manifest, path)
    for scale in ("micro", "meso"):
        files = manifest["parts"].get(scale)
        if not isinstance(files, dict) or not all(isinstance(name, str) for name in files.values()):
            raise BundleError(f"{path}: 'parts' lists no files for the {scale} model")
    for name, extra in manifest["extras"].items():
        if not isinstance(extra, dict) or not isinstance(extra.get("config"), dict) or "file" not in extra:
            raise BundleError(f"{path}: extra '{name}' needs 'config' and 'file'")
    _check_fields(manifest, path)
    return manifest


def read_config(manifest: Mapping[str, Any], directory: Path) -> ModelConfig:
    """The model configuration in a manifest; BundleError where this package cannot use it."""
    path = directory / MANIFEST
    try:
        config = from_dict(ModelConfig, manifest["config"], f"{path}: config")
    except ConfigError as err:
        raise BundleError(str(err)) from None
    if set(manifest["fields"]) != set(config.fields):
        raise BundleError(f"{path} scales {sorted(manifest['fields'])} but models {sorted(config.fields)}")
    return config


def read_file(directory: Path, name: Any, manifest: Mapping[str, Any]) -> bytes:
    """The bytes of one file of a bundle, checked against size and SHA-256; BundleError if they differ."""
    entry = manifest["files"].get(name) if isinstance(name, str) and Path(name).name == name else None
    size = entry.get("bytes") if isinstance(entry, dict) else None
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= FILE_LIMIT:
        raise BundleError(
            f"{directory / MANIFEST} names the file {name!r} without listing it in 'files', by name alone, "
            "with its size"
        )
    try:
        data = intake.read_bytes(directory / name, FILE_LIMIT, size=size, inside=directory)
    except FileNotFoundError:
        raise BundleError(f"{directory} lacks the file {name}; copy the bundle again") from None
    except IntakeError as err:
        raise BundleError(f"{err}; copy the bundle again") from None
    if hashlib.sha256(data).hexdigest() != entry.get("sha256"):
        raise BundleError(f"{directory / name} was altered (its SHA-256 differs); copy the bundle again")
    return data


def file_entry(data: bytes) -> dict[str, Any]:
    """Size and SHA-256 of a file, as the manifest lists them."""
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def field_scaling(names: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Units and bounds of the fields, as the manifest records them."""
    chosen = {name: field_table.get(name) for name in names}
    return {name: {"units": f.units, "low": f.low, "high": f.high} for name, f in chosen.items()}


def describe(path_or_name: str | Path) -> dict[str, Any]:
    """What is in a bundle, after a check of every file; torch is not needed.

    Parameters
    ----------
    path_or_name
        Directory of the bundle, or the name of one that is shipped with the package.

    Returns
    -------
    dict
        JSON-ready numbers (SI units) and texts by name, such as `pixel` (m) and `meso_step` (s).

    Raises
    ------
    BundleError
        As `Bundle.load`, except for tensors of the wrong shape, which are not read.

    Examples
    --------
    >>> from mld_closure.models.manifest import describe
    >>> describe("hmx-compact")["horizon"]
    31
    """
    directory = resolve(path_or_name)
    manifest = read_manifest(directory)
    config = read_config(manifest, directory)
    counts = {name: _count(directory, name, manifest) for name in sorted(manifest["files"])}
    per_scale = {
        scale: sum(counts.get(name, 0) for part, name in files.items() if part != "scaling")
        for scale, files in manifest["parts"].items()
    }
    return {
        "path": str(directory),
        "version": manifest["version"],
        "content_hash": intake.digest(manifest),
        "fields": {name: manifest["fields"][name] for name in config.fields},
        "config": manifest["config"],
        "pixel": manifest["pixel"],
        "micro_step": manifest["micro_step"],
        "meso_step": manifest["micro_step"] * config.meso_micro_ratio,
        "horizon": manifest["horizon"],
        "load_range": manifest["load_range"],
        "parameters": per_scale,
        "extras": {name: extra.get("config") for name, extra in manifest["extras"].items()},
        **{name: manifest[name] for name in SAYS},
        "provenance": manifest["provenance"],
        "files": {name: manifest["files"][name]["bytes"] for name in sorted(manifest["files"])},
    }


def write_directory(path: Path, files: Mapping[str, bytes], overwrite: bool = False) -> None:
    """Crash-safe write of a bundle: to a temporary directory, flushed to disk, then renamed to `path`.

    An interrupted write leaves `path` as it was. Raises FileExistsError where `path` exists, unless it is a
    bundle and `overwrite` is set.
    """
    if path.exists() and not (overwrite and (path / MANIFEST).is_file()):
        cure = "choose another name" if overwrite else "choose another name or allow overwriting"
        raise FileExistsError(f"{path} exists already; {cure}")
    durable.make_folder(path.absolute().parent)
    durable.write_folder(path, files)


def _check_numbers(manifest: Mapping[str, Any], path: Path) -> None:
    """BundleError where a number of a manifest cannot be right, whatever the model."""
    for key, (low, high) in RANGES.items():
        if not low < manifest[key] <= high:
            raise BundleError(
                f"{path}: '{key}' must be above {low:g} and at most {high:g}, got {manifest[key]!r}"
            )
    speeds = manifest["load_range"]
    plain = len(speeds) == 2 and all(type(v) in (int, float) for v in speeds)
    if not plain or not 0 <= speeds[0] < speeds[1] <= 1e5:
        raise BundleError(f"{path}: 'load_range' must be two increasing speeds in m/s, got {speeds!r}")


def _check_fields(manifest: Mapping[str, Any], path: Path) -> None:
    for name, there in manifest["fields"].items():
        here = field_scaling((name,))[name] if name in field_table.FIELDS else None
        if there != here:
            raise BundleError(
                f"{path}: field '{name}' was scaled with {there}, this package has {here}; "
                "install the package that wrote it"
            )


def _count(directory: Path, name: str, manifest: Mapping[str, Any]) -> int:
    """Numbers held by a safetensors file, from its header (8 bytes of length, then JSON)."""
    data = read_file(directory, name, manifest)
    size = int.from_bytes(data[:8], "little")
    try:
        header = intake.parse_json(data[8 : 8 + size], str(directory / name))
        return sum(math.prod(t["shape"]) for key, t in header.items() if key != "__metadata__")
    except (ValueError, AttributeError, KeyError, TypeError) as err:
        raise BundleError(f"{directory / name} is not a safetensors file: {err}") from None
