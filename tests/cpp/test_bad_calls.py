"""Whatever a host does wrong gives a number and a sentence, and changes nothing."""

import ctypes

import numpy as np
import pytest

DT = 0.3e-9


@pytest.fixture
def error(bridge):
    """Calls, and returns (name, sentence) of the error; fails where there is none."""

    def call(function, *args, **kwargs):
        with pytest.raises(bridge.Error) as caught:
            function(*args, **kwargs)
        return caught.value

    return call


def test_calls_out_of_order(opened, error, kit, tmp_path, patches):
    closure, p = opened(), np.full(5, 6e9)
    for call in (closure.commit, closure.rollback, closure.wait, lambda: closure.advance(None, p)):
        e = error(call)
        assert (e.name, e.recoverable) == ("MLD_E_ORDER", True)
        assert "begin_step" in str(e)
    closure.begin_step(1e-9, DT)
    others = (
        lambda: closure.begin_step(1e-9, DT),
        lambda: closure.register_patches(kit.IDS + 10, patches),
        lambda: closure.save(str(tmp_path / "r")),
        lambda: closure.unregister(kit.IDS),
    )
    for call in others:
        e = error(call)
        assert e.name == "MLD_E_ORDER"
        assert "commit or roll back" in str(e)
    closure.submit(kit.IDS, p)
    e = error(closure.commit)
    assert (e.name, e.recoverable) == ("MLD_E_ORDER", True)
    assert "call wait before commit" in str(e)
    closure.wait()
    closure.commit()
    e = error(closure.begin_step, 0.0, DT)
    assert e.name == "MLD_E_ORDER"
    assert "time goes back" in str(e)
    closure.begin_step(1e-9 + DT, DT)


def test_wrong_cells_are_named(opened, error, kit, patches):
    closure, out = opened(), kit.outputs(2)
    closure.begin_step(0.0, DT)
    for ids, p, cells, word in (
        ([7, 100], [1.0, 1.0], [7], "unknown"),
        ([100, 100], [1.0, 1.0], [100], "twice"),
        ([100, 101], [1.0, np.nan], [101], "not finite"),
        ([100, 101], [-1.0, 1.0], [100], "negative"),
    ):
        e = error(closure.advance, ids, np.array(p), outputs=out)
        assert (e.name, e.recoverable, e.cells) == ("MLD_E_CELLS", True, cells)
        assert word in str(e)
    assert all((array == -7).all() for array in out.values())
    closure.advance(kit.IDS[:2], np.array([6e9, 6e9]), outputs=out)
    assert (out["status"] == 1).all()
    closure.rollback()
    e = error(closure.register_patches, kit.IDS[:1], patches[:1])
    assert (e.name, e.cells) == ("MLD_E_CELLS", [100])
    bad = patches[:1].copy()
    bad[0, 3, 3] = np.nan
    assert error(closure.register_patches, np.array([9]), bad).cells == [9]


def test_lengths_options_and_files(bridge, bundle, opened, error, kit, tmp_path, patches):
    closure = opened()
    closure.begin_step(0.0, DT)
    e = error(closure.advance, None, np.ones(4))
    assert e.name == "MLD_E_ARGUMENT"
    assert "4" in str(e)
    closure.rollback()
    assert error(closure.register_patches, np.array([9]), patches[:1, :16]).name == "MLD_E_ARGUMENT"
    assert error(closure.register_patches, np.array([9]), patches[:1], 40e-9).name == "MLD_E_ARGUMENT"
    assert error(closure.begin_step, 0.0, -1.0).name == "MLD_E_ARGUMENT"
    assert "seconds.evolve" in str(error(closure.counter, "nonsense"))
    assert error(closure.restore, str(tmp_path / "nothing")).name == "MLD_E_FILE"
    e = error(closure.register_file, np.array([9]), str(tmp_path / "no.npy"), np.zeros((1, 2)))
    assert e.name == "MLD_E_FILE"
    for path, settings, name, word in (
        (tmp_path / "nothing", "", "MLD_E_FILE", "nothing"),
        (bundle, "devise = 'cpu'", "MLD_E_ARGUMENT", "device"),
        (bundle, "engine.micro_bach = 3", "MLD_E_ARGUMENT", "micro_batch"),
        (bundle, "device = cpu", "MLD_E_ARGUMENT", "words stand in quotes: device = 'cpu'"),
        (bundle, "timeout = -1.0", "MLD_E_ARGUMENT", "timeout is a positive number of seconds"),
        (bundle, "device = 'cuda:99'", "MLD_E_ARGUMENT", "cuda:99"),
        (bundle, "comm = 3", "MLD_E_ARGUMENT", "comm"),
        (bundle, "engine.micro_batch = -3", "MLD_E_ARGUMENT", "micro_batch"),
    ):
        e = error(bridge.Closure, str(path), settings)
        assert e.name == name
        assert word in str(e)


def test_a_damaged_bundle_is_refused(bridge, bundle, error, tmp_path):
    copy = tmp_path / "bundle"
    copy.mkdir()
    for file in bundle.iterdir():
        content = bytearray(file.read_bytes())
        if file.name == "vaes.safetensors":
            content[-5] ^= 1
        (copy / file.name).write_bytes(content)
    e = error(bridge.Closure, str(copy))
    assert e.name == "MLD_E_FILE"
    assert "vaes.safetensors" in str(e)


def test_null_pointers_and_nonsense_in_c(c, handle, kit):
    null, one, zero = ctypes.c_void_p(), ctypes.c_int64(1), ctypes.c_double(0)
    data = np.full(5, 6e9)
    good = kit.Array(1, 0, data.ctypes.data, 0, 0)
    ids = kit.IDS.ctypes.data_as(ctypes.c_void_p)

    def scaled(quantity, scale):
        return ctypes.byref(kit.Array(quantity, 0, data.ctypes.data, 0, 0, scale))

    refused = [
        lambda: c.mld_open(null, ctypes.byref(ctypes.c_void_p())),
        lambda: c.mld_open(ctypes.byref(kit.Options(ctypes.sizeof(kit.Options))), null),
        lambda: c.mld_open(
            ctypes.byref(kit.Options(ctypes.sizeof(kit.Options))), ctypes.byref(ctypes.c_void_p())
        ),
        lambda: c.mld_open(ctypes.byref(kit.Options(3, b"x")), ctypes.byref(ctypes.c_void_p())),
        lambda: c.mld_register_patches(handle, one, null, one, one, ids, zero, 0),
        lambda: c.mld_register_patches(handle, one, ids, one, one, null, zero, 0),
        lambda: c.mld_register_patches(handle, ctypes.c_int64(-1), ids, one, one, ids, zero, 0),
        lambda: c.mld_register_patches(handle, one, ids, ctypes.c_int64(0), one, ids, zero, 0),
        lambda: c.mld_register_image(handle, one, ids, one, one, null, zero, ids, 0),
        lambda: c.mld_register_image(handle, one, ids, one, one, ids, zero, null, 0),
        lambda: c.mld_register_file(handle, one, ids, null, null, zero, ids),
        lambda: c.mld_unregister(handle, one, null),
        lambda: c.mld_migrate(handle, one, ids, null),
        lambda: c.mld_advance(handle, one, ids, null, 1, null, 0),
        lambda: c.mld_advance(handle, one, ids, null, 0, null, 0),
        lambda: c.mld_advance(handle, one, ids, ctypes.byref(good), 1, null, 1),
        lambda: c.mld_advance(handle, one, ids, ctypes.byref(kit.Array(1, 0, None, 0, 0)), 1, null, 0),
        lambda: c.mld_advance(
            handle, one, ids, ctypes.byref(kit.Array(9, 0, data.ctypes.data, 0, 0)), 1, null, 0
        ),
        lambda: c.mld_advance(
            handle, one, ids, ctypes.byref(kit.Array(1, 5, data.ctypes.data, 0, 0)), 1, null, 0
        ),
        lambda: c.mld_advance(
            handle, one, ids, ctypes.byref(kit.Array(1, 0, data.ctypes.data, 4, 0)), 1, null, 0
        ),
        lambda: c.mld_advance(
            handle, one, ids, ctypes.byref(kit.Array(1, 1, data.ctypes.data, 12, 0)), 1, null, 0
        ),
        lambda: c.mld_advance(handle, one, ids, ctypes.byref((kit.Array * 2)(good, good)), 2, null, 0),
        lambda: c.mld_advance(handle, one, ids, scaled(1, -2.0), 1, null, 0),
        lambda: c.mld_advance(handle, one, ids, scaled(1, np.nan), 1, null, 0),
        lambda: c.mld_advance(handle, one, ids, ctypes.byref(good), 1, scaled(111, 2.0), 1),
        lambda: c.mld_advance(handle, one, ids, ctypes.byref(good), 1, scaled(114, 0.0), 1),
        lambda: c.mld_read(handle, one, ids, scaled(115, 0.0), 1),
        lambda: c.mld_read(handle, one, ids, null, 1),
        lambda: c.mld_read(handle, one, null, scaled(101, 0.0), 1),
        lambda: c.mld_fact(handle, null, null),
        lambda: c.mld_fact(handle, b"nonsense", ctypes.byref(zero)),
        lambda: c.mld_counter_sum(handle, null, null),
        lambda: c.mld_counter_sum(handle, b"nonsense", ctypes.byref(zero)),
        lambda: c.mld_dt_max(handle, null),
        lambda: c.mld_counter(handle, null, null),
        lambda: c.mld_save(handle, null),
        lambda: c.mld_restore(handle, null),
    ]
    for number, call in enumerate(refused):
        assert call() == 1, f"call {number}: {c.mld_message()}"
        assert c.mld_message().startswith(b"mld_"), number
        assert c.mld_recoverable(1) == c.mld_recoverable(0) == 1
    assert c.mld_begin_step(handle, zero, ctypes.c_double(DT)) == 0
    assert c.mld_message() == b""
    five = ctypes.c_int64(5)
    assert c.mld_advance(handle, five, None, ctypes.byref(good), 1, null, 0) == 0, c.mld_message()
    assert c.mld_rollback(handle) == 0


def test_stale_and_damaged_handles_are_recognised(c, bundle, kit):
    place, dt = ctypes.c_void_p(), ctypes.c_double()
    assert c.mld_dt_max(place, ctypes.byref(dt)) == 101
    options = kit.Options(ctypes.sizeof(kit.Options), str(bundle).encode(), kit.SETTINGS.encode())
    assert c.mld_open(ctypes.byref(options), ctypes.byref(place)) == 0
    stale, again = ctypes.c_void_p(place.value), ctypes.c_void_p(place.value)
    assert c.mld_close(ctypes.byref(place)) == 0
    assert place.value is None
    assert c.mld_close(ctypes.byref(place)) == 0
    assert c.mld_close(None) == 0
    assert c.mld_dt_max(stale, ctypes.byref(dt)) == 101
    assert b"closed" in c.mld_message()
    assert c.mld_recoverable(101) == 0
    assert c.mld_close(ctypes.byref(again)) == 101
    assert c.mld_open(ctypes.byref(options), ctypes.byref(place)) == 0
    assert c.mld_dt_max(stale, ctypes.byref(dt)) == 101
    assert c.mld_dt_max(place, ctypes.byref(dt)) == 0
    assert dt.value == np.inf
    for nonsense in (1, 0xFFFF, 0x7FFF12345678):
        assert c.mld_dt_max(ctypes.c_void_p(nonsense), ctypes.byref(dt)) == 101
    assert c.mld_close(ctypes.byref(place)) == 0
