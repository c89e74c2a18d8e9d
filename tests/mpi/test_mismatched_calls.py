"""Ranks that make different calls at once, or do not come: one error on all, with nothing changed."""

import json

import pytest

PROGRAM, MORE = "mismatched:3", 4
SIZES = [2, 3, pytest.param(4, marks=pytest.mark.system)]


@pytest.fixture(scope="module")
def said(output):
    """What every rank saw, by scenario."""
    (file,) = output.glob("mismatched-*.json")
    return json.loads(file.read_text())


@pytest.mark.parametrize("size", SIZES)
def test_no_pair_of_calls_succeeds_anywhere_or_hangs(said, size):
    for rank in said[:size]:
        found = rank[f"pairs {size}"]
        assert found["wrong"] == []
        assert found["count"] == 2 * (11 * 10 // 2 - 1)  # pairs of calls, but for advance with wait
        assert found["slowest"] < 30


@pytest.mark.parametrize("size", SIZES)
def test_a_rank_that_does_not_come_is_named_on_all(said, size):
    found = [rank[f"absence {size}"] for rank in said[:size]]
    sentence = f"rank {size - 1} did not come within 1 s to commit"
    for rank, report in enumerate(found):
        code, text = report["told"]
        assert code == 104
        assert text.startswith(sentence), rank
        assert report["again"] == [104, f"{text}; only closing is left"]
    assert all(0.9 < report["waited"] < 5.9 for report in found[:-1])


@pytest.mark.parametrize("size", SIZES)
def test_a_late_rank_is_waited_for(said, size):
    assert all(rank[f"patience {size}"] for rank in said[:size])
