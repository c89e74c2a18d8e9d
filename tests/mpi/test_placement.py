"""Who serves, and who takes a new cell."""

import numpy as np
import pytest

from mld_closure.runtime.placement import assign, imbalance, local_ranks, serving_ranks, spread


def one_by_one(loads, count):
    loads, out = list(loads), []
    for _ in range(count):
        out.append(int(np.argmin(loads)))
        loads[out[-1]] += 1
    return out


def test_every_new_cell_goes_to_the_least_loaded_server():
    rng = np.random.default_rng(0)
    for _ in range(300):
        loads = rng.integers(0, rng.integers(1, 30), rng.integers(1, 9))
        count = int(rng.integers(0, 40))
        assert assign(loads, count).tolist() == one_by_one(loads, count), (loads, count)


def test_cells_in_a_row_are_spread_evenly():
    for count, servers in ((0, 3), (1, 3), (10, 3), (3, 10), (12, 4)):
        found = np.bincount(spread(count, servers), minlength=servers)
        assert found.sum() == count
        assert found.max() - found.min() <= 1
        assert np.all(np.diff(spread(count, servers)) >= 0)


def test_ranks_are_numbered_on_their_nodes():
    assert local_ranks(["a", "a", "b", "a", "b"]).tolist() == [0, 1, 0, 2, 1]


NODES = ["a", "a", "a", "b", "b"]


@pytest.mark.parametrize(
    ("serving", "devices", "chosen"),
    [
        ("all", [0] * 5, [0, 1, 2, 3, 4]),
        ("all", [2] * 5, [0, 1, 2, 3, 4]),
        ("1 per node", [0] * 5, [0, 3]),
        ("1 per device", [2, 2, 2, 1, 1], [0, 1, 3]),
        ("1 per device", [2, 2, 2, 0, 0], [0, 1]),
        ("auto", [0] * 5, [0, 1, 2, 3, 4]),
        ("auto", [1] * 5, [0, 3]),
    ],
)
def test_who_serves(serving, devices, chosen):
    assert serving_ranks(serving, NODES, devices).tolist() == chosen


def test_nobody_to_serve_is_an_error():
    with pytest.raises(ValueError, match="no rank sees a GPU"):
        serving_ranks("1 per device", NODES, [0] * 5)
    with pytest.raises(ValueError, match="choose auto"):
        serving_ranks("2 per node", NODES, [0] * 5)


def test_imbalance_is_the_greatest_over_the_mean():
    assert imbalance(np.array([2, 2, 2, 2])) == 0
    assert imbalance(np.array([4, 1, 1, 2])) == 1
    assert imbalance(np.zeros(3)) == 0
