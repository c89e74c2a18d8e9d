"""Cells and pool: ids to rows, slots that are reused, the stated sizes, and what idle cells cost."""

import time

import numpy as np
import pytest
import torch

from mld_closure.closure.cells import BYTES_PER_CELL, COLUMNS, FROM_SERVER, TO_SERVER, Cells, CellState
from mld_closure.models.dynamics import Latent
from mld_closure.surrogate.pool import Pool


def test_ids_of_any_size_find_their_rows():
    cells = Cells()
    ids = np.array([5, -3, 2**62, 0, 17])
    cells.add(ids, CellState.new(5))
    np.testing.assert_array_equal(cells.rows(ids[[3, 1, 2]]), [3, 1, 2])
    np.testing.assert_array_equal(cells.rows(ids[[3, 1, 2]]), [3, 1, 2])  # remembered
    np.testing.assert_array_equal(cells.rows(ids), np.arange(5))
    cells.add(np.array([4]), CellState.new(1))
    np.testing.assert_array_equal(cells.rows(np.array([4, 17])), [5, 4])
    np.testing.assert_array_equal(cells.remove(np.array([0, 4])), [1, 2, 3, 5])
    np.testing.assert_array_equal(cells.rows(np.array([2**62, 4])), [1, 3])
    assert cells.rows(np.array([], int)).size == 0


def test_states_are_taken_joined_and_packed_column_by_column():
    state = CellState.new(4)
    for k, name in enumerate(COLUMNS):
        getattr(state, name)[...] = np.arange(4).reshape(4, *[1] * (getattr(state, name).ndim - 1)) + k
    assert BYTES_PER_CELL == sum(getattr(state, name)[:1].nbytes for name in COLUMNS) == 323
    packed = CellState.join([state.take(np.array([2, 0])), state.take(np.array([1]))]).pack()
    assert packed.itemsize == BYTES_PER_CELL
    assert CellState.unpack(packed).pack().tobytes() == packed.tobytes() == state.pack()[[2, 0, 1]].tobytes()
    other = CellState.new(4)
    other.put(np.array([3, 1]), state.take(np.array([3, 1])))
    assert other.pack()[[1, 3]].tobytes() == state.pack()[[1, 3]].tobytes()
    assert other.pack()[[0, 2]].tobytes() == CellState.new(2).pack().tobytes()


def test_every_column_says_what_it_is_and_few_of_them_travel():
    for name, column in COLUMNS.items():
        assert column["meaning"], name
    assert TO_SERVER == ("solid", "part", "up", "slot", "frame")
    assert FROM_SERVER == ("solid",)


def test_pool_keeps_latents_through_growth_and_reuses_slots():
    pool = Pool((2, 3, 3), True, torch.device("cpu"))
    torch.manual_seed(0)
    first = Latent(torch.randn(3, 2, 3, 3), torch.randn(3, 2, 3, 3))
    slots = pool.take(3)
    pool.write(slots, first, np.array([2, 0, 1]))
    more = pool.take(40)
    assert len(set(slots) | set(more)) == 43
    there = pool.read(slots)
    assert torch.equal(there.mean, first.mean[[2, 0, 1]])
    assert torch.equal(there.logvar, first.logvar[[2, 0, 1]])
    capacity = len(pool.mean)
    pool.release(more)
    pool.take(40)
    assert len(pool.mean) == capacity
    assert pool.used == 43
    assert capacity <= 1.5 * 43 + 4


def test_pool_without_logvar_holds_half(kit):
    pool = Pool((2, 3, 3), False, torch.device("cpu"))
    assert pool.bytes_per_cell == 72
    slots = pool.take(2)
    pool.write(slots, Latent(torch.ones(2, 2, 3, 3), torch.ones(2, 2, 3, 3)), np.array([0, 1]))
    assert pool.read(slots).logvar.shape == (2, 2, 3, 3)
    assert pool.logvar.numel() == 1


def idle_cost(closure, n):
    """Seconds of one call to advance with no active cell, the best of several."""
    p, best = np.full(n, 1e5), np.inf
    for i in range(30):
        closure.begin_step(i * 1e-9, 1e-9)
        start = time.perf_counter()
        closure.advance(pressure=p)
        best = min(best, time.perf_counter() - start)
        closure.commit()
    return best


def test_idle_cells_cost_next_to_nothing(kit):
    """Less than 50 us a thousand cells, with a factor of three for a busy machine."""
    closure = kit.make(n=0)
    one = kit.patches(1)
    closure.register(np.arange(20000), patches=np.broadcast_to(one, (20000, 32, 32)))
    assert idle_cost(closure, 20000) < 3 * 50e-6 * 20
    assert kit.pool(closure).used == 0


@pytest.mark.parametrize(("active", "times"), [(1, 2), (5, 1)])  # in fp32 a cell alone is computed twice
def test_idle_neighbours_are_not_computed(kit, active, times):
    closure = kit.make(20)
    seen, step = [], kit.engine(closure).step
    kit.engine(closure).step = lambda z, load: seen.append(len(load)) or step(z, load)
    peaks = np.where(np.arange(20) < active, 7e9, 1e8)
    kit.run(closure, np.linspace(0, 2e-9, 9), lambda t: kit.ramp(t, peaks, 0.2e-9))
    frames = closure.state.frame[:active]
    assert sum(seen) == times * frames.sum()
    assert kit.pool(closure).used == active
