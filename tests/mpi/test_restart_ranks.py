"""Restart on another number of ranks: the bits of the uninterrupted run, and what is refused."""

import json

import numpy as np
import pytest

PROGRAM = "restarts:4"


@pytest.fixture(scope="module")
def folder(output):
    """Results of `programs/restarts.py`."""
    return output


@pytest.mark.parametrize("written", [1, 2, 3, 4])
@pytest.mark.parametrize("read", [1, 2, 3, 4])
def test_a_restart_gives_the_bits_of_the_whole_run(folder, written, read):
    whole = np.load(folder / "whole-1.npz")["whole"]
    again = np.load(folder / f"resumed-{read}.npz")[f"from-{written}"]
    assert np.array_equal(again, whole[-len(again) :], equal_nan=True)
    assert 0 < len(again) < len(whole)


def test_a_folder_holds_one_restart_of_one_file_a_rank(folder):
    for ranks in (1, 2, 3, 4):
        names = sorted(p.name for p in (folder / f"from-{ranks}").iterdir())
        assert len(names) == ranks + 1
        assert "restart.json" in names


@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_what_does_not_belong_is_refused_by_all(folder, ranks):
    said = json.loads((folder / f"refused-{ranks}.json").read_text())
    assert said == [said[0]] * ranks
    assert {name: text[0] for name, text in said[0].items()} == dict.fromkeys(
        ("bundle", "patches", "cells"), "ClosureError"
    )
    assert "belongs to the bundle" in said[0]["bundle"][1]
    assert "written with other patches" in said[0]["patches"][1]
    assert "cell 707 not both in the restart and registered" in said[0]["cells"][1]
    assert said[0]["cells"][2] == [707]
