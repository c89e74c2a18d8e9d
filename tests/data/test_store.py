"""The case store: equal data after a kill at any moment and a restart; many processes; refused input."""

import dataclasses
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys

import numpy as np
import pytest

from mld_closure.config import ConfigError
from mld_closure.data.layout import TrajectorySpec
from mld_closure.data.store import CaseStore
from mld_closure.data.trajectories import Trajectories

SPEC = TrajectorySpec(
    n_cases=6,
    shape=(4, 5),
    pixel=5e-8,
    times=(0.0, 1e-10, 2e-10),
    configuration={"seed": 7, "void": {"count": 32}},
    fields=("temperature", "pressure", "microstructure"),
)


def case(index):
    rng = np.random.default_rng(index)
    arrays = {n: rng.random((3, 4, 5), dtype=np.float32) for n in SPEC.fields}
    return index, arrays, {"piston_speed": 500.0 + index}, {"seed": index}


def run_case(store, index):
    store.write(*case(index))


def contents(path):
    with Trajectories(path) as data:
        return [
            data.cases.tolist(),
            [data.read(i).tolist() for i in range(data.n_cases)],
            {k: v.tolist() for k, v in data.scalars.items()},
            [data.description(i) for i in range(data.n_cases)],
            data.failures,
            data.spec,
        ]


@pytest.fixture
def whole(tmp_path):
    """Contents of the file that an uninterrupted campaign writes."""
    store = CaseStore(tmp_path / "whole.h5", SPEC)
    for i in range(6):
        run_case(store, i)
    return contents(store.merge())


def test_any_order_and_a_resumed_run_give_the_same_file(tmp_path, whole):
    first = CaseStore(tmp_path / "a.h5", SPEC)
    assert first.done() == set()
    for i in (4, 1, 5):
        run_case(first, i)
    again = CaseStore(tmp_path / "a.h5", SPEC)
    assert again.done() == {1, 4, 5}
    for i in set(range(6)) - again.done():
        run_case(again, i)
    assert contents(again.merge()) == whole
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith("a.h5")] == ["a.h5"]


KILLED = """
import h5py, os, sys
sys.path.insert(0, {tests!r})
from test_store import SPEC, run_case
from mld_closure.data.store import CaseStore
count, real = 0, {call}
def fatal(*args, **kwargs):
    global count
    count += 1
    if count == {at}:
        os.kill(os.getpid(), 9)
    return real(*args, **kwargs)
{call} = fatal
store = CaseStore({out!r}, SPEC)
for i in sorted(set(range(6)) - store.done()):
    run_case(store, i)
store.merge()
"""


@pytest.mark.parametrize(
    ("call", "at"),
    [
        ("os.replace", 1),  # the spec written under its temporary name
        ("h5py.Group.create_dataset", 8),  # the third case half written
        ("os.fsync", 5),  # the second case is written but not renamed
        ("h5py.Group.create_dataset", 26),  # the merged file half written
        ("os.replace", 8),  # the merged file is complete but not renamed
        ("os.unlink", 11),  # the merged file is in place, the parts still exist
    ],
)
def test_killed_and_resumed_gives_equal_data(tmp_path, whole, call, at):
    out = tmp_path / "k.h5"
    code = KILLED.format(tests=os.path.dirname(__file__), call=call, at=at, out=str(out))
    ended = subprocess.run([sys.executable, "-c", code], check=False)
    assert ended.returncode == -signal.SIGKILL
    store = CaseStore(out, SPEC)
    for i in set(range(6)) - store.done():
        run_case(store, i)
    assert contents(store.merge()) == whole
    assert not store.parts.exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["k.h5", "whole.h5"]


def test_a_name_appears_only_after_its_bytes_are_on_the_disk(tmp_path, monkeypatch):
    calls, sync, replace = [], os.fsync, os.replace
    store = CaseStore(tmp_path / "o.h5", SPEC)
    monkeypatch.setattr(os, "fsync", lambda handle: (calls.append("fsync"), sync(handle)))
    monkeypatch.setattr(os, "replace", lambda a, b: (calls.append("replace"), replace(a, b)))
    run_case(store, 0)
    assert calls == ["fsync", "replace", "fsync"]  # data of the file, rename, then the folder


def test_processes_write_side_by_side(tmp_path, whole):
    store = CaseStore(tmp_path / "p.h5", SPEC)
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        pool.starmap_async(store.write, [case(i) for i in range(6)]).get(timeout=60)
    assert contents(store.merge()) == whole


def test_the_store_pickles_as_path_and_spec(tmp_path):
    store = pickle.loads(pickle.dumps(CaseStore(tmp_path / "s.h5", SPEC)))
    assert (store.path, store.spec) == (tmp_path / "s.h5", SPEC)


def test_failed_cases_are_recorded_and_take_no_place(tmp_path):
    store = CaseStore(tmp_path / "f.h5", SPEC)
    for i in (0, 2, 3, 5):
        run_case(store, i)
    store.fail(1, "negative density at t = 1 ns")
    store.fail(4, "time step fell below 1e-18 s")
    assert store.done() == set(range(6))
    assert store.done(retry_failures=True) == {0, 2, 3, 5}
    run_case(store, 4)
    with Trajectories(store.merge()) as data:
        assert data.cases.tolist() == [0, 2, 3, 4, 5]
        assert data.failures == [(1, "negative density at t = 1 ns")]
        assert data.scalars["piston_speed"].tolist() == [500.0, 502.0, 503.0, 504.0, 505.0]
    assert CaseStore(tmp_path / "f.h5", SPEC).done(retry_failures=True) == set(range(6))


def test_merge_waits_for_all_cases_and_needs_one(tmp_path):
    store = CaseStore(tmp_path / "m.h5", SPEC)
    run_case(store, 0)
    with pytest.raises(RuntimeError, match="5 of 6 cases are not done yet, the first is case 1"):
        store.merge()
    assert not store.path.exists()
    empty = CaseStore(tmp_path / "e.h5", SPEC)
    for i in range(6):
        empty.fail(i, "no such material")
    with pytest.raises(RuntimeError, match="all cases failed; case 0: no such material"):
        empty.merge()


@pytest.mark.parametrize("merged", [False, True])
@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            {"configuration": {"seed": 7, "void": {"count": 40}}},
            r"configuration.void.count = 32, now it is 40",
        ),
        ({"configuration": {"seed": 7}}, "configuration.void.count"),
        ({"pixel": 1e-7}, "pixel = 5e-08, now it is 1e-07"),
        ({"n_cases": 5}, "n_cases = 6, now it is 5"),
        ({"times": (0.0, 1e-10)}, "times = "),
    ],
)
def test_another_spec_is_refused_by_name(tmp_path, merged, change, text):
    store = CaseStore(tmp_path / "s.h5", SPEC)
    for i in range(6):
        run_case(store, i)
    if merged:
        store.merge()
    with pytest.raises(ConfigError, match=text) as error:
        CaseStore(tmp_path / "s.h5", dataclasses.replace(SPEC, **change))
    assert "choose another name" in str(error.value)


def test_a_file_that_is_not_finished_takes_no_more_cases(tmp_path):
    run_case(CaseStore(tmp_path / "s.h5", SPEC), 0)
    with pytest.raises(ConfigError, match="n_cases = 6, now it is 7"):
        CaseStore(tmp_path / "s.h5", dataclasses.replace(SPEC, n_cases=7))


def test_a_finished_file_is_left_alone(tmp_path):
    store = CaseStore(tmp_path / "s.h5", SPEC)
    for i in range(6):
        run_case(store, i)
    before = store.merge().read_bytes()
    again = CaseStore(tmp_path / "s.h5", SPEC)
    assert again.done() == set(range(6))
    again.merge()
    assert store.path.read_bytes() == before
    other = tmp_path / "notes.txt"
    other.write_text("mine")
    with pytest.raises(ConfigError, match="choose another name"):
        CaseStore(other, SPEC)
    assert other.read_text() == "mine"
    with pytest.raises(ConfigError, match="no such folder"):
        CaseStore(tmp_path / "none" / "s.h5", SPEC)


@pytest.mark.parametrize(
    ("index", "change", "text"),
    [
        (6, {}, "has cases 0 to 5, got 6"),
        (0, {"density": np.zeros((3, 4, 5), np.float32)}, "has fields"),
        (
            0,
            {"pressure": np.zeros((3, 5, 4), np.float32)},
            r"expected float32 \(3, 4, 5\), got float32 \(3, 5, 4\)",
        ),
        (0, {"pressure": np.zeros((3, 4, 5))}, "expected float32.*got float64"),
        (0, {"pressure": np.full((3, 4, 5), np.nan, np.float32)}, "pressure: nan at frame 0, y 0, x 0"),
    ],
)
def test_a_wrong_case_is_refused_at_the_door(tmp_path, index, change, text):
    store = CaseStore(tmp_path / "s.h5", SPEC)
    arrays = {n: np.ones((3, 4, 5), np.float32) for n in SPEC.fields} | change
    with pytest.raises(ValueError, match=text):
        store.write(index, arrays, {}, {})
    assert store.done() == set()
