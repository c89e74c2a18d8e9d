"""Hosts compiled with an older or a newer closure.h: their options are taken as the header promises."""

import ctypes

import pytest


@pytest.fixture
def opens(c, bundle, kit):
    """Opens a closure with options of a given size; returns the error and its sentence."""

    def call(options, size):
        place = ctypes.c_void_p()
        options.size, options.bundle, options.settings = size, str(bundle).encode(), kit.SETTINGS.encode()
        error = c.mld_open(ctypes.byref(options), ctypes.byref(place))
        assert bool(place.value) == (error == 0)
        message = c.mld_message().decode()
        c.mld_close(ctypes.byref(place))
        return error, message

    return call


def test_what_an_older_header_lacks_counts_as_nothing(opens, kit):
    options = kit.Options()
    options.has_comm, options.comm, options.fallback = 1, 77, 0xDEAD  # lies behind the options of the host
    options.id_bits = 7
    assert opens(options, kit.Options.has_comm.offset) == (0, "")
    assert opens(options, kit.Options.settings.offset) == (0, "")


def test_options_of_a_newer_header_are_taken_unless_an_unknown_one_is_set(opens, kit):
    class Newer(ctypes.Structure):
        _fields_ = (*kit.Options._fields_, ("later", ctypes.c_void_p), ("latest", ctypes.c_double))

    size = ctypes.sizeof(Newer)
    assert opens(Newer(), size) == (0, "")
    error, message = opens(Newer(latest=1.0), size)
    assert error == 1
    assert f"options of {size} bytes, where this library knows {ctypes.sizeof(kit.Options)}" in message
    assert "too old to know" in message


@pytest.mark.parametrize("size", [0, 8, 17, 1 << 40])
def test_sizes_of_no_header_are_refused(opens, kit, size):
    error, message = opens(kit.Options(), size)
    assert error == 1
    assert f"options of {size} bytes" in message
    assert "MLD_OPTIONS_INIT" in message
