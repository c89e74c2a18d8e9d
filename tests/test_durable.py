"""Files and folders appear whole under their names, errors of the disk are told, leftovers are cleaned."""

import errno
import os
import subprocess
import sys

import pytest

from mld_closure import durable


class Broken(durable.Disk):
    """A disk on which one call fails."""

    def __init__(self, what, moment, code=errno.ENOSPC):
        self.what, self.left, self.code = what, moment, code

    def before(self, name):
        if name == self.what:
            self.left -= 1
            if self.left < 0:
                raise OSError(self.code, os.strerror(self.code))


@pytest.mark.parametrize("moment", range(2))
def test_an_error_of_the_folders_flush_is_reported(tmp_path, monkeypatch, moment):
    monkeypatch.setattr(durable, "disk", Broken("fsync", moment + 1, errno.EIO))
    with pytest.raises(OSError, match="Input/output error"):
        durable.write_text(tmp_path / "a.txt", "new")


def test_a_file_system_that_cannot_flush_folders_is_no_error(tmp_path, monkeypatch):
    class Unable(durable.Disk):
        def fsync(self, handle):
            import stat

            if stat.S_ISDIR(os.fstat(handle).st_mode):
                raise OSError(errno.EINVAL, "Invalid argument")
            super().fsync(handle)

    monkeypatch.setattr(durable, "disk", Unable())
    durable.write_text(tmp_path / "a.txt", "new")
    assert (tmp_path / "a.txt").read_text() == "new"


@pytest.mark.parametrize("what", ["write", "fsync", "rename", "mkdir"])
@pytest.mark.parametrize("moment", range(6))
def test_a_folder_is_the_old_or_the_new_one_whatever_fails(tmp_path, monkeypatch, what, moment):
    path = tmp_path / "b"
    durable.write_folder(path, {"x": b"old", "y": b"old"})
    monkeypatch.setattr(durable, "disk", Broken(what, moment))
    try:
        durable.write_folder(path, {"x": b"new", "y": b"new"})
        wanted = {b"new"}
    except OSError:
        wanted = {b"old"}
    assert {(path / name).read_bytes() for name in ("x", "y")} == wanted
    assert os.listdir(tmp_path) == ["b"]


KILLED = """
import os, sys
from pathlib import Path
from mld_closure import durable
class Dying(durable.Disk):
    left = int(sys.argv[2])
    def rename(self, old, new):
        if Dying.left == 0: os._exit(9)
        Dying.left -= 1
        super().rename(old, new)
durable.disk = Dying()
path = Path(sys.argv[1])
durable.write_folder(path, {"x": b"new"}) if len(sys.argv) == 3 else durable.write_text(path / "t", "new")
"""


@pytest.mark.parametrize("moment", range(2))
def test_a_killed_replacement_is_mended_by_the_next_start(tmp_path, moment):
    path = tmp_path / "b"
    durable.write_folder(path, {"x": b"old"})
    subprocess.run([sys.executable, "-c", KILLED, path, str(moment)], check=False)
    durable.mend(path)
    assert (path / "x").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["b"]


def test_what_a_killed_writer_left_is_named_and_removed(tmp_path, caplog):
    subprocess.run([sys.executable, "-c", KILLED, tmp_path, "0", "file"], check=False)
    (left,) = os.listdir(tmp_path)
    with caplog.at_level("WARNING"):
        durable.write_text(tmp_path / "t", "newer")
    assert left in caplog.text
    assert os.listdir(tmp_path) == ["t"]


def test_what_a_living_writer_writes_stays(tmp_path):
    with durable.published(tmp_path / "t") as first:
        first.write_text("one")
        durable.write_text(tmp_path / "t", "two")
        assert first.exists()
    assert (tmp_path / "t").read_text() == "one"


@pytest.mark.parametrize("mask", [0o077, 0o027, 0o002])
def test_files_have_the_rights_that_the_umask_leaves(tmp_path, mask):
    before = os.umask(mask)
    try:
        durable.write_folder(tmp_path / "b", {"x": b"new"})
        durable.write_text(tmp_path / "t", "new")
        durable.make_folder(tmp_path / "f")
    finally:
        os.umask(before)
    for name in ("t", "b/x"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o666 & ~mask
    for name in ("b", "f"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o777 & ~mask
