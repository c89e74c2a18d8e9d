"""The C++ side, called from Python: the bits of the Python closure, the step protocol, strides, DLPack."""

import ctypes
import re

import numpy as np
import pytest
import torch

import mld_closure as mld
from mld_closure import bridge as python_side
from mld_closure.closure.policies import Status

DT = 0.3e-9


def pressures(k, n=5):
    return np.linspace(4e9, 9e9, n) * (1 - 0.02 * k)


@pytest.fixture
def python_closure(bundle, patches, kit):
    """Opens a closure in Python with the same cells as `opened`."""

    def make(**groups):
        closure = mld.open(bundle, device="cpu", threads=1, **groups)
        closure.register(kit.IDS, patches=patches)
        return closure

    return make


@pytest.fixture
def reference(python_closure):
    return python_closure()


def same(out, response):
    return all(np.array_equal(out[k], getattr(response, k), equal_nan=True) for k in out)


@pytest.mark.parametrize("device", [0, 1])
def test_every_output_has_the_bits_of_the_python_closure(opened, python_closure, kit, device):
    closure, reference, steps = opened(), python_closure(), 8  # before the first cell has burned
    out = kit.outputs()
    for k in range(steps):
        for c in (closure, reference):
            c.begin_step(k * DT, DT)
        closure.advance(kit.IDS if k % 2 else None, pressures(k), outputs=out, device=device)
        response = reference.advance(kit.IDS, pressure=pressures(k))
        assert same(out, response)
        assert closure.dt_max() == response.dt_max
        closure.commit()
        reference.commit()
    assert (out["burned_fraction"] > 0.1).all()
    assert closure.counter("steps") == closure.counter("calls") == steps
    assert closure.counter("cells") == closure.counter("cells.active") == 5
    assert 0 < closure.counter("seconds.evolve") < closure.counter("seconds")
    assert closure.counter("seconds.open") > 0


def advance_at(c, kit, handle, pressure, out):
    """Error of an advance, arrays given as (device, address)."""
    given = kit.Array(1, pressure[0], pressure[1], 0, 0)
    wanted = (kit.Array * 2)(*(kit.Array(q, d, a, 0, 0) for q, (d, a) in zip((101, 111), out, strict=True)))
    five, one, two = ctypes.c_int64(5), ctypes.c_int(1), ctypes.c_int(2)
    return c.mld_advance(handle, five, None, ctypes.byref(given), one, wanted, two)


def test_device_pointers(c, handle, reference, kit):
    assert c.mld_begin_step(handle, ctypes.c_double(0), ctypes.c_double(DT)) == 0
    p = torch.tensor(pressures(0))
    out = torch.full((5,), -7.0, dtype=torch.float64), torch.full((5,), -7)
    if not torch.cuda.is_available():
        for where in ((2, 0), (0, 2)):  # pressure or results
            places = [(where[1], a.data_ptr()) for a in out]
            assert advance_at(c, kit, handle, (where[0], p.data_ptr()), places) == 1
            assert b"an array lies on GPU 0, but torch sees 0" in c.mld_message()
            assert all((a == -7).all() for a in out)
        return
    p, out = p.cuda(), tuple(a.cuda() for a in out)
    torch.cuda.synchronize()
    places = [(2, a.data_ptr()) for a in out]
    assert advance_at(c, kit, handle, (2, p.data_ptr()), places) == 0, c.mld_message()
    reference.begin_step(0.0, DT)
    response = reference.advance(pressure=pressures(0))
    assert np.array_equal(out[0].cpu(), response.burned_fraction)
    assert np.array_equal(out[1].cpu(), response.status)


@pytest.mark.parametrize("device", [0, 1])
def test_strided_arrays_and_any_subset_of_outputs(opened, reference, kit, device):
    closure, out = opened(), kit.outputs(every=3)
    structs = np.zeros(5, [("rho", "f8"), ("p", "f8"), ("flag", "i8")])
    structs["p"] = pressures(0)
    for name in ("burned_fraction", "status"):
        closure.begin_step(0.0, DT)
        closure.advance(None, structs["p"], outputs={name: out[name]}, device=device)
        closure.rollback()
    reference.begin_step(0.0, DT)
    response = reference.advance(pressure=pressures(0))
    for name in ("burned_fraction", "status"):
        assert np.array_equal(out[name], getattr(response, name))
        rest = np.delete(out[name].base, np.arange(0, 15, 3))
        assert (rest == -7).all()
    assert (out["burn_rate"] == -7).all()


def test_a_rejected_step_leaves_no_trace(opened, kit):
    closure, other = opened(), opened()
    first, second = kit.outputs(), kit.outputs()
    for k in range(6):
        closure.begin_step(k * DT, DT)
        closure.advance(None, pressures(k) * 1.3)
        closure.rollback()
        for c, out in ((closure, first), (other, second)):
            c.begin_step(k * DT, DT)
            c.advance(None, pressures(k), outputs=out)
            c.advance(None, pressures(k), outputs=out)
            c.commit()
    assert all(np.array_equal(first[k], second[k], equal_nan=True) for k in first)
    assert closure.counter("rejected") == 6


def test_calls_handed_in_are_made_as_one(opened, reference, kit):
    closure, a, b = opened(), kit.outputs(2), kit.outputs(3)
    for k in range(5):
        closure.begin_step(k * DT, DT)
        closure.submit(kit.IDS[:2], pressures(k)[:2], outputs=a)
        closure.submit(kit.IDS[2:], pressures(k)[2:], outputs=b)
        assert k or (a["status"] == -7).all()
        closure.wait()
        closure.commit()
        reference.begin_step(k * DT, DT)
        response = reference.advance(pressure=pressures(k))
        reference.commit()
    whole = {name: np.concatenate([a[name], b[name]]) for name in a}
    assert same(whole, response)
    assert closure.dt_max() == response.dt_max


def test_image_file_and_patches_give_the_same(bridge, bundle, kit, patches, tmp_path):
    image = np.concatenate(patches, axis=1)  # (32, 160)
    offsets = np.stack([32 * 50e-9 * np.arange(5), np.zeros(5)], axis=1)
    np.save(tmp_path / "image.npy", image)
    found = []
    for way in ("patches", "image", "file"):
        closure = bridge.Closure(str(bundle), kit.SETTINGS + "engine.patch_shape = [32, 32]")
        if way == "patches":
            closure.register_patches(kit.IDS, patches.copy(), 50e-9)
        elif way == "image":
            closure.register_image(kit.IDS, image.copy(), 50e-9, offsets)
        else:
            closure.register_file(kit.IDS, str(tmp_path / "image.npy"), offsets, 50e-9)
        out = kit.outputs()
        for k in range(4):
            closure.begin_step(k * DT, DT)
            closure.advance(None, pressures(k), outputs=out)
            closure.commit()
        found.append(out)
    for name in set(kit.NAMES) - {"porosity"}:
        assert all(np.array_equal(found[0][name], f[name], equal_nan=True) for f in found[1:])


def test_restart_goes_on_with_the_same_bits(opened, kit, tmp_path):
    closure, out, again = opened(), kit.outputs(), kit.outputs()
    for k in range(6):
        if k == 3:
            closure.save(str(tmp_path / "restart"))
        closure.begin_step(k * DT, DT)
        closure.advance(None, pressures(k), outputs=out)
        closure.commit()
    other = opened()
    other.restore(str(tmp_path / "restart"))
    for k in range(3, 6):
        other.begin_step(k * DT, DT)
        other.advance(None, pressures(k), outputs=again)
        other.commit()
    assert all(np.array_equal(out[name], again[name], equal_nan=True) for name in out)


def test_unregister_and_migrate(opened, kit):
    closure = opened()
    closure.migrate(kit.IDS, [0] * 5)
    closure.unregister(kit.IDS[:2])
    assert closure.counter("cells") == 3
    out = kit.outputs(3)
    closure.begin_step(0.0, DT)
    closure.advance(None, pressures(0, 3), outputs=out)
    assert (out["status"] == Status.LOADING).all()


def test_header_and_python_have_the_same_numbers(kit):
    header = (kit.ROOT / "cpp_bridge/include/mld_closure/closure.h").read_text()
    errors = dict(re.findall(r"MLD_E_(\w+) = (\d+)", header))
    mine = {e.name: str(int(e)) for e in python_side.Error}
    assert errors == mine | {"HANDLE": "101"}
    flags = re.findall(r"MLD_(?:IS|WHY)_(\w+) \(\(int64_t\)1 << (\d+)\)", header)
    assert {name: 1 << int(bit) for name, bit in flags} == {s.name: int(s) for s in Status if s}
    names = re.findall(r"MLD_(\w+) = 1\d\d\b", header.split("/* outputs */")[1].split("}")[0])
    assert tuple(n.lower() for n in names) == (*kit.NAMES, "burned_mass")  # which only mld_read gives
