"""What a closure forgets: patches and specimens of cells that are gone, and their courses in shadows."""

import gc
import tracemalloc
import weakref

import numpy as np
import pytest

from mld_closure.errors import ClosureError
from mld_closure.patches.specimen import Specimen


class Patches(np.ndarray):
    """An array that can be watched."""


def watched(array):
    own = Patches(array.shape, array.dtype)
    own[...] = array
    return own, weakref.ref(own)


def test_patches_go_with_their_cells(kit):
    closure = kit.make(n=0)
    patches, alive = watched(kit.patches(8))
    closure.register(np.arange(8), patches=patches)
    closure.register([20], patches=kit.patches(1))
    del patches
    gc.collect()
    assert alive() is not None
    wanted = closure._sources.gather(np.array([2, 3, 5]))
    closure.unregister(np.array([0, 1, 4, 6, 7]))  # less than half is left: the others' patches go
    gc.collect()
    assert alive() is None
    np.testing.assert_array_equal(closure._sources.gather(np.array([0, 1, 2])), wanted)
    closure.unregister(np.array([2, 3, 5]))
    np.testing.assert_array_equal(closure._sources.gather(np.array([0])), kit.patches(1))


def test_a_specimen_goes_with_the_last_of_its_cells(kit):
    closure = kit.make(n=0, patch_shape=(32, 32))
    specimen = Specimen.from_array(np.ones((64, 64), np.float32), kit.PIXEL)
    alive = weakref.ref(specimen)
    closure.register([1, 2], specimen=specimen, offsets=[(0.0, 0.0), (1e-6, 0.0)])
    del specimen
    closure.unregister([1])
    gc.collect()
    assert alive() is not None
    closure.unregister([2])
    gc.collect()
    assert alive() is None


@pytest.mark.parametrize("rounds", [300, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_memory_is_flat_over_rounds_of_cells_that_come_and_go(kit, rounds):
    closure = kit.make(n=2, patch_shape=(32, 32))
    specimen = Specimen.from_array(kit.patches(1, shape=(64, 64))[0], kit.PIXEL)  # with pores: nothing to say

    def go_round(number):
        closure.register([1000 + number], patches=kit.patches(1))
        closure.register([-number - 1], specimen=specimen, offsets=[(0.0, 0.0)])
        closure.unregister([1000 + number, -number - 1])

    for number in range(50):
        go_round(number)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(50, 50 + rounds):
            go_round(number)
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < 20_000
    assert len(closure._sources._sources) == 1


def test_shadows_forget_cells_that_are_gone(kit, tmp_path):
    def law(request):
        out = request.before.copy()
        out[:, kit.BURNED] += 1e7 * request.dt
        return out

    closure = kit.make(5, shadow={"fallback": 1.0}, fallback=law)
    kit.run(closure, np.linspace(0, 3e-9, 10), lambda t: kit.ramp(t, np.full(5, 8e9), 0.5e-9))
    courses = closure._shadow._course
    assert sorted(courses) == [100, 101, 102, 103, 104]
    closure.unregister([101, 104])
    assert sorted(courses) == [100, 102, 103]
    closure.save(tmp_path / "r")
    closure.restore(tmp_path / "r")
    assert closure._shadow._course == {}


def test_a_closed_closure_says_so(kit):
    closure = kit.make()
    closure.close()
    with pytest.raises(ClosureError, match="the closure is closed: open another before you register cells"):
        closure.register([1], patches=kit.patches(1))


def test_a_deleted_failure_folder_is_not_taken_for_the_next(kit, tmp_path):
    closure = kit.make(failures=tmp_path / "f")
    closure.begin_step(0.0, 1e-9)

    def fail():
        with pytest.raises(ClosureError):
            closure.advance(pressure=[np.nan] * 5)

    for _ in range(3):
        fail()
    (tmp_path / "f" / "failure-0001" / "restart.json").unlink()
    for file in (tmp_path / "f" / "failure-0001").iterdir():
        file.unlink()
    (tmp_path / "f" / "failure-0001").rmdir()
    kept = (tmp_path / "f" / "failure-0002" / "restart.json").read_text()
    fail()
    assert sorted(p.name for p in (tmp_path / "f").iterdir()) == [
        "failure-0000", "failure-0002", "failure-0003",
    ]  # fmt: skip
    assert (tmp_path / "f" / "failure-0002" / "restart.json").read_text() == kept


def test_a_shadow_counts_model_frames(kit):
    """Where every second frame is read, the shadow's records still name frames of the model."""
    closure = kit.make(5, read_every=2, shadow={"readout": 1.0})
    kit.run(closure, np.linspace(0, 4e-9, 9), lambda t: kit.ramp(t, np.full(5, 8e9), 0.5e-9))
    frames = np.unique(closure.shadow_records("readout")["frame"])
    assert frames[0] == 2
    assert set(np.diff(frames)) == {2}
