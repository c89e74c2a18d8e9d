"""Arrays in the host's units, ids of 32 bits, the ledger, facts, and reading back, in C."""

import ctypes

import numpy as np
import pytest

import mld_closure as mld

DT = 0.3e-9
PRESSURE = np.linspace(5e9, 9e9, 5)
N = ctypes.c_int64(5)


def value_of(function, handle, name):
    value = ctypes.c_double()
    assert function(handle, name.encode(), ctypes.byref(value)) == 0, name
    return value.value


@pytest.fixture
def advance(c, kit):
    """Begins, advances and commits a step with arrays (quantity, array, scale)."""

    def call(handle, step, ids, inputs, outputs=()):
        given, wanted = (
            (kit.Array * max(len(arrays), 1))(
                *(kit.Array(q, 0, a.ctypes.data, 0, 0, s) for q, a, s in arrays)
            )
            for arrays in (inputs, outputs)
        )
        assert c.mld_begin_step(handle, ctypes.c_double(step * DT), ctypes.c_double(DT)) == 0, c.mld_message()
        pointer = None if ids is None else ids.ctypes.data_as(ctypes.c_void_p)
        error = c.mld_advance(handle, N, pointer, given, len(inputs), wanted, len(outputs))
        assert error == 0, c.mld_message()
        assert c.mld_commit(handle) == 0, c.mld_message()

    return call


@pytest.fixture
def reference(bundle, patches, kit):
    """The same cells in Python, in SI units."""
    closure = mld.open(bundle, device="cpu", threads=1)
    closure.register(kit.IDS, patches=patches)
    return closure


def step(closure, k, **inputs):
    closure.begin_step(k * DT, DT)
    out = closure.advance(pressure=PRESSURE, **inputs)
    closure.commit()
    return out


def test_arrays_in_units_of_the_host(c, handle, reference, advance):
    giga, speed = PRESSURE / 1e9, np.full(5, 0.05)  # GPa, cm/us
    mean, burned, heat = (np.full(5, -7.0) for _ in range(3))
    for k in range(6):
        outputs = [(108, mean, 1e9), (101, burned, 0.01), (112, heat, 0)]
        advance(handle, k, None, [(1, giga, 1e9), (2, speed, 1e4)], outputs)
        out = step(reference, k, velocity=speed * 1e4)
    np.testing.assert_allclose(burned / 100, out.burned_fraction, rtol=1e-12)
    np.testing.assert_allclose(mean * 1e9, out.mean_pressure, rtol=1e-12)
    np.testing.assert_allclose(heat, out.burned_increment, rtol=1e-12)
    assert burned.min() > 0


def test_lists_of_32_bit_ids(c, bundle, kit, patches, reference, advance):
    ids = kit.IDS.astype(np.int32)
    place = ctypes.c_void_p()
    options = kit.Options(ctypes.sizeof(kit.Options), str(bundle).encode(), kit.SETTINGS.encode(), id_bits=32)
    assert c.mld_open(ctypes.byref(options), ctypes.byref(place)) == 0, c.mld_message()
    pointer, size = ids.ctypes.data_as(ctypes.c_void_p), ctypes.c_int64(32)
    data = patches.ctypes.data_as(ctypes.c_void_p)
    assert c.mld_register_patches(place, N, pointer, size, size, data, ctypes.c_double(0), 0) == 0
    burned, order = np.full(5, -7.0), [3, 1, 4, 0, 2]
    for k in range(6):
        advance(place, k, ids[order], [(1, PRESSURE[order].copy(), 0)], [(101, burned, 0)])
        out = step(reference, k)
    np.testing.assert_array_equal(burned, out.burned_fraction[order])
    assert c.mld_unregister(place, ctypes.c_int64(2), pointer) == 0
    assert value_of(c.mld_counter, place, "cells") == 3
    assert c.mld_unregister(place, ctypes.c_int64(1), pointer) == 3
    assert b"unknown cell 100" in c.mld_message()
    c.mld_close(ctypes.byref(place))
    options.id_bits = 16
    assert c.mld_open(ctypes.byref(options), ctypes.byref(place)) == 1
    assert b"ids of 16 bits; they have 32 or 64" in c.mld_message()


def test_the_ledger_and_what_is_read_back(c, handle, advance, reference, kit, tmp_path):
    mass, read, total = np.linspace(1e-6, 5e-6, 5), np.full(5, -7.0), np.full(5, -7.0)
    for k in range(6):
        advance(handle, k, None, [(1, PRESSURE, 0), (3, mass, 0)])
        out = step(reference, k, mass=mass)
    ledger = reference.ledger()
    assert ledger.burned_mass > 0
    for name in ("burned_mass", "step_burned_mass"):
        assert value_of(c.mld_counter, handle, name) == getattr(ledger, name)
        assert value_of(c.mld_counter_sum, handle, name) == getattr(ledger, name)
    wanted = (kit.Array * 2)(
        kit.Array(101, 0, read.ctypes.data), kit.Array(114, 0, total.ctypes.data, 0, 0, 1e-3)
    )
    ids = kit.IDS.ctypes.data_as(ctypes.c_void_p)
    for pointer in (ids, None):
        read[:] = total[:] = -7
        assert c.mld_read(handle, N, pointer, wanted, 2) == 0, c.mld_message()
        np.testing.assert_array_equal(read, out.burned_fraction)
        np.testing.assert_allclose(total, mass * read * 1e3, rtol=1e-13)
    assert c.mld_read(handle, ctypes.c_int64(4), None, wanted, 2) == 1
    assert b"arrays of 4 cells for 5 registered ones" in c.mld_message()


def test_facts_before_anything_is_registered(c, bundle, kit, reference):
    place = ctypes.c_void_p()
    options = kit.Options(ctypes.sizeof(kit.Options), str(bundle).encode(), kit.SETTINGS.encode())
    assert c.mld_open(ctypes.byref(options), ctypes.byref(place)) == 0, c.mld_message()
    facts = reference.facts
    for name, expected in facts.items():
        found = value_of(c.mld_fact, place, name)
        if name in ("patch.ny", "patch.nx"):
            assert np.isnan(found)
            assert expected == 32
        else:
            np.testing.assert_equal(found, expected)
    assert c.mld_fact(place, b"p_arival", ctypes.byref(ctypes.c_double())) == 1
    assert b"p_arrival" in c.mld_message()
    c.mld_close(ctypes.byref(place))
