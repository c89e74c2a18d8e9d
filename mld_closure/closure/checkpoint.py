"""Restart folders: arrays as safetensors and a manifest in JSON, whole at every instant.

The arrays go to a file with a new name, flushed; then the manifest that names it, flushed under a temporary
name, is renamed over the old one, which is the one atomic moment; then the old arrays are removed.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from .guards import ClosureError

FORMAT = "mld-closure-restart"
VERSION = 1
MANIFEST = "restart.json"


def write(folder: str | Path, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> None:
    """Write arrays and JSON-ready facts; what was in the folder before stays whole until it is replaced."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    data = safetensors.numpy.save({k: np.ascontiguousarray(v) for k, v in arrays.items()})
    name = f"state-{uuid.uuid4().hex[:8]}.safetensors"
    _flushed(folder / name, data)
    digest = hashlib.sha256(data).hexdigest()
    manifest = {"format": FORMAT, "version": VERSION, "arrays": name, "sha256": digest, **facts}
    temporary = folder / f".{MANIFEST}.{name}"
    _flushed(temporary, (json.dumps(manifest, indent=1, sort_keys=True) + "\n").encode())
    os.replace(temporary, folder / MANIFEST)
    _sync(folder)
    for old in (*folder.glob("state-*.safetensors"), *folder.glob(f".{MANIFEST}.*")):
        if old.name != name:
            old.unlink(missing_ok=True)


def read(folder: str | Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays and facts; FileNotFoundError where there is none, ClosureError where it is damaged."""
    path = Path(folder) / MANIFEST
    try:
        facts = json.loads(path.read_text())
    except FileNotFoundError:
        raise FileNotFoundError(f"no restart at {folder}: {MANIFEST} is missing") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as err:
        raise ClosureError(f"{path} is damaged ({err}); use another restart") from None
    if not isinstance(facts, dict) or facts.get("format") != FORMAT or facts.get("version") != VERSION:
        raise ClosureError(f"{path} is no restart of format version {VERSION}")
    file = Path(folder) / Path(facts["arrays"]).name
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        raise ClosureError(f"{folder} lacks {file.name}; use another restart") from None
    if hashlib.sha256(data).hexdigest() != facts["sha256"]:
        raise ClosureError(f"{file} is damaged (its SHA-256 differs); use another restart")
    return safetensors.numpy.load(data), facts


def pack(record: np.ndarray, prefix: str = "cell_") -> dict[str, np.ndarray]:
    """A structured array as one plain array a field."""
    return {prefix + name: record[name].copy() for name in record.dtype.names}


def unpack(arrays: Mapping[str, np.ndarray], dtype: np.dtype, prefix: str = "cell_") -> np.ndarray:
    """Inverse of `pack`; ClosureError where a field is missing or has another type."""
    record = np.empty(len(arrays[prefix + dtype.names[0]]), dtype)
    for name in dtype.names:
        if prefix + name not in arrays or arrays[prefix + name].dtype != record[name].dtype:
            raise ClosureError(f"the restart lacks '{name}' or holds another type; it is of another version")
        record[name] = arrays[prefix + name]
    return record


def _flushed(path: Path, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
