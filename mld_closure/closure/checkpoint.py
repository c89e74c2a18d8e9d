"""Restart folders: arrays as safetensors, in one file or several, and a manifest; whole at any instant.

The arrays go to files with new names, flushed; then the manifest that names them, flushed under a temporary
name, is renamed over the old one, which is the one atomic moment; then the old arrays are removed. A mark
stands in the folder from before the first file until then, so that the next save can tell what a killed one
left from files of other makers.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import math
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from .. import durable, intake
from ..errors import ClosureError
from ..intake import IntakeError

FORMAT = "mld-closure-restart"
VERSION = 6
MANIFEST = "restart.json"
FILE_LIMIT = 1 << 40  # bytes of one file of a restart
_SHARD = re.compile(r"state-([0-9a-f]{8})-([0-9]{5})\.safetensors")
_HASH = re.compile(r"[0-9a-f]{64}")
log: logging.Logger = logging.getLogger("mld_closure")


def new_name() -> str:
    """A name for the files of one restart that no earlier one has."""
    return uuid.uuid4().hex[:8]


def write(folder: str | Path, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> None:
    """Write arrays and JSON-ready facts; what was in the folder before stays whole until it is replaced."""
    name = new_name()
    begin(folder, name)
    write_manifest(folder, name, [write_shard(folder, name, 0, arrays)], facts)


def begin(folder: str | Path, name: str) -> None:
    """Make the folder, remove what a killed save left in it, and mark that files of this name are to come."""
    folder = Path(folder)
    durable.make_folder(folder.absolute())
    for mark in folder.glob(".saving-*"):
        left = _files(folder, mark.name.removeprefix(".saving-")) | _replaced(mark)
        for file in sorted(left - _named(folder)):
            log.warning("removed %s, left by a save that was killed", folder / file)
            (folder / file).unlink(missing_ok=True)
        mark.unlink(missing_ok=True)
    durable.clear(folder / MANIFEST)
    _flushed(folder / f".saving-{name}", "\n".join(sorted(_named(folder))).encode())


def abandon(folder: str | Path, name: str) -> None:
    """Remove the files of a save that has failed."""
    folder = Path(folder)
    for file in _files(folder, name):
        (folder / file).unlink(missing_ok=True)
    (folder / f".saving-{name}").unlink(missing_ok=True)


def write_shard(
    folder: str | Path, name: str, number: int, arrays: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    """Write one file of a restart that has begun, flushed; returns its entry for the manifest."""
    data = safetensors.numpy.save({k: np.ascontiguousarray(v) for k, v in arrays.items()})
    file = f"state-{name}-{number:05d}.safetensors"
    _flushed(Path(folder) / file, data)
    return {"file": file, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def write_manifest(
    folder: str | Path, name: str, shards: Sequence[Mapping[str, Any]], facts: Mapping[str, Any]
) -> None:
    """Make a restart of files that are there, in place of the one before, whose files are removed."""
    folder = Path(folder)
    before = _named(folder)
    manifest = intake.sealed({"format": FORMAT, "version": VERSION, "shards": list(shards), **facts})
    with _kept(folder / MANIFEST):
        durable.sync(folder)
        with durable.published(folder / MANIFEST) as temporary:
            durable.write(temporary, intake.canonical(manifest))
    for old in before - {shard["file"] for shard in shards}:
        (folder / old).unlink(missing_ok=True)
    (folder / f".saving-{name}").unlink(missing_ok=True)


def read(folder: str | Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays and facts; FileNotFoundError where there is none, ClosureError where it is damaged."""
    facts = read_manifest(folder)
    return join([read_shard(folder, shard) for shard in facts["shards"]]), facts


def read_manifest(folder: str | Path) -> dict[str, Any]:
    """The facts of a restart, checked, and the entries of its files as `shards`; raises as `read` does."""
    path = Path(folder) / MANIFEST
    try:
        facts = intake.read_json(path, inside=Path(folder))
        if not isinstance(facts, dict) or facts.get("format") != FORMAT or facts.get("version") != VERSION:
            raise ClosureError(f"{path} is no restart of format version {VERSION}")
        intake.check_seal(facts, str(path))
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(f"no restart at {folder}: {MANIFEST} is missing") from None
    except IntakeError as err:
        raise ClosureError(f"{err}; use another restart") from None
    wrong = next((name for name, right in _RIGHT.items() if not right(facts.get(name))), None)
    if wrong is not None:
        raise ClosureError(f"{path}: '{wrong}' cannot be {str(facts.get(wrong))[:80]}; use another restart")
    return facts


def read_shard(folder: str | Path, shard: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The arrays of one file; ClosureError where it is missing or damaged."""
    file = Path(folder) / shard["file"]
    try:
        data = intake.read_bytes(file, FILE_LIMIT, size=shard["bytes"], inside=Path(folder))
    except FileNotFoundError:
        raise ClosureError(f"{folder} lacks {file.name}; use another restart") from None
    except IntakeError as err:
        raise ClosureError(f"{err}; use another restart") from None
    if hashlib.sha256(data).hexdigest() != shard["sha256"]:
        raise ClosureError(f"{file} is damaged (its SHA-256 differs); use another restart")
    try:
        return safetensors.numpy.load(data)
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError, AttributeError) as err:
        raise ClosureError(f"{file} is no safetensors file ({err}); use another restart") from None


def join(shards: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The arrays of several files, one after the other; ClosureError where they do not fit together."""
    names = sorted({name for shard in shards for name in shard})
    try:
        return {n: np.concatenate([shard[n] for shard in shards if n in shard]) for n in names}
    except ValueError as err:
        raise ClosureError(f"the files of the restart do not fit together ({err}); use another") from None


def _files(folder: Path, name: str) -> set[str]:
    """Files of the save of this name."""
    found = {p.name: _SHARD.fullmatch(p.name) for p in folder.glob("state-*.safetensors")}
    return {file for file, match in found.items() if match and match[1] == name}


def _replaced(mark: Path) -> set[str]:
    """Files of the restart that the save of this mark was to replace."""
    try:
        names = intake.read_text(mark).split("\n")
    except (OSError, IntakeError):
        return set()
    return {name for name in names if _SHARD.fullmatch(name) and (mark.parent / name).is_file()}


def _named(folder: Path) -> set[str]:
    """Files of the restart that stands in a folder; none where there is none that can be read."""
    try:
        return {shard["file"] for shard in read_manifest(folder)["shards"]}
    except (ClosureError, OSError):
        return set()


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: Any) -> bool:
    return isinstance(value, float) or _whole(value)


def _is_shard(entry: Any) -> bool:
    if not isinstance(entry, dict) or set(entry) != {"file", "bytes", "sha256"}:
        return False
    named = all(isinstance(entry[key], str) for key in ("file", "sha256"))
    sized = _whole(entry["bytes"]) and 0 <= entry["bytes"] <= FILE_LIMIT
    return named and sized and bool(_SHARD.fullmatch(entry["file"]) and _HASH.fullmatch(entry["sha256"]))


def _is_patches(value: Any) -> bool:
    def is_id(text: str) -> bool:
        return bool(re.fullmatch(r"-?[0-9]{1,19}", text)) and abs(int(text)) < 2**63

    return isinstance(value, dict) and all(
        is_id(k) and _whole(v) and 0 <= v < 2**32 for k, v in value.items()
    )


_RIGHT = {
    "shards": lambda v: isinstance(v, list) and len(v) < 10**5 and all(map(_is_shard, v)),
    "bundle": lambda v: isinstance(v, str) and bool(_HASH.fullmatch(v)),
    "time": lambda v: v is None or (_number(v) and math.isfinite(v)),
    "options": lambda v: isinstance(v, dict),
    "fitting": lambda v: v is None or (_whole(v) and 1 <= v < 2**31),
    "patches": _is_patches,
    "t": lambda v: v is None or (_number(v) and math.isfinite(v)),
    "dt": lambda v: v is None or (_number(v) and 0 < v < math.inf),
}


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # no room, on the disk or for this user


@contextmanager
def _kept(path: Path) -> Iterator[None]:
    """Says of an OSError that the restart before still stands."""
    try:
        yield
    except OSError as err:
        cure = "free space and save again" if err.errno in _FULL else "save to another folder"
        text = f"{err.strerror}; the restart before it stands, {cure}"
        raise OSError(err.errno, text, str(path)) from None


def _flushed(path: Path, data: bytes) -> None:
    """Write a file, flushed, or leave none."""
    with _kept(path):
        durable.write(path, data)
