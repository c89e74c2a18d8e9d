"""Crash-safe atomic writes: a file is flushed to the disk under a temporary name, then renamed.

After a kill, a power failure or a full disk, a path holds the complete old file, the complete new file or
none, never a part of one.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def sync(path: Path) -> None:
    """Flush the data of a file, or the names in a folder, to the disk.

    Raises
    ------
    OSError
        The data of a file could not be written. Folders are allowed to fail, as some file systems cannot
        flush them.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError:
        if not path.is_dir():  # some file systems sync no folders
            raise
    finally:
        os.close(handle)


def write(path: Path, data: bytes) -> None:
    """Write a new file and flush it to the disk; after an error no file is left.

    Raises
    ------
    OSError
        The file could not be written completely.
    """
    try:
        with open(path, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        path.unlink(missing_ok=True)
        raise


@contextmanager
def published(path: Path) -> Iterator[Path]:
    """Give a temporary path; on success, what was written there replaces `path` in one atomic step.

    Parameters
    ----------
    path : Path
        Where the file shall appear. An existing file stays complete until it is replaced.

    Yields
    ------
    Path
        Temporary path in the same folder, to be written by the caller. It is flushed and renamed when the
        `with` block ends, and removed after an exception.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        yield temporary
        sync(temporary)
        os.replace(temporary, path)
        sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)
