"""Bundles as directories: find, check and describe them without torch; write them crash-safe.

A bundle is `bundle.json` (format version, configuration, units, provenance, size and SHA-256 of every other
file) and safetensors files. Neither can carry code, so opening a bundle runs none.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import durable
from .. import fields as field_table
from ..config import from_dict
from ..errors import BundleError, ConfigError
from .settings import ModelConfig

FORMAT = "mld-closure-bundle"
VERSION = 1
MANIFEST = "bundle.json"
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
}


def resolve(path_or_name: str | Path) -> Path:
    """The directory of a bundle, by path or by the name of a shipped one; BundleError if there is none."""
    path = Path(path_or_name)
    if path.is_dir():
        return path
    if path.exists():
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


def read_manifest(directory: Path) -> dict[str, Any]:
    """The content of `bundle.json`, checked; BundleError if it is missing, damaged or of another version."""
    path = directory / MANIFEST
    try:
        manifest = json.loads(path.read_text())
    except FileNotFoundError:
        raise BundleError(f"{directory} has no {MANIFEST}, so it is not a bundle") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as err:
        raise BundleError(f"{path} is damaged ({err}); copy the bundle again") from None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise BundleError(f"{path} does not describe a bundle (its format is not '{FORMAT}')")
    if manifest.get("version") != VERSION:
        raise BundleError(
            f"{path} has format version {manifest.get('version')!r}; this package reads version {VERSION}: "
            "install the package that wrote it, or export the bundle again"
        )
    for key, kind in KEYS.items():
        if not isinstance(manifest.get(key), kind):
            raise BundleError(f"{path}: '{key}' must be a {kind.__name__}, got {manifest.get(key)!r}")
    for scale in ("micro", "meso"):
        if not isinstance(manifest["parts"].get(scale), dict):
            raise BundleError(f"{path}: 'parts' lists no files for the {scale} model")
    for name, extra in manifest["extras"].items():
        if not isinstance(extra, dict) or not {"config", "file"} <= set(extra):
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
    if not isinstance(entry, dict):
        raise BundleError(
            f"{directory / MANIFEST} names the file {name!r} without listing it in 'files', by name alone"
        )
    try:
        data = (directory / name).read_bytes()
    except FileNotFoundError:
        raise BundleError(f"{directory} lacks the file {name}; copy the bundle again") from None
    if len(data) != entry.get("bytes"):
        raise BundleError(
            f"{directory / name} has {len(data)} bytes instead of {entry.get('bytes')}; copy the bundle again"
        )
    if hashlib.sha256(data).hexdigest() != entry.get("sha256"):
        raise BundleError(f"{directory / name} was altered (its SHA-256 differs); copy the bundle again")
    return data


def file_entry(data: bytes) -> dict[str, Any]:
    """Size and SHA-256 of a file, as the manifest lists them."""
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def manifest_bytes(manifest: Mapping[str, Any]) -> bytes:
    """The manifest as it is written; equal manifests give equal bytes."""
    return (json.dumps(manifest, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()


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
        "content_hash": hashlib.sha256(manifest_bytes(manifest)).hexdigest(),
        "fields": {name: manifest["fields"][name] for name in config.fields},
        "config": manifest["config"],
        "pixel": manifest["pixel"],
        "micro_step": manifest["micro_step"],
        "meso_step": manifest["micro_step"] * config.meso_micro_ratio,
        "horizon": manifest["horizon"],
        "load_range": manifest["load_range"],
        "parameters": per_scale,
        "extras": {name: extra.get("config") for name, extra in manifest["extras"].items()},
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
    path.parent.mkdir(parents=True, exist_ok=True)
    mark = uuid.uuid4().hex[:8]
    new, old = (path.with_name(f".{path.name}.{mark}.{kind}") for kind in ("new", "old"))
    new.mkdir()
    try:
        for name, data in files.items():
            durable.write(new / name, data)
        if path.exists():
            path.rename(old)
        new.rename(path)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        if old.exists() and not path.exists():
            old.rename(path)
        raise
    shutil.rmtree(old, ignore_errors=True)


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
        header = json.loads(data[8 : 8 + size])
        return sum(math.prod(t["shape"]) for key, t in header.items() if key != "__metadata__")
    except (ValueError, AttributeError, KeyError, TypeError) as err:
        raise BundleError(f"{directory / name} is not a safetensors file: {err}") from None
