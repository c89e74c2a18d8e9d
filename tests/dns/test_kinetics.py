"""The rate limit that grows with pressure, the density rule, and the first rules as they were."""

from dataclasses import replace

import numpy as np
import pytest

from mld_closure.config import from_dict, to_dict
from mld_closure.dns import eos
from mld_closure.dns.cases import PRESETS, CaseConfig, simulate_case
from mld_closure.dns.eos import Material, constants
from mld_closure.dns.exact import adiabatic_burn_time, energy_at_temperature
from mld_closure.dns.kinetics import PACES, Kinetics, PressureLimit, burn, paced, rates
from mld_closure.dns.loading import line_solver
from mld_closure.dns.solver import Boundaries

M, K = paced("K1")
FIRST = {  # mean and greatest value of the last frame
    "temperature": (788.6166754861673, 3298.321044921875),
    "pressure": (12810561872.833334, 19280117760.0),
    "reaction_progress": (0.05330486914028467, 0.999961793422699),
    "density": (2392.891234189272, 2535.232666015625),
}
SIDES = Boundaries("copy", "copy", "copy", "copy")


@pytest.mark.parametrize("n", [0.0, 1.0, 1.7])
@pytest.mark.parametrize("rho", [1500.0, 2000.0, 2600.0])
def test_hot_material_burns_at_the_rate_of_its_pressure(n, rho):
    k = replace(K, limit=PressureLimit(6e8, n))
    e, dt = energy_at_temperature(2500.0, rho, M), 1e-13  # where Arrhenius is far above the limit
    p = float(eos.pressure(np.float64(rho), np.float64(e), M))
    _, lam = burn(rho, e, 0.0, dt, constants(M), rates(k))
    assert lam / dt == pytest.approx(6e8 * (p / 10e9) ** n, rel=1e-3)


def test_the_rate_never_exceeds_kmax():
    k = replace(K, kmax=1e8)
    e = energy_at_temperature(2500.0, 2400.0, M)
    _, lam = burn(2400.0, e, 0.0, 1e-12, constants(M), rates(k))
    assert lam == pytest.approx(1e8 * 1e-12, rel=1e-3)


def test_burning_with_a_pressure_limit_follows_the_quadrature():
    rho, e = 2300.0, energy_at_temperature(1400.0, 2300.0, M)
    lam, t, dt, c, k = 0.0, 0.0, 5e-12, constants(M), rates(K)
    while lam < 0.5:
        before = lam
        e, lam = burn(rho, e, lam, dt, c, k)
        t += dt
    t -= dt * (lam - 0.5) / (lam - before)
    assert t == pytest.approx(adiabatic_burn_time(1400.0, rho, 0.5, M, K), rel=0.02)
    unlimited = adiabatic_burn_time(1400.0, rho, 0.5, M, replace(K, limit=None))
    assert t > 2 * unlimited


def burned_after(rho, e, material, kinetics=K):
    state = np.zeros((5, 8))
    state[0], state[3] = rho, e
    run = line_solver(state, 50e-9, material, kinetics, boundaries=SIDES)
    run.run(0.05e-9)
    return float(run.primitive()[4].mean())


@pytest.mark.parametrize("material", [M, replace(M, active=None)])
def test_light_products_react_by_the_new_rule_alone(material):
    rho, e = 0.6 * M.rho0, 5e6
    assert eos.pressure(np.float64(rho), np.float64(e), M) > 1e9
    assert (burned_after(rho, e, material) > 1e-4) == (material.active is not None)


@pytest.mark.parametrize("rho", [0.29, 0.31])
def test_nothing_reacts_below_the_active_density(rho):
    assert (burned_after(rho * M.rho0, 8e6, M) > 0) == (rho > 0.3)


def test_nothing_reacts_without_pressure():
    rho, e = 0.5 * M.rho0, 1.8e6
    assert eos.mie_gruneisen(np.float64(rho), np.float64(e), M) < 0
    assert eos.temperature(np.float64(rho), np.float64(e), M) > 1200
    flat = replace(K, limit=None)
    assert burned_after(rho, e, M, flat) == 0
    assert burned_after(0.5 * M.rho0, 6e6, M, flat) > 0


def heat_conducted(rho, e, material):
    """Change of energy beside a hot cell in one step's conduction, with the flow held off."""
    state = np.zeros((5, 9))
    state[0], state[3] = rho, e
    state[3, 4] *= 1.02
    run = line_solver(state, 50e-9, material, Kinetics(Z=0.0), boundaries=SIDES)
    still = line_solver(state, 50e-9, replace(material, kappa=0.0), Kinetics(Z=0.0), boundaries=SIDES)
    dt = 1e-14
    run.step(dt)
    still.step(dt)
    return float((run.primitive() - still.primitive())[3, 0, 3])


def test_light_products_conduct_by_the_new_rule_alone():
    assert heat_conducted(0.6 * M.rho0, 5e6, M) > 1.0
    assert heat_conducted(0.6 * M.rho0, 5e6, replace(M, active=None)) == 0
    assert heat_conducted(0.25 * M.rho0, 5e6, M) == 0
    assert heat_conducted(0.5 * M.rho0, 1.8e6, M) == 0  # no pressure


def test_temperature_of_light_active_material_follows_the_formula():
    c = constants(M)
    for x in np.linspace(0.3, 2.0, 40):
        rho, e = x * M.rho0, 6e6
        pc, ec, _ = eos.cold(x, 1 / x, c)
        T = eos.temperature_from_cold(x, rho, e, pc, ec, c)
        assert float(eos.temperature(rho, e, M)) == pytest.approx(T, rel=3e-6)


def test_pace_scales_conductivity_and_rate_together():
    slow_m, slow_k = paced(replace(PACES["K1"].slower(4.0), n=2.0))
    assert slow_m.kappa == pytest.approx(M.kappa / 4)
    assert slow_k.limit == PressureLimit(1.5e8, 2.0)
    with pytest.raises(ValueError, match="ratio must be positive"):
        PACES["K1"].slower(0.0)
    with pytest.raises(ValueError, match="k10"):
        PressureLimit(0.0)
    with pytest.raises(ValueError, match=r"from 0\.05 to 1"):
        Material(active=1.2)


def test_first_presets_are_described_as_before():
    """A description that has gained a key would refuse to resume the files of earlier campaigns."""
    for kind in ("micro", "meso"):
        config = to_dict(PRESETS[kind])
        assert "wall" not in config
        assert not {"active", "viscosity"} & set(config["material"])
        assert "limit" not in config["kinetics"]
        assert "gap_share" not in config["pack"]
        assert from_dict(CaseConfig, config) == PRESETS[kind]


def test_first_rules_give_the_first_data():
    """Numbers of the first version of the solver."""
    small = CaseConfig(
        "micro", (96, 128), frames=8, frame_interval=0.25e-9, diameter=(20.0, 28.0), up=(900.0, 1300.0)
    )
    movie, scalars, _ = simulate_case(small, 4, 0)
    assert scalars["piston_speed"] == pytest.approx(1277.222442228947, rel=1e-14)
    for name, values in FIRST.items():
        measured = (movie[name][-1].mean(dtype=float), movie[name][-1].max())
        assert measured == pytest.approx(values, rel=1e-6), name
