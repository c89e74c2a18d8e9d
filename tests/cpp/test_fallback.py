"""Physics of the host, given as a C function: its arguments, its numbers, its failures."""

import ctypes
import re

import numpy as np
import pytest

import mld_closure as mld
from mld_closure.closure.fallback import NAMES

DT, COLUMNS = 0.3e-9, len(NAMES)
BURNED = NAMES.index("burned_fraction")
PRESSURE = np.array([6e9, 2e10, 7e9, 2.2e10, 8e9])  # the second and the fourth are beyond the trained loads
BEYOND = [101, 103]
BY_POLICY = 'policy.on_extrapolation = "fallback"\n'

Numbers, Ids = ctypes.POINTER(ctypes.c_double), ctypes.POINTER(ctypes.c_int64)
Function = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int64, Ids, *[Numbers] * 8)


def physics(up, pressure, since, until, before):
    """Some growth from what the arguments say; nothing known of the hot spots' temperature."""
    after = before + 0.01
    after[:, BURNED] = before[:, BURNED] + 1e8 * (until - since) * pressure / 2e10 * up / 1500.0
    after[:, NAMES.index("hotspot_temperature")] = np.nan
    after[:, NAMES.index("mean_temperature")] = 900.0
    return after


class Host:
    """A host in C: keeps what its fallback is asked, and does in it as `act` says."""

    def __init__(self, c, kit, bundle, patches, settings=BY_POLICY):
        self.c, self.kit, self.asked, self.act, self.closure = c, kit, [], None, ctypes.c_void_p()
        self.function = Function(self.fallback)
        options = kit.Options(ctypes.sizeof(kit.Options), str(bundle).encode())
        options.settings = (kit.SETTINGS + settings).encode()
        options.fallback = ctypes.cast(self.function, ctypes.c_void_p)
        options.fallback_data = 77
        self.must(c.mld_open(ctypes.byref(options), ctypes.byref(self.closure)))
        n, size = ctypes.c_int64(5), ctypes.c_int64(32)
        ids, data = (a.ctypes.data_as(ctypes.c_void_p) for a in (kit.IDS, patches))
        self.must(
            c.mld_register_patches(
                self.closure, n, ids, size, size, data, ctypes.c_double(0), ctypes.c_int(0)
            )
        )

    def fallback(self, data, n, ids, up, shock, pressure, since, until, dt, before, after):
        named = dict(up=up, shock_pressure=shock, pressure=pressure, since=since, until=until, dt=dt)
        seen = {name: np.ctypeslib.as_array(a, (n,)).copy() for name, a in named.items()}
        seen |= {"data": data, "ids": np.ctypeslib.as_array(ids, (n,)).copy()}
        seen["before"] = np.ctypeslib.as_array(before, (n, COLUMNS)).copy()
        self.asked.append(seen)
        target = np.ctypeslib.as_array(after, (n, COLUMNS))
        target[...] = physics(**{k: seen[k] for k in ("up", "pressure", "since", "until", "before")})
        return self.act(target) if self.act else 0

    def must(self, error):
        assert error == 0, self.c.mld_message()

    def begin(self, k):
        self.must(self.c.mld_begin_step(self.closure, ctypes.c_double(k * DT), ctypes.c_double(DT)))

    def advance(self, out, pressure=PRESSURE):
        given = self.kit.Array(1, 0, pressure.ctypes.data, 0, 0)
        wanted = [
            self.kit.Array(101 + self.kit.NAMES.index(n), 0, a.ctypes.data, 0, 0) for n, a in out.items()
        ]
        results = (self.kit.Array * len(wanted))(*wanted)
        five = ctypes.c_int64(5)
        return self.c.mld_advance(
            self.closure, five, None, ctypes.byref(given), 1, results, ctypes.c_int(len(wanted))
        )

    def cells(self):
        ids = Ids()
        self.c.mld_message_cells.restype = ctypes.c_int64
        n = self.c.mld_message_cells(ctypes.byref(ids))
        return ids[:n]

    def close(self):
        self.must(self.c.mld_close(ctypes.byref(self.closure)))


@pytest.fixture
def host(c, kit, bundle, patches):
    made = Host(c, kit, bundle, patches)
    yield made
    made.close()


@pytest.fixture
def reacting(host, kit):
    """The host in its fourth step, two cells of which are the fallback's."""
    for k in range(3):
        host.begin(k)
        host.must(host.advance(kit.outputs()))
        host.must(host.c.mld_commit(host.closure))
    host.begin(3)
    host.asked.clear()
    return host


def test_a_c_function_gives_the_bits_of_a_python_one(host, kit, bundle, patches):
    requests = []

    def fallback(r):
        requests.append(r)
        return physics(r.up, r.pressure, r.since, r.until, r.before)

    closure = mld.open(
        bundle, device="cpu", threads=1, policy={"on_extrapolation": "fallback"}, fallback=fallback
    )
    closure.register(kit.IDS, patches=patches)
    out = kit.outputs()
    for k in range(8):
        host.begin(k)
        host.must(host.advance(out))
        host.must(host.c.mld_commit(host.closure))
        closure.begin_step(k * DT, DT)
        response = closure.advance(pressure=PRESSURE)
        closure.commit()
        assert all(np.array_equal(out[n], getattr(response, n), equal_nan=True) for n in out)
    assert len(host.asked) == len(requests) > 4
    for seen, request in zip(host.asked, requests, strict=True):
        assert seen.pop("data") == 77
        assert seen["ids"].tolist() == BEYOND
        assert all(np.array_equal(seen[name], getattr(request, name), equal_nan=True) for name in seen)
    assert 0.1 < out["burned_fraction"][1] < 1
    assert (np.isnan(out["hotspot_temperature"]) == [0, 1, 0, 1, 0]).all()
    assert (out["status"] & 1 << 9 != 0).tolist() == [False, True, False, True, False]


def test_it_is_told_the_real_time_beside_the_time_of_the_clock(reacting, kit):
    """At 3/4 of its shock pressure a cell's clock runs at 3/4 of the time."""
    reacting.must(reacting.advance(kit.outputs(), 0.75 * PRESSURE))
    (seen,) = reacting.asked
    assert seen["dt"].tolist() == [DT, DT]
    np.testing.assert_allclose(seen["until"] - seen["since"], 0.75 * DT, rtol=1e-9)
    np.testing.assert_allclose(seen["shock_pressure"], PRESSURE[[1, 3]], rtol=1e-12)


def test_the_real_time_of_a_cell_that_starts_counts_from_its_arrival(host, kit):
    for k in range(3):
        host.begin(k)
        host.must(host.advance(kit.outputs()))
        host.must(host.c.mld_commit(host.closure))
        if host.asked:
            break
    first = host.asked[0]
    np.testing.assert_array_equal(first["dt"], first["until"] - first["since"])
    assert (first["dt"] > 0).all()
    assert (first["dt"] <= (k + 1) * DT).all()
    assert (first["dt"] != DT).all()


def infinite(after):
    after[1, NAMES.index("mean_pressure")] = np.inf


def backwards(after):
    after[0, BURNED] = -0.01


def unknown(after):
    after[:, BURNED] = np.nan


@pytest.mark.parametrize(
    ("act", "words", "cells"),
    [
        (lambda after: 7, "the fallback failed for cells 101, 103: RuntimeError: .* returned 7", BEYOND),
        (infinite, "the fallback gave mean_pressure = inf for cell 103", [103]),
        (backwards, "the fallback gave burned_fraction = -0.01 for cell 101", [101]),
        (unknown, "the fallback gave burned_fraction = nan for cells 101, 103", BEYOND),
    ],
)
def test_its_failure_names_the_cells_and_changes_nothing(reacting, kit, act, words, cells):
    whole, out = kit.outputs(), kit.outputs()
    reacting.must(reacting.advance(whole))
    reacting.act = lambda after: act(after) or 0
    assert reacting.advance(out) == 3
    assert re.search("mld_advance: " + words, reacting.c.mld_message().decode())
    assert reacting.cells() == cells
    assert all((a == -7).all() for a in out.values())
    reacting.act = None
    reacting.must(reacting.advance(out))
    assert all(np.array_equal(out[n], whole[n], equal_nan=True) for n in out)
    reacting.must(reacting.c.mld_commit(reacting.closure))


def test_it_cannot_call_its_own_closure(reacting, kit):
    said, c = [], reacting.c
    time = ctypes.c_double()

    def call_back(_):
        copy = ctypes.c_void_p(reacting.closure.value)
        for call in (
            lambda: c.mld_dt_max(copy, ctypes.byref(time)),
            lambda: c.mld_rollback(copy),
            lambda: c.mld_close(ctypes.byref(copy)),
        ):
            said.append((call(), c.mld_message()))
        return 0

    reacting.act = call_back
    out = kit.outputs()
    reacting.must(reacting.advance(out))
    assert c.mld_message() == b""
    assert [error for error, _ in said] == [2, 2, 2]
    assert all(b"called from a fallback" in sentence for _, sentence in said)
    reacting.act = None
    reacting.must(c.mld_commit(reacting.closure))
    assert out["burned_fraction"][1] > 0


def test_a_policy_needs_a_fallback(bridge, bundle):
    with pytest.raises(bridge.Error) as caught:
        bridge.Closure(str(bundle), BY_POLICY)
    assert caught.value.name == "MLD_E_ARGUMENT"
    assert "no fallback was given" in str(caught.value)


def test_header_names_its_columns(kit):
    header = (kit.ROOT / "cpp_bridge/include/mld_closure/closure.h").read_text()
    columns = re.findall(r"MLD_COLUMN_(\w+) = (\d)", header)
    assert [(name.lower(), int(number)) for name, number in columns] == [(n, k) for k, n in enumerate(NAMES)]
    assert f"MLD_FALLBACK_QUANTITIES = {COLUMNS}\n" in header
