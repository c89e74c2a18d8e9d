"""Loads: the DNS's Hugoniot and frame 0, bit for bit at the table's speeds and nearly so between them."""

import functools

import numpy as np
import pytest
import torch

from mld_closure.dns.cases import PRESETS, record, with_changes
from mld_closure.dns.eos import Material
from mld_closure.dns.exact import shock_from_piston, shock_from_pressure
from mld_closure.dns.kinetics import Kinetics
from mld_closure.dns.load_table import load_table
from mld_closure.dns.loading import shocked_solver
from mld_closure.dns.microstructure import Ellipse, solid_fraction
from mld_closure.fields import FIELDS
from mld_closure.models.bundle import Bundle, BundleError
from mld_closure.models.dynamics import MesoDynamics, MicroDynamics
from mld_closure.models.settings import ModelConfig
from mld_closure.surrogate.frame0 import EXTRA, LoadTable

M = Material()
PIXEL = 50e-9


@functools.lru_cache
def table():
    return LoadTable.from_arrays(load_table((800.0, 850.0, 900.0), PIXEL))


def body(shape=(32, 96)):
    return solid_fraction(shape, [Ellipse(60.0, 14.0, 18.0, 0.7, 0.4), Ellipse(84.0, 25.0, 9.0)])


def test_frame0_is_that_of_a_dns_case_bit_for_bit():
    case = with_changes(PRESETS["micro"], shape=(32, 96), frames=2)
    movie, _ = record(body(), 850.0, case)
    got = table().frame0(body()[None], np.array([850.0]), tuple(FIELDS))[0]
    for i, name in enumerate(FIELDS):
        np.testing.assert_array_equal(got[i], movie[name][0], err_msg=name)


@pytest.mark.parametrize("up", [800.0, 900.0])
def test_frame0_at_the_ends_of_the_table(up):
    wanted = shocked_solver(body(), up, PIXEL, M, Kinetics()).fields()
    got = table().frame0(body()[None].astype(np.float32), np.array([up]), ("temperature", "pressure"))[0]
    np.testing.assert_array_equal(got[0], wanted["temperature"].astype(np.float32))
    np.testing.assert_array_equal(got[1], wanted["pressure"].astype(np.float32))


def test_frame0_between_speeds_is_near_the_dns():
    wanted = shocked_solver(body(), 825.0, PIXEL, M, Kinetics()).fields()
    both = table().frame0(np.stack([body(), body()]), np.array([800.0, 825.0]), ("temperature", "pressure"))
    assert np.abs(both[1, 0] - wanted["temperature"]).max() < 1.0
    assert np.abs(both[1, 1] - wanted["pressure"]).max() < 0.02e9
    assert np.abs(both[0, 1] - wanted["pressure"]).max() > 0.2e9  # the other load is another frame


def test_voids_where_the_shock_enters_are_filled():
    mu = solid_fraction((32, 96), [Ellipse(20.0, 16.0, 12.0), Ellipse(60.0, 14.0, 18.0)])
    solid = solid_fraction((32, 96), [Ellipse(60.0, 14.0, 18.0)])
    a, b = (
        table().frame0(m[None], np.array([850.0]), ("temperature", "microstructure")) for m in (mu, solid)
    )
    np.testing.assert_array_equal(a, b)


def test_pressure_load_is_the_hugoniot_state_of_equal_pressure():
    speeds = np.array([800.0, 813.0, 850.0, 871.0, 900.0])
    p = np.array([shock_from_piston(up, M).p for up in speeds])
    got = table().piston_speed("pressure", p)
    np.testing.assert_allclose(got, [shock_from_pressure(v, M).up for v in p], rtol=2e-5)
    np.testing.assert_allclose(table().shock_pressure(got), p, rtol=1e-12)
    np.testing.assert_allclose(table().shock_speed(got[:1]), shock_from_piston(800.0, M).us, rtol=1e-9)


def test_the_incoming_wave_needs_a_velocity():
    with pytest.raises(ValueError, match="needs the velocity"):
        table().piston_speed("incoming wave", np.full(3, 5e9))


def test_incoming_wave_reaches_the_state_it_leaves():
    """A wave P_i, us meets softer material: 2 P_i = p + rho0 us u on the reflected characteristic."""
    up = np.array([810.0, 860.0, 899.0])
    us = table().shock_speed(up)
    incoming = M.rho0 * us * up
    u = up * 1.2
    p = 2 * incoming - M.rho0 * us * u
    np.testing.assert_allclose(table().piston_speed("incoming wave", p, u), up, rtol=1e-9)
    same = table().piston_speed("incoming wave", incoming, up)  # the same material: nothing is reflected
    np.testing.assert_allclose(same, table().piston_speed("pressure", incoming), rtol=1e-9)


def test_loads_outside_the_table_are_told_from_its_ends():
    low, high = table().piston_speed("pressure", np.array([1e8, 90e9]))
    assert low < 800
    assert high > 900
    frames = table().frame0(np.stack([body()] * 2), np.array([900.0, high]), ("pressure",))
    np.testing.assert_array_equal(frames[0], frames[1])


def test_compression_is_the_hugoniots():
    shock = shock_from_piston(850.0, M)
    np.testing.assert_allclose(table().compression(np.array([0.0, shock.p])), [1.0, shock.rho / M.rho0])


def bundle(**changes):
    torch.manual_seed(0)
    micro = MicroDynamics(ModelConfig(base=2))
    facts = {"pixel": PIXEL, "micro_step": 1e-10, "horizon": 4, "load_range": (500.0, 1400.0)}
    return Bundle(micro, MesoDynamics.from_micro(micro), **facts | changes)


def test_the_bundle_carries_the_table(tmp_path):
    made = bundle(extras={EXTRA: table().to_extra()})
    made.save(tmp_path / "b")
    got = LoadTable.from_bundle(Bundle.load(tmp_path / "b"))
    assert got.profile_fields == table().profile_fields
    up = np.array([833.0])
    np.testing.assert_array_equal(
        got.frame0(body()[None], up, tuple(FIELDS)), table().frame0(body()[None], up, tuple(FIELDS))
    )
    assert got.front_column == 32


def test_unusable_tables_are_named():
    with pytest.raises(BundleError, match="holds no load table"):
        LoadTable.from_bundle(bundle())
    with pytest.raises(BundleError, match="pixels of 5e-08 m, bundle for 1e-07 m"):
        LoadTable.from_bundle(bundle(pixel=1e-7, extras={EXTRA: table().to_extra()}))
    arrays = load_table((800.0, 900.0), PIXEL)
    with pytest.raises(ValueError, match="increasing"):
        LoadTable.from_arrays(arrays | {"up": arrays["up"][::-1]})
    with pytest.raises(ValueError, match="p = rho0 us up"):
        LoadTable.from_arrays(arrays | {"p": arrays["p"] * 1.1})
