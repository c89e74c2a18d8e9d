"""Material points in C, C++ and Fortran: parts of patches, entropies, and registrations of other headers."""

import ctypes

import numpy as np
import pytest

import mld_closure as mld

SHAPE, HALO, PARTS = (16, 40), 8, 8
DT, STEPS = 2e-9, 12
IDS, PART = np.arange(40, 45), np.array([0, 7, 3, -1, 0], np.int32)
PRESSURE, ENTROPY = np.linspace(5e9, 8e9, 5), np.linspace(2e5, 3e5, 5)
N = ctypes.c_int64(5)


class Registration(ctypes.Structure):
    _fields_ = (
        ("size", ctypes.c_size_t),
        ("n", ctypes.c_int64),
        ("ids", ctypes.c_void_p),
        ("ny", ctypes.c_int64),
        ("nx", ctypes.c_int64),
        ("patches", ctypes.c_void_p),
        ("image", ctypes.c_void_p),
        ("path", ctypes.c_char_p),
        ("dataset", ctypes.c_char_p),
        ("offsets", ctypes.c_void_p),
        ("pixel", ctypes.c_double),
        ("ownership", ctypes.c_int64),
        ("parts", ctypes.c_void_p),
    )


@pytest.fixture(scope="module")
def patches():
    """The first four points share a patch."""
    y, x = np.indices(SHAPE)
    one, other = (np.where((31 * (y // 3) + 17 * (x // 3) + k) % 23 < 2, 0, 1.0) for k in (0, 5))
    return np.stack([one] * 4 + [other]).astype(np.float32)


@pytest.fixture(scope="module")
def serve(curves):
    """Burned fractions (step, n) of points in Python."""

    def run(ids, patches, parts, pressure, entropy, dt, steps):
        with mld.open(curves, device="cpu", threads=1) as closure:
            closure.register(ids, patches=patches, parts=parts)
            out = []
            for k in range(steps):
                closure.begin_step(k * dt, dt)
                out.append(closure.advance(pressure=pressure, entropy=entropy).burned_fraction.copy())
                closure.commit()
        return np.array(out)

    return run


@pytest.fixture(scope="module")
def expected(serve, patches):
    found = serve(IDS, patches, PART, PRESSURE, ENTROPY, DT, STEPS)
    whole = serve(IDS, patches, None, PRESSURE, ENTROPY, DT, STEPS)
    assert found[-1].min() > 0.01
    assert abs(found[-1] - whole[-1])[PART >= 0].min() > 1e-6
    return {"points": found, "whole": whole}


@pytest.fixture
def opened(c, curves, kit):
    """Opens a closure of points in C."""
    places = []

    def make(id_bits=64, settings=""):
        place = ctypes.c_void_p()
        options = kit.Options(
            ctypes.sizeof(kit.Options), str(curves).encode(), (kit.SETTINGS + settings).encode(),
            id_bits=id_bits,
        )  # fmt: skip
        assert c.mld_open(ctypes.byref(options), ctypes.byref(place)) == 0, c.mld_message()
        places.append(place)
        return place

    yield make
    for place in places:
        c.mld_close(ctypes.byref(place))


@pytest.fixture
def run(c, kit):
    """Burned fractions (step, n) of points in C, entropies in kJ/kg."""

    def call(place, later=False):
        kilo, burned = ENTROPY / 1e3, np.full(5, -7.0)
        given = (kit.Array * 2)(
            kit.Array(1, 0, PRESSURE.ctypes.data), kit.Array(4, 0, kilo.ctypes.data, 0, 0, 1e3)
        )
        wanted, out = (kit.Array * 1)(kit.Array(101, 0, burned.ctypes.data)), []
        for k in range(STEPS):
            assert c.mld_begin_step(place, ctypes.c_double(k * DT), ctypes.c_double(DT)) == 0
            function = c.mld_submit if later else c.mld_advance
            assert function(place, N, None, given, 2, wanted, 1) == 0, c.mld_message()
            assert not later or c.mld_wait(place) == 0
            assert c.mld_commit(place) == 0
            out.append(burned.copy())
        return np.array(out)

    return call


def registration(patches, ids=IDS, size=None, **more):
    """A registration of the five points; the arrays in it stay with the caller."""
    return Registration(
        ctypes.sizeof(Registration) if size is None else size, 5, ids.ctypes.data, *SHAPE,
        patches.ctypes.data, **{"parts": PART.ctypes.data, **more},
    )  # fmt: skip


@pytest.mark.parametrize(("bits", "later"), [(64, False), (32, True)])
def test_points_in_c(c, opened, run, expected, patches, bits, later):
    place, ids = opened(bits), IDS.astype(f"int{bits}")
    assert c.mld_register(place, ctypes.byref(registration(patches, ids))) == 0, c.mld_message()
    np.testing.assert_allclose(run(place, later), expected["points"], rtol=1e-12)


def test_points_in_cpp(bridge, curves, kit, expected, patches):
    shape = f"engine.patch_shape = {list(SHAPE)}\n"
    with_patches, with_image = (bridge.Closure(str(curves), kit.SETTINGS + more) for more in ("", shape))
    with_patches.register_patches(IDS, patches, parts=PART)
    image = np.concatenate([patches[0], patches[4]], axis=1)
    offsets = np.array([[0, 0]] * 4 + [[SHAPE[1] * 200e-9, 0]])
    with_image.register_image(IDS, image, 200e-9, offsets, parts=PART)
    for closure in (with_patches, with_image):
        burned = np.full(5, -7.0)
        for k in range(STEPS):
            closure.begin_step(k * DT, DT)
            lent = k % 2  # handed on through DLPack
            out = {"burned_fraction": burned}
            closure.advance(None, PRESSURE, entropy=ENTROPY, outputs=out, device=lent)
            closure.commit()
            np.testing.assert_array_equal(burned, expected["points"][k])


def test_points_in_fortran(build, curves, serve, patches, kit):
    host = build / "examples/hosts/points_f90"
    if not host.exists():
        pytest.skip("points_f90 was not built: no Fortran compiler (Debian: gfortran)")
    said = kit.call(host, curves)
    k = np.arange(PARTS)
    same = np.repeat(patches[:1], PARTS, axis=0)
    burned = serve(k + 1, same, k, 5e9 + 0.5e9 * k, (200.0 + 20.0 * k) * 1e3, 2e-9, 20)
    assert float(said.split()[-1]) == pytest.approx(burned[-1].mean(), rel=1e-13)


def test_facts_of_points(c, opened):
    place, value = opened(), ctypes.c_double()
    for name, wanted in (("points", 1), ("patch.parts", PARTS), ("patch.halo", HALO)):
        assert c.mld_fact(place, name.encode(), ctypes.byref(value)) == 0
        assert value.value == wanted


def test_parts_that_an_older_header_lacks_count_as_none(c, opened, run, expected, patches):
    place = opened()
    older = registration(patches, size=Registration.parts.offset, parts=0xDEAD)  # lies behind it
    assert c.mld_register(place, ctypes.byref(older)) == 0, c.mld_message()
    np.testing.assert_allclose(run(place), expected["whole"], rtol=1e-12)


def test_registrations_of_a_newer_header(c, opened, patches):
    class Newer(ctypes.Structure):
        _fields_ = (("known", Registration), ("later", ctypes.c_int64))

    place, size = opened(), ctypes.sizeof(Newer)
    newer = Newer(registration(patches, size=size), 1)
    assert c.mld_register(place, ctypes.byref(newer)) == 1
    sizes = f"a registration of {size} bytes, where this library knows {ctypes.sizeof(Registration)}"
    assert sizes in c.mld_message().decode()
    newer.later = 0
    assert c.mld_register(place, ctypes.byref(newer)) == 0, c.mld_message()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"size": 0}, 1, "a registration of 0 bytes"),
        ({"size": Registration.parts.offset - 8}, 1, "start from MLD_REGISTRATION_INIT"),
        ({"n": -1}, 1, "the number of cells is -1"),
        ({"ids": None}, 1, "ids is NULL for 5 cells"),
        ({"patches": None}, 1, "give one of patches, image and path"),
        ({"path": b"image.npy"}, 1, "give one of patches, image and path"),
        ({"ny": 0}, 1, "patches of 0 x 40"),
        ({"patches": None, "path": b"image.npy"}, 1, "offsets is NULL"),
        ({"parts": np.full(5, PARTS, np.int32)}, 3, "in part 8; the model knows parts 0 to 7, and -1"),
        ({"parts": np.full(5, -2, np.int32)}, 3, "in part -2"),
    ],
)
def test_what_a_registration_must_not_be(c, opened, patches, change, error, message):
    place, wrong = opened(), registration(patches)
    for name, value in change.items():
        setattr(wrong, name, value.ctypes.data if isinstance(value, np.ndarray) else value)
    assert c.mld_register(place, ctypes.byref(wrong)) == error
    assert message in c.mld_message().decode()
    assert c.mld_message().startswith(b"mld_register: ")
    assert c.mld_register(place, ctypes.byref(registration(patches))) == 0  # nothing was changed


def test_no_registration_and_one_without_cells(c, opened):
    place = opened()
    assert c.mld_register(place, None) == 1
    assert b"the registration is NULL" in c.mld_message()
    nothing = Registration(ctypes.sizeof(Registration))
    assert c.mld_register(place, ctypes.byref(nothing)) == 0, c.mld_message()
