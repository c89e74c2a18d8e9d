"""Cells that wait for their shock cost what a host reads of them, and responses stay what they were."""

import tracemalloc

import numpy as np
import pytest

from mld_closure import bridge
from mld_closure.closure.response import ARRAYS

N, DT = 50_000, 1e-12


@pytest.fixture
def many(kit):
    """A session with very many cells of one patch."""
    closure = kit.make(0)
    closure.register(np.arange(N), patches=np.broadcast_to(kit.patches(1), (N, 32, 32)))
    return bridge.Session(closure, 0.0)


def test_a_step_of_idle_cells_takes_little_more_than_a_copy_of_their_pressures(many):
    pressure, ids = np.full(N, 1e5), np.arange(N)
    outputs = (
        ("burned_fraction", np.empty(N)),
        ("burn_rate", np.empty(N)),
        ("status", np.empty(N, np.int64)),
    )

    def step(k):
        many.begin_step(k * DT, DT)
        many.advance(N, ids, {"pressure": pressure}, outputs)
        many.commit()

    tracemalloc.start()
    for k in range(4):
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        step(k)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak - before < 10 * N  # bytes: 8 for the pressure, 1 to compare ids
    assert all((array == 0).all() for _, array in outputs)


def test_a_response_that_is_read_late_is_what_it_was(kit):
    """Arrays are made when they are read; later steps with some of the cells change what is committed."""
    closure, same = kit.make(), kit.make()
    pressures = np.array([1e5, 2e5, 3e5, 8e9, 9e9])
    late, early = [], []
    for k in range(6):
        for c, kept in ((closure, late), (same, early)):
            c.begin_step(k * 1e-9, 1e-9)
            out = c.advance(pressure=pressures + k)
            if c is same:
                kept.append({name: getattr(out, name).copy() for name in ARRAYS})
            else:
                kept.append(out)
            c.advance([100, 101], pressure=[5e4 + k, 6e4 + k])
            c.commit()
    assert early[-1]["burned_fraction"].max() > 0
    for out, expected in zip(late, early, strict=True):
        for name in ARRAYS:
            np.testing.assert_array_equal(getattr(out, name), expected[name], err_msg=name)
            written = np.full(5, -7, expected[name].dtype)
            out.write(name, written)
            np.testing.assert_array_equal(written, expected[name])


def test_parts_of_a_response_and_names_that_there_are_not(kit):
    closure = kit.make()
    closure.begin_step(0.0, 1e-9)
    out = closure.advance(pressure=np.linspace(1e5, 9e9, 5))
    part = out.part(slice(1, 3))
    assert part.ids.tolist() == [101, 102]
    assert part.mean_pressure.tolist() == out.mean_pressure[1:3].tolist()
    with pytest.raises(AttributeError, match="a response has no 'burned'; it has hotspot_area_fraction"):
        _ = out.burned
