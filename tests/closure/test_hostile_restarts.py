"""Restarts from anyone: everything in them is checked before anything of the closure changes."""

import json
import os
import shutil

import numpy as np
import pytest
import safetensors.numpy

from mld_closure import durable, intake
from mld_closure.closure import checkpoint
from mld_closure.errors import ClosureError

TIMES = np.linspace(0, 4e-9, 9)


@pytest.fixture(scope="module")
def original(kit, tmp_path_factory):
    """A closure with cells that burn, and its restart folder: no test changes either."""
    folder = tmp_path_factory.mktemp("restart") / "r"
    with kit.whole_frames():
        closure = kit.make()
        kit.run(closure, TIMES[:6], lambda t: kit.ramp(t, 8e9))
    closure.save(folder)
    return closure, folder


@pytest.fixture
def saved(original, tmp_path):
    """The closure, and a copy of its restart folder."""
    closure, folder = original
    shutil.copytree(folder, tmp_path / "r")
    return closure, tmp_path / "r"


def change(folder, edit, seal=True):
    file = folder / "restart.json"
    facts = json.loads(file.read_text())
    edit(facts)
    file.write_bytes(intake.canonical(intake.sealed(facts)) if seal else json.dumps(facts).encode())


def refused(kit, closure, folder, match=None):
    before, time = kit.state(closure), closure.time
    with pytest.raises((ClosureError, FileNotFoundError), match=match) as error:
        closure.restore(folder)
    assert "\n" not in str(error.value)
    assert kit.state(closure) == before
    assert closure.time == time
    closure.begin_step(TIMES[5], 1e-10)
    closure.advance(pressure=np.full(5, 8e9))
    closure.rollback()


@pytest.mark.parametrize(
    "edit",
    [
        lambda f: f.update(fitting=0),
        lambda f: f.update(fitting=-3),
        lambda f: f.update(fitting="8"),
        lambda f: f.update(fitting=10**30),
        lambda f: f.update(time="now"),
        lambda f: f.update(time=[1.0]),
        lambda f: f.pop("bundle"),
        lambda f: f.update(bundle=7),
        lambda f: f.pop("options"),
        lambda f: f.update(options=[]),
        lambda f: f.update(options={"engine": 7}),
        lambda f: f.pop("patches"),
        lambda f: f.update(patches={"x": 1}),
        lambda f: f.update(patches={"9" * 30: 1}),
        lambda f: f.update(patches=[1]),
        lambda f: f.pop("shards"),
        lambda f: f.update(shards=[{}]),
        lambda f: f.update(shards={"file": "x"}),
        lambda f: f["shards"][0].update(file="../outside.safetensors"),
        lambda f: f["shards"][0].update(file="/dev/zero"),
        lambda f: f["shards"][0].update(bytes=2**50),
        lambda f: f["shards"][0].update(bytes=True),
        lambda f: f["shards"][0].update(sha256=None),
        lambda f: f.update(shards=f["shards"] * 2),
        lambda f: f.update(version="6"),
    ],
)
def test_a_manifest_that_cannot_be_right(kit, saved, edit):
    closure, folder = saved
    change(folder, edit)
    refused(kit, closure, folder)


@pytest.mark.parametrize("text", ["time", "fitting"])
def test_one_number_that_was_changed_is_found_by_the_seal(kit, saved, text):
    closure, folder = saved
    change(folder, lambda f: f.update({text: 3}), seal=False)
    refused(kit, closure, folder, "altered")


def test_nan_as_a_time_is_refused(kit, saved):
    closure, folder = saved
    file = folder / "restart.json"
    file.write_text(file.read_text().replace('"time": ', '"time": NaN, "was": '))
    refused(kit, closure, folder, "NaN is no number")


def spoil(folder, edit):
    """Change arrays of a restart, with its hashes right."""
    (file,) = folder.glob("*.safetensors")
    arrays = safetensors.numpy.load(file.read_bytes())
    edit(arrays)
    entry = checkpoint.write_shard(folder, file.name[6:14], 0, arrays)
    change(folder, lambda f: f.update(shards=[entry]))


def put(name, value, where=0):
    def edit(arrays):
        arrays[name] = arrays[name].copy()
        arrays[name].reshape(len(arrays[name]), -1)[where] = value

    return edit


@pytest.mark.parametrize(
    "edit",
    [
        put("cell_stage", 9),
        put("cell_tau", np.nan),
        put("cell_tau", np.inf),
        put("cell_age", -1.0),
        put("cell_pressure", -1.0),
        put("cell_pressure", np.nan),
        put("cell_load", np.inf),
        put("cell_frame", -7),
        put("cell_frame", 2**31 - 1),
        put("cell_porosity", 3.0),
        put("cell_value", np.inf),
        lambda a: a.update(cell_left=np.where(np.arange(6) == 2, np.inf, 1e9 / 3) + 0 * a["cell_left"]),
        put("ids", 101),
        put("latent_mean", np.nan),
        put("latent_mean", np.inf),
        lambda a: a.pop("cell_up"),
        lambda a: a.pop("ids"),
        lambda a: a.pop("latent_mean"),
        lambda a: a.update(cell_up=a["cell_up"][:3]),
        lambda a: a.update(cell_up=a["cell_up"].astype(np.float32)),
        lambda a: a.update(ids=a["ids"].astype(np.float64)),
        lambda a: a.update(ids=a["ids"][None]),
        lambda a: a.update(latent_mean=a["latent_mean"][:, :3]),
        lambda a: a.update(latent_mean=a["latent_mean"].astype(np.float64)),
        lambda a: a.update(latent_ids=a["latent_ids"][:2]),
    ],
)
def test_states_that_cannot_be_are_refused(kit, saved, edit):
    closure, folder = saved
    spoil(folder, edit)
    refused(kit, closure, folder)


def test_bytes_that_are_no_safetensors(kit, saved):
    closure, folder = saved
    (file,) = folder.glob("*.safetensors")
    for data in (
        b"",
        b"\xff" * 8,
        b"\x00" * 100,
        (2**62).to_bytes(8, "little") + b"{}",
        b"\x02" + b"\0" * 7 + b"[]",
    ):
        file.write_bytes(data)
        entry = {
            "file": file.name,
            "bytes": len(data),
            "sha256": __import__("hashlib").sha256(data).hexdigest(),
        }
        change(folder, lambda f, entry=entry: f.update(shards=[entry]))
        refused(kit, closure, folder)


def test_odd_files_are_refused_at_once(kit, saved, tmp_path):
    closure, folder = saved
    (file,) = folder.glob("*.safetensors")
    data = file.read_bytes()
    (tmp_path / "outside").write_bytes(data)
    for make in (lambda: os.mkfifo(file), file.mkdir, lambda: file.symlink_to(tmp_path / "outside"),
                 lambda: file.symlink_to("/dev/zero"), lambda: None):  # fmt: skip
        file.unlink(missing_ok=True) if file.is_symlink() or not file.is_dir() else file.rmdir()
        make()
        refused(kit, closure, folder)
    os.rmdir(file) if file.is_dir() else file.unlink(missing_ok=True)
    file.write_bytes(data)
    closure.restore(folder)


def test_save_removes_its_own_files_only(kit, saved):
    closure, folder = saved
    others = [
        "state-notes.safetensors",
        "state-0123abcd-00000.safetensors",
        "state-x.safetensors.bak",
        "keep.txt",
    ]
    for name in others:
        (folder / name).write_bytes(b"mine")
    closure.save(folder)
    closure.save(folder)
    left = sorted(p.name for p in folder.iterdir())
    assert [name for name in others if name not in left] == []
    assert len(left) == len(others) + 2
    closure.restore(folder)


def test_what_a_killed_save_left_is_removed_by_the_next(kit, saved, monkeypatch, caplog):
    closure, folder = saved

    class Killed(BaseException):
        pass

    def kill(*_):
        raise Killed

    monkeypatch.setattr(checkpoint, "write_manifest", kill)
    with pytest.raises(Killed):
        closure.save(folder)
    monkeypatch.undo()
    assert len(list(folder.glob("state-*"))) == 2
    with caplog.at_level("WARNING"):
        closure.save(folder)
    assert "left by a save that was killed" in caplog.text
    assert len(list(folder.iterdir())) == 2


def test_an_error_of_the_folders_flush_is_an_error_of_save(kit, saved, monkeypatch):
    closure, folder = saved

    class Failing(durable.Disk):
        def fsync(self, handle):
            import stat

            if stat.S_ISDIR(os.fstat(handle).st_mode):
                raise OSError(5, "Input/output error")
            super().fsync(handle)

    monkeypatch.setattr(durable, "disk", Failing())
    with pytest.raises(OSError, match="the restart before it stands"):
        closure.save(folder)
    monkeypatch.undo()
    closure.restore(folder)
