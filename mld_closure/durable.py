"""Crash-safe atomic writes: a file is flushed to the disk under a temporary name, then renamed.

After a kill, a power failure or a full disk, a path holds the complete old file, the complete new file or
none, never a part of one. Every write, flush, rename and new folder of the package passes the functions here;
tests replace `disk` to make them fail.
"""

from __future__ import annotations

import errno
import glob
import logging
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

_UNABLE = {errno.EINVAL, errno.ENOTSUP, errno.ENOSYS}  # of file systems that flush no folders
log: logging.Logger = logging.getLogger("mld_closure")


class Disk:
    """What the operating system does for this file."""

    def before(self, call: str) -> None:
        """Comes first in each call, named write, fsync, rename or mkdir: where tests let a disk fail."""

    def write(self, file: BinaryIO, data: bytes) -> None:
        """Write all of the data."""
        self.before("write")
        file.write(data)
        file.flush()

    def fsync(self, handle: int) -> None:
        """Flush an open file or folder."""
        self.before("fsync")
        os.fsync(handle)

    def rename(self, old: Path, new: Path) -> None:
        """Give a file or folder another name, in one atomic step; a file replaces another."""
        self.before("rename")
        os.replace(old, new)

    def mkdir(self, path: Path) -> None:
        """Make a folder."""
        self.before("mkdir")
        os.mkdir(path)


disk: Disk = Disk()


def sync(path: Path) -> None:
    """Flush the data of a file, or the names in a folder, to the disk.

    Raises
    ------
    OSError
        What was written may be lost. A file system that says that it cannot flush folders is no error.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        disk.fsync(handle)
    except OSError as err:
        if err.errno not in _UNABLE or not path.is_dir():
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
            disk.write(file, data)
            disk.fsync(file.fileno())
    except OSError:
        path.unlink(missing_ok=True)
        raise


def rename(old: Path, new: Path) -> None:
    """Give a file or a folder a new name that lasts: a file replaces another in one atomic step.

    Raises
    ------
    OSError
        It could not be renamed, or the new name may be lost in a power failure.
    """
    disk.rename(old, new)
    sync(new.parent)


def make_folder(path: Path) -> None:
    """Make a folder, with those above it, whose name lasts; one that is there is left as it is.

    Raises
    ------
    OSError
        It cannot be made, or something else has that name.
    """
    if path.is_dir():
        return
    if path.parent != path:
        make_folder(path.parent)
    with suppress(FileExistsError):
        disk.mkdir(path)
        sync(path.parent)
    if not path.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "something other than a folder has that name", str(path))


@contextmanager
def published(path: Path) -> Iterator[Path]:
    """Give a temporary path; on success, what was written there replaces `path` in one atomic step.

    What a killed process left of an earlier attempt is removed.

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
    clear(path)
    temporary = path.with_name(f".{path.name}.{_mark()}.tmp")
    try:
        yield temporary
        sync(temporary)
        rename(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Replace a text file, in UTF-8, in one atomic step; OSError where it cannot be written, with the old one
    in place."""
    with published(path) as temporary:
        write(temporary, text.encode())


def write_folder(path: Path, files: Mapping[str, bytes]) -> None:
    """Write a folder of files, under a temporary name first; a folder that is there is replaced.

    Killed between the two renames of a replacement, `path` is missing; `mend` puts the old folder back.

    Raises
    ------
    OSError
        With `path` as it was.
    """
    mend(path)
    mark, there = _mark(), path.exists()
    new, old = (path.with_name(f".{path.name}.{mark}.{kind}") for kind in ("new", "old"))
    disk.mkdir(new)
    try:
        for name, data in files.items():
            write(new / name, data)
        sync(new)
        if there:
            disk.rename(path, old)
        rename(new, path)
    except BaseException:
        if path.exists() and (old.exists() or not there):
            shutil.rmtree(path, ignore_errors=True)
        if old.exists():
            os.rename(old, path)
        shutil.rmtree(new, ignore_errors=True)
        raise
    shutil.rmtree(old, ignore_errors=True)


def mend(path: Path) -> None:
    """Clean up beside `path` after processes of this machine that were killed in `write_folder`.

    An old folder whose replacement never came is put back; all else that they left is removed.
    """
    for left in sorted(path.parent.glob(f".{glob.escape(path.name)}.*.old")):
        if not _abandoned(left):
            continue
        if path.exists():
            _remove(left)
        else:
            log.warning("%s was being replaced by a process that was killed; put back", path)
            os.rename(left, path)
            sync(path.parent)
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.new"):
        if _abandoned(left):
            _remove(left)


def clear(path: Path) -> None:
    """Remove what processes of this machine that were killed left beside `path` in `published`."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        if _abandoned(left):
            _remove(left)


def _mark() -> str:
    """Part of a temporary name that says which process of which machine writes there."""
    return f"{os.uname().nodename.replace('.', '-')}-{os.getpid()}-{uuid.uuid4().hex[:8]}"


def _abandoned(left: Path) -> bool:
    """Whether the process that a temporary name tells of is gone; not for processes of other machines."""
    node, _, rest = left.name.split(".")[-2].rpartition("-")[0].rpartition("-")
    if node != os.uname().nodename.replace(".", "-") or not rest.isdigit():
        return False
    try:
        os.kill(int(rest), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return False


def _remove(left: Path) -> None:
    log.warning("removed %s, left by a process that was killed", left)
    if left.is_dir():
        shutil.rmtree(left, ignore_errors=True)
    else:
        left.unlink(missing_ok=True)
