"""Every problem of `mld-closure verify macro` passes, and the command says so."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from mld_closure.cli import verify
from mld_closure.dns.solver import Boundaries
from mld_closure.grids import Grid
from mld_closure.macro import exact, verification
from mld_closure.macro.mixture_flow import MixtureFlow
from mld_closure.macro.verification import COOL, HEAT, HMX, HOT, PROBLEMS, TUBE


@pytest.mark.parametrize("name", PROBLEMS)
def test_problem(name):
    checks = PROBLEMS[name]()
    failed = [f"{c.name}: {c.measured} for {c.expected}, {c.bound}" for c in checks if not c.passed]
    assert checks
    assert not failed, "\n".join(failed)


def test_the_command_prints_every_check_and_fails_with_one(monkeypatch):
    monkeypatch.setattr(verification, "PROBLEMS", {"replay": verification.replay})
    run = CliRunner().invoke(verify.command, ["macro", "--json"])
    assert run.exit_code == 0
    assert json.loads(run.stdout)["passed"]
    assert len(json.loads(run.stdout)["checks"]) == 2
    bad = verification.Check("wrong", 1.0, 2.0, 0.1)
    monkeypatch.setattr(verification, "PROBLEMS", {"bad": lambda full: [bad]})
    run = CliRunner().invoke(verify.command, ["macro"])
    assert run.exit_code == 1
    assert "FAIL" in run.stdout


def test_exact_shock_keeps_mass_momentum_and_energy():
    flux = 1.2 * COOL.softness(COOL.p) ** -0.5
    behind, u = exact.shock_behind(COOL, flux)
    dv = COOL.v - behind.v
    assert behind.p - COOL.p == pytest.approx(flux**2 * dv, rel=1e-7)
    assert u == pytest.approx(flux * dv, rel=1e-12)
    assert behind.e - COOL.e == pytest.approx(0.5 * (behind.p + COOL.p) * dv, rel=1e-6)
    assert behind.A > COOL.A


def test_a_mixture_carried_by_a_uniform_flow_keeps_its_bits_of_pressure():
    n = 40
    W = np.zeros((6, 1, n))
    W[0], W[1], W[3], W[4], W[5] = 1 / HOT.v, 900.0, HOT.e, HOT.lam, HOT.A
    run = MixtureFlow(Grid(1, n, 1e-6), W, heat=HEAT, material=HMX, boundaries=TUBE)
    run.run(20e-9)
    assert run.pressure == pytest.approx(HOT.p, rel=1e-10)
    assert run.primitive()[5] == pytest.approx(HOT.A, rel=1e-12)


@pytest.mark.parametrize("lam", [0.0, 0.0015, 0.4])
def test_one_entropy_everywhere_stays_one_in_a_smooth_flow(lam):
    """It rides on the mass flux where the solid burns, and is read from the energy less the early heat."""
    n, A = 16, 2e5
    y, x = (np.mgrid[:n, :n] + 0.5) / n
    p = 7e9 + 5e8 * np.sin(2 * np.pi * x) * np.cos(2 * np.pi * y)
    W = np.zeros((6, n, n))
    for cell, pressure in np.ndenumerate(p):
        if lam > 0.002:
            s = exact.Mixture(pressure, lam, A, 4e6, HMX)
            W[0][cell], W[3][cell] = 1 / s.v, s.e
        else:
            early = HEAT * lam * (HMX.rho0 * exact.phase_volume(7e9, A, HMX)) ** HMX.G
            v = exact.phase_volume(pressure, A + early, HMX)
            W[0][cell], W[3][cell] = 1 / v, exact.phase(v, A + early, HMX)[1]
    W[1], W[2] = 200 * np.sin(2 * np.pi * y), -200 * np.sin(2 * np.pi * x)
    W[4], W[5] = lam, A
    ring = Boundaries("periodic", "periodic", "periodic", "periodic")
    run = MixtureFlow(Grid(n, n, 6e-6), W, heat=HEAT, material=HMX, boundaries=ring, q1=0.0, q2=0.0)
    run.run(6e-9)
    assert np.ptp(run.pressure) > 1e8
    close = 1e-10 if lam > 0.002 else 2e-3  # of the energy, which is right to the order of the scheme
    assert run.primitive()[5] == pytest.approx(A, rel=close)


def test_a_flow_without_equilibrium_names_the_cell_at_the_next_step():
    W = np.zeros((6, 1, 8))
    W[0], W[3], W[4] = 2000.0, 1e6, 0.01
    run = MixtureFlow(Grid(1, 8, 1e-6), W, heat=HEAT, material=HMX, boundaries=TUBE)
    run.interior[0, 0, 3] = 6000.0
    run.refresh()
    with pytest.raises(FloatingPointError, match=r"in cell \(0, 3\): rho = 6000"):
        run.step()
