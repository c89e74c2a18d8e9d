"""The play of placement on many ranks: cells come once, and what must be exact is."""

import numpy as np
import pytest

from mld_closure.benchmarks.scaling import Machine, _arrivals, play

FREE = Machine(cell=1.0, hydro=0.0, latency=0.0, partner=0.0, bandwidth=1e30)


def test_a_plane_reaches_whole_columns_one_after_another():
    found = np.concatenate(list(_arrivals("planar", 3, 8, 0.5, 12)))
    assert len(found) == 6 * 24
    assert np.bincount(found, minlength=9).tolist() == [0, 48, 0] * 3  # columns 9 to 14, in the middle blocks


def test_a_circle_covers_the_quadrant_once():
    counts = np.bincount(np.concatenate(list(_arrivals("point", 2, 10, 1.0, 40))), minlength=4)
    y, x = np.mgrid[:20, :20]
    inside = (x**2 + y**2 >= 0) & (x**2 + y**2 < 40**2)
    assert counts.sum() == inside.sum() == 400
    assert counts.tolist() == [100, 100, 100, 100]


def test_one_rank_is_always_busy():
    for shock in ("planar", "point"):
        alone = play(1, shock, Machine(cell=1e-3), speed=0.2)
        assert alone.efficiency == 1
        assert alone.owner_efficiency == 1
        assert alone.imbalance == alone.exchange == 0


def test_equal_lives_leave_no_imbalance_but_the_remainder():
    even = play(16, "planar", FREE, service=(32, 32), speed=1.0, block=16, every=1, steps=20)
    assert even.imbalance == 0
    assert even.efficiency == 1
    assert even.owner_efficiency == pytest.approx(32 / 64)  # of 64 columns 32 burn, one block's at least
    assert even.active == pytest.approx(32 * 64 / 16)


def test_the_network_costs_more_with_more_ranks():
    machine = Machine(cell=1e-3)
    few, many = machine.exchange(10, 5), machine.exchange(10_000, 5)
    assert many > 100 * few / 10
    assert machine.exchange(10, 1000) > few
