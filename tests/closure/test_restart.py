"""Restart: the bits of the uninterrupted run, what is refused, killed writes, replayed calls."""

import json

import numpy as np
import pytest

import mld_closure as mld
from mld_closure import durable
from mld_closure.closure import checkpoint
from mld_closure.closure.response import ARRAYS
from mld_closure.errors import ClosureError

PEAKS = np.array([5e9, 6e9, 7e9, 8e9, 15e9])
STARTS = np.array([0.2e-9, 0.5e-9, 1.0e-9, 1.6e-9, 1.2e-9])
TIMES = np.linspace(0, 4e-9, 17)


def shock(kit):
    return lambda t: kit.ramp(t, PEAKS, STARTS)


def same(a, b):
    return all(
        np.array_equal(getattr(a, n), getattr(b, n), equal_nan=True) for n in ("ids", "dt_max", *ARRAYS)
    )


@pytest.mark.parametrize("steps", [2, 7, 12])
def test_a_restarted_run_gives_the_bits_of_the_uninterrupted_one(kit, tmp_path, steps):
    whole, first = kit.make(), kit.make()
    wanted = kit.run(whole, TIMES, shock(kit))[steps:]
    kit.run(first, TIMES[: steps + 1], shock(kit))
    first.save(tmp_path / "r")
    first.close()
    second = kit.make()
    second.restore(tmp_path / "r")
    assert second.time == TIMES[steps]
    got = kit.run(second, TIMES[steps:], shock(kit))
    assert all(same(a, b) for a, b in zip(got, wanted, strict=True))


def test_cells_may_be_registered_in_another_order(kit, tmp_path):
    options = {"reproducible": True, "micro_batch": 2}
    whole, first, second = kit.make(**options), kit.make(**options), kit.make(n=0, **options)
    wanted = kit.run(whole, TIMES, shock(kit))[-1]
    kit.run(first, TIMES[:10], shock(kit))
    first.save(tmp_path / "r")
    order = np.array([3, 0, 4, 2, 1])
    second.register(100 + order, patches=kit.patches(5)[order])
    second.restore(tmp_path / "r")
    got = kit.run(second, TIMES[9:], lambda t: shock(kit)(t)[order])[-1]
    np.testing.assert_array_equal(got.burned_fraction, wanted.burned_fraction[order])


def test_a_model_without_logvar_restarts(kit, tmp_path):
    whole, first, second = (kit.make(given=kit.bundle(evolve_logvar=False)) for _ in range(3))
    assert kit.pool(first).bytes_per_cell == 4 * 4 * 16
    wanted = kit.run(whole, TIMES, shock(kit))[-1]
    kit.run(first, TIMES[:10], shock(kit))
    first.save(tmp_path / "r")
    second.restore(tmp_path / "r")
    assert same(kit.run(second, TIMES[9:], shock(kit))[-1], wanted)


def other(kit, kind):
    if kind == "bundle":
        return kit.make(given=kit.bundle(seed=1))
    if kind == "cells":
        return kit.make(n=4)
    if kind == "scale":
        return kit.make(scale="micro")
    if kind == "read_every":
        return kit.make(read_every=2)
    if kind == "patches":
        closure = kit.make(n=0)
        closure.register(np.arange(100, 105), patches=kit.patches(5, seed=9))
        return closure
    closure = kit.make(n=0)
    closure.register(np.arange(100, 105), patches=kit.patches(5, shape=(32, 64)))
    return closure


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("bundle", "belongs to the bundle .*, not to"),
        ("cells", "cell 104 not both in the restart and registered"),
        ("scale", "engine.scale = meso, the closure micro"),
        ("read_every", "readout.read_every = 1, the closure 2"),
        ("patches", "written with other patches"),
        ("shape", r"patch_shape = \[32, 32\], the closure \[32, 64\]"),
    ],
)
def test_what_does_not_belong_is_refused(kit, tmp_path, kind, message):
    first = kit.make()
    kit.run(first, TIMES[:10], shock(kit))
    first.save(tmp_path / "r")
    second = other(kit, kind)
    before = kit.state(second)
    with pytest.raises(ClosureError, match=message):
        second.restore(tmp_path / "r")
    assert kit.state(second) == before
    assert second.time is None


class Killed(BaseException):
    pass


@pytest.mark.parametrize("moment", range(12))
def test_killing_the_write_leaves_the_previous_restart_whole(kit, tmp_path, monkeypatch, moment):
    closure = kit.make()
    kit.run(closure, TIMES[:6], shock(kit))
    closure.save(tmp_path / "r")
    kit.run(closure, TIMES[5:10], shock(kit))
    calls = []

    class Dying(durable.Disk):
        def before(self, name):
            calls.append(name)
            if len(calls) - 1 == moment:
                raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(durable, "disk", Dying())
        try:
            closure.save(tmp_path / "r")
        except Killed:
            assert len(calls) == moment + 1
    second = kit.make()
    second.restore(tmp_path / "r")
    replaced = "rename" in calls[:moment]
    assert second.time == (TIMES[9] if replaced else TIMES[5])
    closure.save(tmp_path / "r")  # and the folder can be written again, with nothing left behind
    assert len(list((tmp_path / "r").iterdir())) == 2


def test_damaged_restarts_are_named(kit, tmp_path):
    closure = kit.make()
    with pytest.raises(FileNotFoundError, match="no restart at"):
        closure.restore(tmp_path)
    closure.save(tmp_path / "r")
    manifest = tmp_path / "r" / "restart.json"
    (state,) = (tmp_path / "r").glob("*.safetensors")
    data, text = state.read_bytes(), manifest.read_text()
    state.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(ClosureError, match="SHA-256 differs"):
        closure.restore(tmp_path / "r")
    state.unlink()
    with pytest.raises(ClosureError, match="lacks state-"):
        closure.restore(tmp_path / "r")
    manifest.write_text(text[:50])
    with pytest.raises(ClosureError, match="is damaged"):
        closure.restore(tmp_path / "r")
    manifest.write_text(json.dumps({**json.loads(text), "version": 9}))
    with pytest.raises(ClosureError, match="no restart of format version 6"):
        closure.restore(tmp_path / "r")


def test_a_failing_call_is_recorded_and_replayed(kit, tmp_path):
    bundle = kit.bundle()
    closure = kit.make(given=bundle, on_extrapolation="error", p_arrival=3e9, failures=tmp_path / "f")
    p = lambda t: kit.ramp(t, np.array([5e9, 6e9, 7e9, 1e9, 60e9]), STARTS)  # noqa: E731
    with pytest.raises(ClosureError, match=r"load of cell 104, .* lies outside") as live:
        kit.run(closure, TIMES, p)
    (folder,) = (tmp_path / "f").iterdir()
    options = {"device": "cpu", "threads": 1, "load_table": kit.table()}
    with pytest.raises(ClosureError) as again:
        mld.replay(folder, bundle, **options)
    assert str(again.value) == str(live.value)
    arrays, facts = checkpoint.read(folder)
    assert 103 not in arrays["ids"]  # idle cells do not matter and are left out
    assert facts["error"].startswith("ClosureError: load of cell 104")
    mended = mld.replay(folder, bundle, **options, policy={"on_extrapolation": "clamp"})
    assert mended.burned_fraction.shape == (4,)
    closure.rollback()
    closure.save(tmp_path / "r")
    with pytest.raises(ClosureError, match="is a restart, not a recorded call"):
        mld.replay(tmp_path / "r", bundle, **options)


def test_a_call_with_a_negative_pressure_of_an_idle_cell_is_recorded(kit, tmp_path):
    bundle = kit.bundle()
    closure = kit.make(given=bundle, failures=tmp_path / "f")
    closure.begin_step(0.0, 1e-9)
    with pytest.raises(ClosureError, match="cell 102 is negative"):
        closure.advance(pressure=[0, 0, -1.0, 0, 0])
    with pytest.raises(ClosureError, match="cell 102 is negative"):
        mld.replay(tmp_path / "f" / "failure-0000", bundle, **kit.options())


def test_a_call_with_nan_is_recorded_too(kit, tmp_path):
    bundle = kit.bundle()
    closure = kit.make(given=bundle, failures=tmp_path / "f")
    closure.begin_step(0.0, 1e-9)
    with pytest.raises(ClosureError, match="cell 102 is not finite"):
        closure.advance(pressure=[0, 0, np.nan, 0, 0])
    with pytest.raises(ClosureError, match="cell 102 is not finite"):
        mld.replay(tmp_path / "f" / "failure-0000", bundle, device="cpu", threads=1, load_table=kit.table())
