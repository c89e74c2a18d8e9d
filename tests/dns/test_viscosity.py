"""Viscosity: exact rates of decay, thickness of a shock, conservation, and what it leaves alone."""

from dataclasses import replace

import numpy as np
import pytest

from mld_closure.dns import eos, viscosity
from mld_closure.dns.eos import Material
from mld_closure.dns.kinetics import Kinetics
from mld_closure.dns.solver import Boundaries, Solver, conserved
from mld_closure.dns.viscous_problems import shear_error, shock_thickness, sound_error, swirl_error
from mld_closure.grids import Grid

INERT = Kinetics(Z=0.0)
M = Material(kappa=0.0, active=0.3, viscosity=1.0)
AROUND = Boundaries("periodic", "periodic", "periodic", "periodic")
CLOSED = Boundaries("mirror", "mirror", "mirror", "mirror")


def body(ny, nx, seed=0):
    """Uneven material with a void in it, (5, ny, nx)."""
    rng = np.random.default_rng(seed)
    W = np.zeros((5, ny, nx))
    W[0], W[3] = rng.uniform(1500, 2500, (ny, nx)), rng.uniform(1e6, 2e6, (ny, nx))
    W[1:3] = rng.uniform(-300, 300, (2, ny, nx))
    W[4] = rng.random((ny, nx))
    W[0, ny // 4 : ny // 2, nx // 4 : nx // 2] = M.rho_void
    return W


def one_step(W, number, boundaries=AROUND, material=M):
    """Conserved variables before and after one substep of nu dt / dx^2 = number."""
    run = Solver(Grid(*W.shape[1:], 1e-7), W, material=material, kinetics=INERT, boundaries=boundaries)
    before = run.interior.copy()
    run._fill(run._U)
    viscosity.viscous_step(run._U, number, run._W, run._F, run._c)
    return before, run.interior.copy()


@pytest.mark.parametrize("error", [shear_error, swirl_error, sound_error])
def test_waves_decay_at_the_exact_rate_with_second_order(error):
    coarse, fine = error(32), error(64)
    assert abs(fine) < 0.03
    assert np.log2(abs(coarse / fine)) > 1.8


def test_a_shock_is_as_thick_as_the_stress_makes_it():
    measured, exact = shock_thickness(700.0, 50e-9, 1.0)
    assert measured == pytest.approx(exact, rel=0.03)
    assert exact > 10 * 50e-9  # resolved


@pytest.mark.parametrize("boundaries", [AROUND, CLOSED])
def test_momentum_and_energy_are_kept(boundaries):
    before, after = one_step(body(12, 17), 0.2, boundaries)
    assert np.abs(after - before).max() > 0
    kept = [3] if boundaries is CLOSED else [1, 2, 3]
    for v in kept:
        size = np.abs(before[v]).sum()
        assert abs(after[v].sum() - before[v].sum()) < 1e-14 * size
    assert np.array_equal(after[[0, 4]], before[[0, 4]])


def test_lost_motion_is_heat():
    W = body(12, 17)
    W[0] = 2200.0
    before, after = one_step(W, 0.05)
    kinetic = [0.5 * (U[1] ** 2 + U[2] ** 2) / U[0] for U in (before, after)]
    assert kinetic[1].sum() < 0.8 * kinetic[0].sum()
    heat = (after[3] - kinetic[1]) - (before[3] - kinetic[0])
    assert heat.sum() == pytest.approx(kinetic[0].sum() - kinetic[1].sum(), rel=1e-9)


def test_voids_feel_no_stress_and_give_none():
    W = body(12, 17)
    calm, wild = W.copy(), W.copy()
    void = W[0] < 10.0
    calm[1:3, void], wild[1:3, void] = 0.0, 2000.0
    (b0, a0), (b1, a1) = one_step(calm, 0.2), one_step(wild, 0.2)
    assert np.array_equal(a0[:, ~void], a1[:, ~void])
    assert np.array_equal(a0[:, void], b0[:, void])
    assert np.array_equal(a1[:, void], b1[:, void])


def test_rigid_rotation_and_translation_feel_nothing():
    y, x = np.mgrid[:16, :16] - 7.5
    W = np.zeros((5, 16, 16))
    W[0], W[3], W[1], W[2] = 2200.0, 1e6, 40.0 - 3 * y, 20.0 + 3 * x
    before, after = one_step(W, 0.2, Boundaries("copy", "copy", "copy", "copy"))
    inner = np.s_[:, 2:-2, 2:-2]
    assert np.allclose(after[inner], before[inner], rtol=1e-13)


def test_x_and_y_are_treated_alike():
    W = body(14, 14)
    _before, after = one_step(W, 0.2)
    _, turned = one_step(W.transpose(0, 2, 1)[[0, 2, 1, 3, 4]], 0.2)
    assert np.allclose(turned.transpose(0, 2, 1)[[0, 2, 1, 3, 4]], after, rtol=1e-12, atol=1e-6)


@pytest.mark.parametrize("limit", [0.3, 2.4])
def test_steps_above_the_limit_are_cut(limit):
    """The highest mode decays and does not grow, whatever the viscosity."""
    strong = replace(M, viscosity=limit * M.rho0 * 1e-14 / 5e-12)
    W = np.zeros((5, 16, 16))
    W[0], W[3] = 2200.0, 1e6
    W[1] = np.where(np.indices((16, 16)).sum(axis=0) % 2, 1e-3, -1e-3)
    run = Solver(Grid(16, 16, 1e-7), W, material=strong, kinetics=INERT, boundaries=AROUND)
    run._add_viscosity(5e-12)
    assert np.abs(run.primitive()[1]).max() < 1e-3
    assert viscosity.substeps(0.2) == 1
    assert viscosity.substeps(2.4) == 12


def test_without_viscosity_nothing_changes_and_with_it_things_do():
    W = body(12, 17)
    runs = {}
    for mu in (0.0, 1.0):
        run = Solver(
            Grid(12, 17, 1e-7), W, material=replace(M, viscosity=mu), kinetics=INERT, boundaries=AROUND
        )
        run.run(5e-12)
        runs[mu] = run.interior.copy()
    plain = Material(kappa=0.0, active=0.3)
    assert plain.viscosity is None
    run = Solver(Grid(12, 17, 1e-7), W, material=plain, kinetics=INERT, boundaries=AROUND)
    run._add_viscosity = None  # not called
    run.run(5e-12)
    assert np.array_equal(runs[0.0], run.interior)
    assert not np.allclose(runs[1.0], runs[0.0], rtol=1e-3)


def test_a_grid_in_two_halves_gives_the_same_bits():
    W, n, half = body(24, 12), 24, 12
    whole = Solver(Grid(n, 12, 1e-7), W, material=M, kinetics=INERT, boundaries=AROUND)

    def exchange(state):
        """Put the rows beside this half in; both halves are at the same stage."""
        me = 0 if state is now[0] else 1
        other = now[1 - me]
        state[:, :2] = other[:, half : half + 2]
        state[:, half + 2 :] = other[:, 2:4]

    now = [np.zeros((5, half + 4, 16)) for _ in range(2)]
    for k in range(2):
        now[k][:, 2:-2, 2:-2] = conserved(W[:, k * half : (k + 1) * half])
        now[k][:, :, :2], now[k][:, :, -2:] = now[k][:, :, -4:-2], now[k][:, :, 2:4]
    for state in now:
        exchange(state)
    c = eos.constants(M)
    for state in now:
        work = np.zeros((3, 5, 16)), np.zeros((3, 5, 16))
        viscosity.viscous_step(state, 0.17, *work, c)
    whole._fill(whole._U)
    viscosity.viscous_step(whole._U, 0.17, whole._W, whole._F, whole._c)
    for k in range(2):
        assert np.array_equal(now[k][:, 2:-2, 2:-2], whole.interior[:, k * half : (k + 1) * half])


def test_negative_viscosity_is_refused():
    with pytest.raises(ValueError, match="viscosity must not be negative, got -1"):
        Material(viscosity=-1.0)
