"""Who serves, and who takes a new cell."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mld_closure.runtime.placement import assign, imbalance, local_ranks, place, serving_ranks, spread
from mld_closure.runtime.server import MOVE, Server
from mld_closure.surrogate.messages import NO_SLOT
from mld_closure.surrogate.pool import Pool


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


def test_new_cells_go_where_fewest_step_with_them():
    due, held = np.array([2, 0, 1, 0]), np.array([2, 9, 1, 7])
    assert place(due, held, 3).tolist() == [3, 1, 2]  # both have none due, the last holds fewer
    assert place(due, held, 0).tolist() == []
    after = due + np.bincount(place(due, held, 9), minlength=4)
    assert after.tolist() == [3, 3, 3, 3]
    alike = [held + np.bincount(found, minlength=4) for found in (place(held, held, 12), assign(held, 12))]
    assert np.array_equal(*map(np.sort, alike))


def test_a_server_knows_which_cells_step_next():
    pool = Pool((1, 1, 1), False, torch.device("cpu"))
    nothing = SimpleNamespace(pool=pool, frame_step=4.0, store=lambda *given: None, forget=lambda: None)
    server, slots = Server(nothing), {}

    def keep(cells, wanted, time):
        moves = np.zeros(len(cells), MOVE)
        moves["id"], moves["keep"], moves["block"] = cells, wanted, -1
        moves["slot"] = [slots.get(cell, NO_SLOT) for cell in cells]
        slots.update(zip(cells, server.keep(moves, time).tolist(), strict=True))

    for step in range(3):  # of 1 s; a cell steps in every fourth
        keep([0, 1, 2, 3] if step == 0 else [10 * step], True, step + 0.5)
    assert server.load == 6
    assert [server.due(end) for end in (4.0, 5.0, 6.0, 7.0)] == [0, 4, 5, 6]
    keep([1, 10], False, 3.5)
    assert slots[1] == slots[10] == NO_SLOT
    keep([2], True, 4.5)
    assert server.load == 4
    assert [server.due(end) for end in (5.0, 6.0, 7.0, 9.0)] == [2, 2, 3, 4]
    server.clear(2)
    server.hold(np.array([5]))
    assert server.due(0.1) == 1  # nothing is known of a cell that was restored


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
