"""Restart folders: arrays as safetensors, in one file or several, and a manifest; whole at any instant.

The arrays go to files with new names, flushed; then the manifest that names them, flushed under a temporary
name, is renamed over the old one, which is the one atomic moment; then the old arrays are removed.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from .. import durable
from ..errors import ClosureError

FORMAT = "mld-closure-restart"
VERSION = 6
MANIFEST = "restart.json"


def new_name() -> str:
    """A name for the files of one restart that no earlier one has."""
    return uuid.uuid4().hex[:8]


def write(folder: str | Path, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> None:
    """Write arrays and JSON-ready facts; what was in the folder before stays whole until it is replaced."""
    name = new_name()
    write_manifest(folder, name, [write_shard(folder, name, 0, arrays)], facts)


def write_shard(
    folder: str | Path, name: str, number: int, arrays: Mapping[str, np.ndarray]
) -> dict[str, str]:
    """Write one file of a restart, flushed; returns its entry for the manifest."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    data = safetensors.numpy.save({k: np.ascontiguousarray(v) for k, v in arrays.items()})
    file = f"state-{name}-{number:05d}.safetensors"
    _flushed(folder / file, data)
    return {"file": file, "sha256": hashlib.sha256(data).hexdigest()}


def write_manifest(
    folder: str | Path, name: str, shards: Sequence[Mapping[str, str]], facts: Mapping[str, Any]
) -> None:
    """Make a restart of files that are there, in place of the one before, whose files are removed."""
    folder = Path(folder)
    manifest = {"format": FORMAT, "version": VERSION, "shards": list(shards), **facts}
    temporary = folder / f".{MANIFEST}.{name}"
    _flushed(temporary, (json.dumps(manifest, indent=1, sort_keys=True) + "\n").encode())
    os.replace(temporary, folder / MANIFEST)
    durable.sync(folder)
    mine = {shard["file"] for shard in shards}
    for old in (*folder.glob("state-*.safetensors"), *folder.glob(f".{MANIFEST}.*")):
        if old.name not in mine:
            old.unlink(missing_ok=True)


def read(folder: str | Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays and facts; FileNotFoundError where there is none, ClosureError where it is damaged."""
    facts = read_manifest(folder)
    return join([read_shard(folder, shard) for shard in facts["shards"]]), facts


def read_manifest(folder: str | Path) -> dict[str, Any]:
    """The facts of a restart, and the entries of its files as `shards`; raises as `read` does."""
    path = Path(folder) / MANIFEST
    try:
        facts = json.loads(path.read_text())
    except FileNotFoundError:
        raise FileNotFoundError(f"no restart at {folder}: {MANIFEST} is missing") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as err:
        raise ClosureError(f"{path} is damaged ({err}); use another restart") from None
    if not isinstance(facts, dict) or facts.get("format") != FORMAT or facts.get("version") != VERSION:
        raise ClosureError(f"{path} is no restart of format version {VERSION}")
    return facts


def read_shard(folder: str | Path, shard: Mapping[str, str]) -> dict[str, np.ndarray]:
    """The arrays of one file; ClosureError where it is missing or damaged."""
    file = Path(folder) / Path(shard["file"]).name
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        raise ClosureError(f"{folder} lacks {file.name}; use another restart") from None
    if hashlib.sha256(data).hexdigest() != shard["sha256"]:
        raise ClosureError(f"{file} is damaged (its SHA-256 differs); use another restart")
    return safetensors.numpy.load(data)


def join(shards: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The arrays of several files, one after the other."""
    names = sorted({name for shard in shards for name in shard})
    return {n: np.concatenate([shard[n] for shard in shards if n in shard]) for n in names}


def _flushed(path: Path, data: bytes) -> None:
    """Write a file, flushed, or leave none; OSError that says what still stands."""
    try:
        durable.write(path, data)
    except OSError as err:
        raise OSError(
            err.errno, f"{err.strerror}; the restart before it stands, free space and save again", str(path)
        ) from None
