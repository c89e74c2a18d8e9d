"""The compiled equation of state against the plain one, and against thermodynamics."""

import numpy as np
import pytest

from mld_closure.dns import eos
from mld_closure.dns.eos import Material, constants
from mld_closure.dns.exact import shock_from_piston, shock_from_pressure

M = Material()


@pytest.mark.parametrize("n", [2, 5, 9, 16])
def test_integer_power(n):
    x = np.array([0.8, 1.0, 1.3])
    assert np.allclose([eos.power(v, n - 1, 1.0) for v in x], x ** (n - 1), rtol=1e-14)


def test_compiled_temperature_follows_the_formula():
    c = constants(M)
    rng = np.random.default_rng(0)
    for rho, e in zip(rng.uniform(1500, 3600, 200), rng.uniform(0, 8e6, 200), strict=True):
        x = rho / M.rho0
        pc, ec, _ = eos.cold(x, 1 / x, c)
        T = eos.temperature_from_cold(x, rho, e, pc, ec, c)
        assert abs(T / float(eos.temperature(rho, e, M)) - 1) < 1e-9


def test_temperature_fit_is_exact_at_rest():
    c = constants(M)
    pc, ec, _ = eos.cold(1.0, 1.0, c)
    assert eos.temperature_from_cold(1.0, M.rho0, 0.0, pc, ec, c) == M.T0


def test_cold_energy_is_the_integral_of_cold_pressure():
    rho = np.linspace(1900, 3000, 20001)
    pc, ec = eos._cold_arrays(rho, M)
    work = np.concatenate(
        [[0], np.cumsum(0.5 * (pc[1:] / rho[1:] ** 2 + pc[:-1] / rho[:-1] ** 2) * np.diff(rho))]
    )
    assert np.abs(ec - work).max() < 1e-6 * ec.max()


def test_energy_inverts_pressure():
    rho, p = np.linspace(1950, 2600, 30), 12e9
    assert np.allclose(eos.pressure(rho, eos.energy(rho, p, M), M), p, rtol=1e-13)


def test_pressure_is_never_negative():
    assert eos.pressure(np.array([1.9, 1000.0, 1890.0]), np.zeros(3), M).max() == 0


@pytest.mark.parametrize("up", [300.0, 900.0, 1500.0])
def test_shock_satisfies_the_jump_conditions(up):
    s = shock_from_piston(up, M)
    assert s.rho * (s.us - s.up) == pytest.approx(M.rho0 * s.us, rel=1e-10)
    assert s.p == pytest.approx(M.rho0 * s.us * s.up, rel=1e-12)
    assert float(eos.pressure(np.float64(s.rho), np.float64(s.e), M)) == pytest.approx(s.p, rel=1e-9)
    assert shock_from_pressure(s.p, M).up == pytest.approx(up, rel=1e-9)


@pytest.mark.parametrize("change", [{"n": 1}, {"n": 17}, {"rho0": -1.0}, {"kappa": -2.0}])
def test_impossible_material_is_refused(change):
    with pytest.raises(ValueError, match=str(next(iter(change.values())))):
        Material(**change)
