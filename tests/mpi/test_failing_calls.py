"""A failing call of several ranks goes to one folder, and gives its error again on any number of ranks."""

import json

import numpy as np
import pytest

PROGRAM = "failing:3"


@pytest.fixture(scope="module")
def folder(output):
    """Results of `programs/failing.py`."""
    return output


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_a_recorded_call_fails_again_wherever_it_is_made(folder, ranks):
    every = json.loads((folder / f"failing-{ranks}.json").read_text())
    said = every[0]
    assert every == [said] * ranks
    kind, message, cells = said["live"]
    assert (kind, cells) == ("ClosureError", [706])
    assert "load of cell 706" in message
    assert said["folders"] == ["failure-0000"]
    assert said["files"] == ranks + 1
    assert said["again"][2] == said["alone"][2] == [706]
    assert said["alone"][1] == message.removeprefix(f"rank {ranks - 1}: ")
    assert said["again"][1].split(": ", 1)[-1] == said["alone"][1].split(": ", 1)[-1]


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_a_replayed_call_gives_the_bits_of_the_run(folder, ranks):
    found = np.load(folder / f"failing-{ranks}.npz")
    at_work = np.isfinite(found["alone"])
    assert at_work.sum() > 4
    assert (found["run"][at_work] > 0).sum() > 4
    assert np.array_equal(found["alone"][at_work], found["run"][at_work])
    assert np.array_equal(found["together"], found["alone"], equal_nan=True)


@pytest.mark.parametrize("ranks", [2, 3])
def test_a_rank_that_cannot_write_stops_nobody(folder, ranks):
    said = json.loads((folder / f"failing-{ranks}.json").read_text())[0]
    assert said["full disk"][2] == [706]
    assert "load of cell 706" in said["full disk"][1]
    assert said["left behind"] == ["failure-0000"]
    assert "has shape" in said["not understood"][1]
    assert said["nothing new"] == 1
