"""Reading what comes from outside: regular files of a bounded size, JSON that says each thing once.

A reader of the package opens nothing else by path: a pipe or a device would hang it, a sparse or huge file
would fill the memory, and a link could lead out of the folder that was named.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SEAL = "sha256"  # key of a manifest's hash over everything else in it
TEXT_LIMIT = 1 << 26  # bytes of a configuration or a manifest: many times the largest


class IntakeError(ValueError):
    """A file that cannot be taken: no regular file, too large, damaged, or not what it says."""


def require_regular(path: str | Path) -> int:
    """The size in bytes of a regular file.

    Raises
    ------
    FileNotFoundError
        There is none.
    IntakeError
        It is a folder, a pipe, a device or a socket, or it may not be read.
    """
    try:
        facts = os.stat(path)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as err:  # a loop of links, a name with a zero byte
        raise IntakeError(f"{path} cannot be read ({reason(err)})") from None
    if not stat.S_ISREG(facts.st_mode):
        raise IntakeError(f"{path} is {_kind(facts.st_mode)}, not a file")
    return facts.st_size


def read_bytes(path: str | Path, limit: int, *, size: int | None = None, inside: Path | None = None) -> bytes:
    """The content of a regular file, whose size is compared before anything is read.

    Parameters
    ----------
    path
        The file.
    limit
        Most bytes that it may have.
    size
        Bytes that it must have, where they are known.
    inside
        Folder that the file must lie in, whatever links its path has.

    Raises
    ------
    FileNotFoundError
        There is none.
    IntakeError
        As `require_regular`; also for another size, and for a file that lies elsewhere.
    """
    path = Path(path)
    if inside is not None:
        try:
            real, folder = path.resolve(), inside.resolve()
        except (OSError, RuntimeError, ValueError) as err:  # a loop of links
            raise IntakeError(f"{path} cannot be read ({reason(err)})") from None
        if real.parent != folder:
            raise IntakeError(f"{path} leads out of its folder, to {real}")
    found = require_regular(path)
    if size is not None and found != size:
        raise IntakeError(f"{path} has {found} bytes instead of {size}")
    if found > limit:
        raise IntakeError(f"{path} has {found} bytes; at most {limit} can be right")
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise IntakeError(f"{path} is no file any more")
            data = file.read(found + 1)
    except FileNotFoundError:
        raise
    except OSError as err:
        raise IntakeError(f"{path} cannot be read ({reason(err)})") from None
    if len(data) != found:
        raise IntakeError(f"{path} changed while it was read")
    return data


def read_text(path: str | Path) -> str:
    """The text, in UTF-8, of a file of configuration; raises as `read_bytes`."""
    try:
        return read_bytes(path, TEXT_LIMIT).decode()
    except UnicodeDecodeError as err:
        raise IntakeError(f"{path} is not text in UTF-8 ({err})") from None


def parse_json(text: str | bytes, where: str) -> Any:
    """JSON in which no key repeats and every number is finite.

    Raises
    ------
    IntakeError
        It is not such JSON, or it is nested too deeply.
    """
    try:
        return json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError, MemoryError) as err:
        raise IntakeError(f"{where} is damaged ({reason(err)})") from None


def read_json(path: str | Path, *, inside: Path | None = None) -> Any:
    """What is in a JSON file; raises as `read_bytes` and `parse_json`."""
    return parse_json(read_bytes(path, TEXT_LIMIT, inside=inside), str(path))


def digest(manifest: Mapping[str, Any]) -> str:
    """SHA-256 over everything in a manifest but its seal."""
    return hashlib.sha256(canonical({k: v for k, v in manifest.items() if k != SEAL})).hexdigest()


def sealed(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest with its seal."""
    return {**manifest, SEAL: digest(manifest)}


def check_seal(manifest: Mapping[str, Any], where: str) -> None:
    """IntakeError unless everything in a manifest is as it was when it was sealed."""
    try:
        found = digest(manifest)
    except RecursionError:
        raise IntakeError(f"{where} is damaged (nested too deeply)") from None
    if manifest.get(SEAL) != found:
        raise IntakeError(f"{where} was altered (its SHA-256 differs)")


def canonical(manifest: Mapping[str, Any]) -> bytes:
    """A manifest as it is written; equal manifests give equal bytes."""
    return (json.dumps(manifest, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"key '{next(n for n in names if names.count(n) > 1)}' stands twice")
    return found


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), -float("inf")):
        raise ValueError(f"{text} is too large")
    return value


def _kind(mode: int) -> str:
    kinds = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"))
    return next((name for test, name in kinds if test(mode)), "a device")


def reason(err: BaseException) -> str:
    """What an error of another package or of the system says, in one line."""
    if isinstance(err, RecursionError):
        return "nested too deeply"
    said = getattr(err, "strerror", None) or str(err) or type(err).__name__
    return " ".join(str(said).split())
