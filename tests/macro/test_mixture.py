"""The equation of state of partly burned cells: equilibrium found, limits of one material, clear errors."""

import numpy as np
import pytest

from mld_closure.dns import eos
from mld_closure.dns.eos import Material, constants
from mld_closure.macro import exact
from mld_closure.macro.mixture import FEW, MOST, mixture_row, mixture_state, solid_entropy

M = Material(kappa=0.0)


def test_the_phases_share_one_pressure_and_make_up_the_cell():
    rng = np.random.default_rng(5)
    n = 3000
    rho, e = rng.uniform(1500, 3000, n), rng.uniform(0.5e6, 7e6, n)
    lam, A = rng.uniform(FEW, MOST, n), rng.uniform(0, 6e5, n)
    s = mixture_state(rho, e, lam, A, M)
    v_s = 1 / s.solid_density
    v_p = (1 / rho - (1 - lam) * v_s) / lam
    x = s.solid_density / M.rho0
    e_s = M.K / (M.n * M.rho0) * (x ** (M.n - 1) / (M.n - 1) + 1 / x - M.n / (M.n - 1)) + A * x**M.G
    e_p = (e - (1 - lam) * e_s) / lam
    p_s, p_p = eos.mie_gruneisen(1 / v_s, e_s, M), eos.mie_gruneisen(1 / v_p, e_p, M)
    assert v_p.min() > 0
    assert np.abs(p_s - p_p).max() < 1e-6 * np.abs(p_s).max()
    assert s.pressure == pytest.approx(np.maximum(p_s, 0), abs=1)
    assert (s.pressure > 0).mean() > 0.8


@pytest.mark.parametrize("lam", [0.0, 0.0019, 0.9981, 1.0])
def test_outside_the_range_a_cell_is_one_material(lam):
    rho, e = np.array([1700.0, 2100.0, 2500.0]), np.array([0.0, 1e6, 4e6])
    s = mixture_state(rho, e, lam, 7e5, M)
    assert s.pressure == pytest.approx(eos.pressure(rho, e, M), rel=1e-12)
    assert s.sound_speed == pytest.approx(eos.sound_speed(rho, e, M), rel=1e-12)
    assert s.solid_density.tolist() == pytest.approx(rho.tolist())


def test_phases_alike_are_one_material_at_any_share():
    """Where products have the entropy of the solid the mixture is that solid."""
    A = 4e5
    v = exact.phase_volume(8e9, A, M)
    p, e = exact.phase(v, A, M)
    s = mixture_state(1 / v, e, np.array([0.01, 0.3, 0.9]), A, M)
    assert s.pressure == pytest.approx(p, rel=1e-10)
    assert s.sound_speed == pytest.approx(eos.sound_speed(np.float64(1 / v), np.float64(e), M), rel=1e-10)


def test_two_phases_press_harder_than_the_uniform_mean():
    rho, e, A = 2100.0, 1.5e6, 1.9e5
    two = mixture_state(rho, e, 0.25, A, M).pressure
    assert 1.1 < two / eos.pressure(np.float64(rho), np.float64(e), M) < 1.5


def test_expanded_cells_lose_their_pressure_and_keep_a_wave_speed():
    s = mixture_state(np.array([50.0, 300.0, 900.0]), 1e6, 0.5, 1e5, M)
    assert s.pressure.tolist() == [0, 0, 0]
    assert s.sound_speed.min() >= M.cmin


def test_no_equilibrium_names_cell_and_state():
    rho = np.array([2000.0, 5000.0, 2000.0])
    with pytest.raises(
        FloatingPointError, match=r"in cell 1: rho = 5000 kg/m3, e = 2e\+06.*lam = 0.01, A = 1"
    ):
        mixture_state(rho, 2e6, 0.01, 100000.0, M)
    with pytest.raises(FloatingPointError, match="e = nan"):
        mixture_state(2000.0, np.nan, 0.3, 1e5, M)


def test_a_row_fills_what_it_is_given_and_shapes_broadcast():
    p, c2, x = np.zeros((3, 2))
    rho, e, lam, A = np.array([[2000.0, 2200], [1e6, 2e6], [0.0, 0.4], [0.0, 1e5]])
    assert mixture_row(rho, e, lam, A, p, c2, x, constants(M)) == -1
    assert p.tolist() == mixture_state(rho, e, lam, A, M).pressure.tolist()
    assert mixture_state(rho[:, None], e, 0.3, 1e5, M).pressure.shape == (2, 2)


def test_entropy_is_what_the_isentrope_keeps():
    A = 3e5
    for p in (1e9, 5e9, 20e9):
        v = exact.phase_volume(p, A, M)
        assert solid_entropy(1 / v, exact.phase(v, A, M)[1], M) == pytest.approx(A, rel=1e-12)
    assert solid_entropy(1710.0, 0.0, M) == 0  # porous at rest
