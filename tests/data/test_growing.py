"""Files that grow: what is appended reads back, misfits are refused, no kill loses or doubles a case."""

import os
import signal
import subprocess
import sys

import h5py
import numpy as np
import pytest

from mld_closure.config import ConfigError
from mld_closure.data import growing
from mld_closure.data.growing import GrowingTrajectories, Scalar
from mld_closure.data.layout import TrajectorySpec
from mld_closure.data.trajectories import Trajectories
from mld_closure.data.validation import validate

FIELDS = ("temperature", "pressure", "microstructure", "velocity_x", "velocity_y")
SCALARS = {"cell": Scalar("1", integer=True), "clock": Scalar("s")}


def spec(shape=(8, 6)):
    return TrajectorySpec(1, shape, 50e-9, (0.0, 1e-9), {"run": 7}, fields=FIELDS)


def cases(first, k):
    """Arrays, scalars and descriptions of cases first, first + 1, ..., each unlike any other."""
    numbers = np.arange(first, first + k)
    values = (numbers[:, None, None, None] + np.arange(2)[:, None, None] / 2).astype(np.float32)
    arrays = {n: np.broadcast_to(values + 300 * i, (k, 2, 8, 6)).copy() for i, n in enumerate(FIELDS)}
    arrays["temperature"] += 300
    arrays["microstructure"] = np.full((k, 2, 8, 6), 0.5, np.float32)
    return arrays, {"cell": 100 + numbers, "clock": numbers * 1e-9 / 3}, [{"n": int(n)} for n in numbers]


def check(path, n):
    assert validate(path) == []
    wanted, scalars, _ = cases(0, n)
    with Trajectories(path) as file:
        assert file.cases.tolist() == list(range(n))
        assert file.scalars["cell"].tolist() == scalars["cell"].tolist()
        assert file.scalars["clock"].tolist() == scalars["clock"].tolist()
        assert file.provenance["configuration"] == {"run": 7}
        for i in range(n):
            assert file.description(i) == {"n": i}
            assert np.array_equal(file.read(i), np.stack([wanted[f][i] for f in file.fields], axis=1))
    with h5py.File(path) as file:
        assert file["scalars/clock"].attrs["units"] == "s"


@pytest.mark.parametrize("small", [growing.SMALL, 0])
def test_appended_cases_read_back(tmp_path, monkeypatch, small):
    """small = 0: cases wait beside the file until they are twice its size, or until they are folded in."""
    monkeypatch.setattr(growing, "SMALL", small)
    monkeypatch.setattr(growing, "SHARE", 2.0)
    path, n = tmp_path / "g.h5", 0
    for run in range(2):
        file = GrowingTrajectories(path, spec(), SCALARS)
        waited = False
        for k in (1, 2, 1, 1, 1):
            file.append(*cases(n, k))
            n += k
            waited |= file._folder.exists()
            assert file.n_cases == n
        assert waited == (small == 0)
        file.fold()
        assert not file._folder.exists(), run
        check(path, n)


def test_cases_left_waiting_are_taken_in_once(tmp_path, monkeypatch):
    path = tmp_path / "g.h5"
    file = GrowingTrajectories(path, spec(), SCALARS)
    monkeypatch.setattr(growing.shutil, "rmtree", lambda *a, **k: None)  # killed before it tidies up
    file.append(*cases(0, 2))
    assert file._folder.exists()
    monkeypatch.undo()
    again = GrowingTrajectories(path, spec(), SCALARS)
    assert again.n_cases == 2
    again.append(*cases(2, 1))
    check(path, 3)


def test_what_does_not_fit_is_refused(tmp_path):
    path = tmp_path / "g.h5"
    file = GrowingTrajectories(path, spec(), SCALARS)
    file.append(*cases(0, 1))
    arrays, scalars, descriptions = cases(1, 1)
    with pytest.raises(ValueError, match="needs the scalars cell, clock, got cell"):
        file.append(arrays, {"cell": scalars["cell"]}, descriptions)
    arrays["pressure"][0, 1, 2, 3] = np.nan
    with pytest.raises(ValueError, match="case 1, pressure: nan at frame 1, y 2, x 3"):
        file.append(arrays, scalars, descriptions)
    check(path, 1)
    with pytest.raises(ConfigError, match="holds patches of 8 x 6 pixels"):
        GrowingTrajectories(path, spec((8, 8)), SCALARS)
    with pytest.raises(ConfigError, match="another layout"):
        GrowingTrajectories(path, spec(), {"cell": Scalar("1", integer=True)})


WRITER = """
import importlib.util, itertools, os, signal, sys
from pathlib import Path
from mld_closure.data import growing

source = importlib.util.spec_from_file_location("cases", sys.argv[2])
t = importlib.util.module_from_spec(source)
source.loader.exec_module(t)
out = Path(sys.argv[1])
growing.SMALL, growing.SHARE = 0, 0.4
t.cases(0, 1)
growing.GrowingTrajectories(out, t.spec(), t.SCALARS).append(*t.cases(0, 1))
events = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree", "fsync"}
for moment in itertools.count():
    file = growing.GrowingTrajectories(out, t.spec(), t.SCALARS)
    n = file.n_cases
    child = os.fork()
    if child == 0:
        seen = itertools.count()
        def die(event, arguments):
            if event in events and "g.h5" in str(arguments) and next(seen) == moment:
                os.kill(os.getpid(), signal.SIGKILL)
        fsync = os.fsync
        def synced(handle):
            die("fsync", "g.h5")
            fsync(handle)
            die("fsync", "g.h5")
        os.fsync = synced
        sys.addaudithook(die)
        file.append(*t.cases(n, 1))
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    after = growing.GrowingTrajectories(out, t.spec(), t.SCALARS).n_cases
    print(status, n, after, flush=True)
    if status == 0:
        break
"""


def test_a_kill_at_any_event_loses_nothing(tmp_path):
    """kill -9 before each file is opened, flushed, renamed or removed, and after each flush."""
    path = tmp_path / "g.h5"
    child = subprocess.run(
        [sys.executable, "-c", WRITER, str(path), __file__], capture_output=True, text=True, check=True
    )
    ends = [tuple(map(int, line.split())) for line in child.stdout.splitlines()]
    assert len(ends) > 10
    assert [status for status, _, _ in ends] == [-signal.SIGKILL] * (len(ends) - 1) + [0]
    assert all(after in (before, before + 1) for _, before, after in ends)
    assert [after - before for _, before, after in ends].count(0) >= 4
    check(path, ends[-1][2])
    assert [name for name in os.listdir(tmp_path) if not name.startswith(".")] == ["g.h5"]
