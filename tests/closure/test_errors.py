"""Misuse: one clear error naming the cells, nothing changed, and a run that goes on as if undisturbed."""

import resource

import numpy as np
import pytest

from mld_closure.closure.policies import Status, names
from mld_closure.closure.response import ARRAYS
from mld_closure.errors import ClosureError
from mld_closure.patches.specimen import Specimen

PEAKS = np.array([5e9, 6e9, 7e9, 8e9, 9e9])
TIMES = np.linspace(0, 3e-9, 13)
NAN = float("nan")


def at(i, value):
    p = PEAKS.copy()
    p[i] = value
    return p


BAD_CALLS = {
    "nan": (lambda c: c.advance(pressure=at(2, NAN)), r"cell 102 is not finite \(nan Pa\)", [102]),
    "infinite": (lambda c: c.advance(pressure=at(4, np.inf)), "pressure of cell 104 is not finite", [104]),
    "negative": (lambda c: c.advance(pressure=-PEAKS), "cells 100, 101, 102, 103, 104 is negative", None),
    "idle nan": (lambda c: c.advance([100], pressure=[NAN]), "pressure of cell 100 is not finite", [100]),
    "unknown": (lambda c: c.advance([101, 7], pressure=[1e9, 1e9]), "unknown cell 7; register", [7]),
    "repeated": (lambda c: c.advance([101, 101], pressure=[1e9, 1e9]), "cell 101 named twice", [101]),
    "length": (lambda c: c.advance(pressure=PEAKS[:3]), r"shape \(3,\), the call has 5 cells", []),
    "shape": (lambda c: c.advance(pressure=PEAKS[None]), r"shape \(1, 5\)", []),
    "velocity": (lambda c: c.advance(pressure=PEAKS, velocity=at(1, NAN)), "velocity of cell 101", [101]),
    "float ids": (lambda c: c.advance([100.5], pressure=[1e9]), "ids must be whole numbers", []),
    "two begins": (lambda c: c.begin_step(9e-9, 1e-9), "the step from .* s is open: commit or roll back", []),
    "register": (lambda c: c.register([9], patches=np.ones((1, 32, 32))), "before you register cells", []),
    "save": (lambda c: c.save("nowhere"), "before you save", []),
    "open ticket": (
        lambda c: (c.submit([100], pressure=[1e9]), c.commit()), "calls handed in and not made", [],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_CALLS)
def test_an_error_inside_a_step_changes_nothing(kit, name):
    call, message, ids = BAD_CALLS[name]
    closure, undisturbed = kit.make(), kit.make()
    shock = lambda t: kit.ramp(t, PEAKS, 0.5e-9)  # noqa: E731
    for c in (closure, undisturbed):
        kit.run(c, TIMES[:8], shock)
    closure.begin_step(TIMES[7], 0.25e-9)
    with pytest.raises(ClosureError, match=message) as caught:
        call(closure)
    if ids:
        assert caught.value.ids.tolist() == ids
    if name == "open ticket":
        closure.rollback()
    else:
        closure.advance(pressure=shock(TIMES[8]))
        closure.commit()
        undisturbed.begin_step(TIMES[7], 0.25e-9)
        undisturbed.advance(pressure=shock(TIMES[8]))
        undisturbed.commit()
    first = 7 if name == "open ticket" else 8
    got, wanted = (kit.run(c, TIMES[first:], shock) for c in (closure, undisturbed))
    for a, b in zip(got, wanted, strict=True):
        for field in ("ids", "dt_max", *ARRAYS):
            np.testing.assert_array_equal(getattr(a, field), getattr(b, field))
    assert kit.state(closure) == kit.state(undisturbed)


def specimen(n, pixel=50e-9):
    return Specimen.from_array(np.ones((n, n)), pixel)


def one(**source):
    """A registration of cell 1."""
    return lambda c: c.register([1], **source)


def save_to_a_full_disk(closure, folder):
    """Save where no file may grow beyond 1 kB, as the system itself enforces it."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, before[1]))
    try:
        closure.save(folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


BETWEEN_STEPS = {
    "advance": (lambda c: c.advance(pressure=PEAKS), "no step is open: call begin_step before you advance"),
    "commit": (lambda c: c.commit(), "before you commit"),
    "rollback": (lambda c: c.rollback(), "before you roll back"),
    "wait": (lambda c: c.wait(), "before you wait"),
    "submit": (lambda c: c.submit([100], pressure=[0.0]), "before you submit"),
    "time back": (lambda c: c.begin_step(0.5e-9, 1e-9), "step begins at 5e-10 s, the last one ended at"),
    "no time": (lambda c: c.begin_step(3e-9, 0.0), "positive dt, got t = 3e-09 s, dt = 0.0 s"),
    "tiny dt": (lambda c: c.begin_step(3e-9, 1e-310), "choose a dt of at least 1e-30 s"),
    "time nan": (lambda c: c.begin_step(NAN, 1e-9), "finite t"),
    "unregister": (lambda c: c.unregister([1]), "unknown cell 1"),
    "repeated": (lambda c: c.register([1, 1], patches=np.ones((2, 32, 32))), "cell 1 named twice"),
    "known": (lambda c: c.register([1, 100], patches=np.ones((2, 32, 32))), "cell 100 already registered"),
    "count": (lambda c: c.register([1, 2], patches=np.ones((3, 32, 32))), "2 ids but 3 patches"),
    "size": (one(patches=np.ones((1, 32, 64))), "32 x 64 pixels; this closure serves 32 x 32"),
    "beyond 1": (one(patches=np.full((1, 32, 32), 1.5)), "cell 1 holds solid fractions outside"),
    "nan": (one(patches=np.full((1, 32, 32), NAN)), "cell 1 holds solid fractions outside"),
    "flat": (one(patches=np.ones((32, 32))), r"expected \(cells, ny, nx\)"),
    "pixel": (one(patches=np.ones((1, 32, 32)), pixel=1e-7), "pixels of 1e-07 m, but the bundle"),
    "nothing": (one(), "give either patches or a specimen"),
    "specimen pixel": (
        one(specimen=specimen(64, 1e-7), offsets=[[0, 0]]), "pixels of 1e-07 m, but the bundle was trained",
    ),
    "small specimen": (
        one(specimen=specimen(31), offsets=[[0, 0]]), "image of 31 x 31 pixels is smaller than a patch",
    ),
    "off the specimen": (
        one(specimen=specimen(64), offsets=[[4e-6, 0]]), "lies outside the image of 64 x 64",
    ),
    "no restart": (lambda c: c.restore("nowhere"), "no restart at nowhere"),
}  # fmt: skip


@pytest.mark.parametrize("name", [*BETWEEN_STEPS, "full disk"])
def test_an_error_between_steps_changes_nothing(kit, tmp_path, name):
    closure, undisturbed = kit.make(), kit.make()
    shock = lambda t: kit.ramp(t, PEAKS, 0.5e-9)  # noqa: E731
    for c in (closure, undisturbed):
        kit.run(c, TIMES[:8], shock)
    if name == "full disk":
        closure.save(tmp_path / "r")
        kept = {p.name: p.read_bytes() for p in (tmp_path / "r").iterdir()}
        with pytest.raises(OSError, match="File too large; the restart before it stands, free space"):
            save_to_a_full_disk(closure, tmp_path / "r")
        assert {p.name: p.read_bytes() for p in (tmp_path / "r").iterdir()} == kept
    else:
        call, message = BETWEEN_STEPS[name]
        with pytest.raises((ValueError, FileNotFoundError), match=message) as caught:
            call(closure)
        assert "\n" not in str(caught.value)
    assert closure.ids.tolist() == [100, 101, 102, 103, 104]
    assert closure.time == undisturbed.time
    got, wanted = (kit.run(c, TIMES[7:], shock) for c in (closure, undisturbed))
    for a, b in zip(got, wanted, strict=True):
        for field in ("ids", "dt_max", *ARRAYS):
            np.testing.assert_array_equal(getattr(a, field), getattr(b, field))
    assert kit.state(closure) == kit.state(undisturbed)
    assert wanted[-1].burned_fraction.max() > 0


def test_patches_the_model_cannot_take(kit):
    closure = kit.make(n=0)
    with pytest.raises(ValueError, match="pad to 32 x 64"):
        closure.register([1], patches=np.ones((1, 32, 40)))
    with pytest.raises(ClosureError, match=r"patch_shape=\(ny, nx\)"):
        closure.register([1], specimen=Specimen.from_array(np.ones((64, 64)), kit.PIXEL), offsets=[[0, 0]])
    wide = kit.table()
    object.__setattr__(wide, "wave", wide.wave + 4)
    object.__setattr__(wide, "profile", np.repeat(wide.profile, 3, axis=2))
    object.__setattr__(wide, "wave", wide.wave + 24)
    closure = kit.make(n=0, load_table=wide)
    with pytest.raises(ClosureError, match="32 pixels wide, but the shock of frame 0 takes 40"):
        closure.register([1], patches=np.ones((1, 32, 32)))


def test_an_error_of_the_network_changes_nothing(kit):
    closure, undisturbed = kit.make(), kit.make()
    shock = lambda t: kit.ramp(t, PEAKS, 0.5e-9)  # noqa: E731
    for c in (closure, undisturbed):
        kit.run(c, TIMES[:8], shock)
    step = kit.engine(closure).step

    def broken(z, load):
        raise RuntimeError("the device fell off the bus")

    kit.engine(closure).step = broken
    closure.begin_step(TIMES[7], 2e-9)
    with pytest.raises(RuntimeError, match="fell off"):
        closure.advance(pressure=PEAKS)
    closure.rollback()
    kit.engine(closure).step = step
    got, wanted = (kit.run(c, TIMES[7:], shock) for c in (closure, undisturbed))
    np.testing.assert_array_equal(got[-1].burned_fraction, wanted[-1].burned_fraction)


def test_closing_twice_is_harmless(kit):
    closure = kit.make()
    closure.begin_step(0.0, 1e-9)
    closure.close()
    closure.close()
    assert set(closure.status.values()) == {0}


def test_status_words_are_readable():
    assert names(0) == "IDLE"
    assert (
        names(Status.ACTIVE | Status.EXTRAPOLATING | Status.LOAD_HIGH) == "ACTIVE, EXTRAPOLATING, LOAD_HIGH"
    )


def test_what_is_wrong_with_a_call_is_refused_when_it_is_handed_in(kit):
    closure = kit.make()
    closure.begin_step(0.0, 1e-9)
    closure.submit([100, 101], pressure=[6e9, 7e9])
    for ids, p, u, message, cells in (
        ([101, 102], [7e9, 7e9], None, "cell 101 already in a call that waits; call wait first", [101]),
        ([102, 103], [7e9, NAN], None, "pressure of cell 103 is not finite", [103]),
        ([102, 103], [-7e9, 0], None, "pressure of cell 102 is negative", [102]),
        ([103, 104], [0.0, 8e9], [NAN, NAN], "velocity of cell 104 is not finite", [104]),
    ):
        with pytest.raises(ClosureError, match=message) as caught:
            closure.submit(ids, pressure=p, velocity=u)
        assert caught.value.ids.tolist() == cells
    last = closure.submit([102, 103, 104], pressure=[8e9, 8e9, 8e9])
    closure.wait()
    assert last.response.ids.tolist() == [102, 103, 104]
    closure.submit([100, 101], pressure=[6e9, 7e9])  # what waited has been made
    closure.rollback()
    closure.begin_step(0.0, 1e-9)
    closure.submit([100, 101], pressure=[6e9, 7e9])
    closure.rollback()
    closure.close()
