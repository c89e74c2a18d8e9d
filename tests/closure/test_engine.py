"""The engine: memory that does not suffice, padding, threads, and the seam for a compiled step."""

import numpy as np
import pytest
import torch

from mld_closure.errors import ClosureError
from mld_closure.fields import MODEL_FIELDS

PEAKS = np.linspace(5e9, 9e9, 9)
TIMES = np.linspace(0, 3e-9, 10)


def limited(kit, closure, most):
    """Let the device fit `most` cells at once; returns the sizes that were tried."""
    tried, step = [], kit.engine(closure).step

    def small(z, load):
        tried.append(len(load))
        if len(load) > most:
            raise torch.OutOfMemoryError("out of memory")
        return step(z, load)

    kit.engine(closure).step = small
    return tried


def test_a_batch_that_does_not_fit_is_split_and_the_size_remembered(kit, caplog):
    small, roomy = kit.make(9, micro_batch=8), kit.make(9, micro_batch=2)
    tried = limited(kit, small, 3)
    a, b = (kit.run(c, [0.0, 1e-9, 3e-9], lambda t: np.full(9, 7e9)) for c in (small, roomy))
    assert tried[:3] == [8, 4, 2]
    assert max(tried[3:]) == 2
    assert "micro-batches of 2 from here" in caplog.text
    np.testing.assert_allclose(a[-1].burned_fraction, b[-1].burned_fraction, rtol=1e-5)


def test_a_cell_that_does_not_fit_alone_is_named(kit):
    closure = kit.make(3)
    kit.run(closure, TIMES[:4], lambda t: kit.ramp(t, PEAKS[:3], 0.5e-9))
    before = kit.state(closure)
    limited(kit, closure, 0)
    closure.begin_step(TIMES[3], 2e-9)
    with pytest.raises(ClosureError, match="cell 100 alone does not fit in the memory of cpu") as caught:
        closure.advance(pressure=PEAKS[:3])
    assert caught.value.ids.tolist() == [100]
    assert kit.state(closure) == before


def test_reproducible_mode_never_splits(kit):
    closure = kit.make(3, reproducible=True, micro_batch=4)
    tried = limited(kit, closure, 2)
    with pytest.raises(ClosureError, match=r"reproducible mode fixes that number .*smaller micro_batch"):
        kit.run(closure, TIMES, lambda t: kit.ramp(t, PEAKS[:3], 0.5e-9))
    assert tried == [4]


def test_reproducible_batches_are_padded(kit):
    closure = kit.make(5, reproducible=True, micro_batch=4)
    tried = limited(kit, closure, 4)
    kit.run(closure, TIMES, lambda t: kit.ramp(t, PEAKS[:5], 0.5e-9))
    assert set(tried) == {4}


@pytest.mark.parametrize("readout", ["head", "decode"])
def test_neither_neighbours_nor_threads_change_a_bit(kit, readout):
    """Alone or among five, with one thread or two, in batches of any size above one: not padded either."""
    mu, p = kit.patches(5), np.linspace(6e9, 9e9, 5)
    seen = []
    options = {"readout": readout, "threshold": 500.0}  # hot spots that come early
    config = {"fields": MODEL_FIELDS, "evolve_logvar": True}
    alone, two, all_ = [3], [1, 3], [0, 1, 2, 3, 4]
    for chosen, threads, batch in ((alone, 1, 8), (alone, 2, 8), (two, 2, 8), (all_, 1, 8), (all_, 2, 2)):
        closure = kit.make(n=0, given=kit.bundle(**config), threads=threads, micro_batch=batch, **options)
        tried = limited(kit, closure, 8)
        closure.register(chosen, patches=mu[chosen])
        out = kit.run(closure, TIMES[:7], lambda t: kit.ramp(t, p[chosen], 0.5e-9))[-1]  # noqa: B023
        at = chosen.index(3)
        seen.append([getattr(out, q)[at] for q in ("burned_fraction", "hotspot_area_rate", "uncertainty")])
        assert max(tried) == min(max(len(chosen), 2), batch)
    assert all(found == seen[0] for found in seen)
    assert seen[0][0] > 0


def test_a_cell_alone_is_computed_once_where_two_do_not_fit(kit):
    closure = kit.make(1)
    tried = limited(kit, closure, 1)
    kit.run(closure, TIMES, lambda t: kit.ramp(t, PEAKS[:1], 0.5e-9))
    assert tried[0] == 2
    assert set(tried[1:]) == {1}


def test_other_errors_are_not_taken_for_lack_of_memory(kit):
    closure = kit.make(1)

    def broken(z, load):
        raise RuntimeError("shapes differ")

    kit.engine(closure).step = broken
    with pytest.raises(RuntimeError, match="shapes differ"):
        kit.run(closure, TIMES, lambda t: kit.ramp(t, PEAKS[:1], 0.5e-9))


def test_a_step_given_in_place_of_the_models_is_all_that_is_called(kit):
    """The seam: the same function under another name gives the same bits."""
    eager, other = kit.make(5), kit.make(5)
    calls = []
    step = kit.engine(other).model.advance
    kit.engine(other).step = lambda z, load: calls.append(len(load)) or step(z, load)
    kit.engine(other).model.advance = None
    a, b = (kit.run(c, TIMES, lambda t: kit.ramp(t, PEAKS[:5], 0.5e-9)) for c in (eager, other))
    assert calls
    np.testing.assert_array_equal(a[-1].burned_fraction, b[-1].burned_fraction)


def test_the_hosts_threads_are_put_back(kit):
    closure = kit.make(2, threads=2)
    seen, step = [], kit.engine(closure).step
    kit.engine(closure).step = lambda z, load: seen.append(torch.get_num_threads()) or step(z, load)
    torch.set_num_threads(1)
    kit.run(closure, TIMES, lambda t: kit.ramp(t, PEAKS[:2], 0.5e-9))
    assert set(seen) == {2}
    assert torch.get_num_threads() == 1
