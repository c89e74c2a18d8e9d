"""Compaction of porous slabs: the exact Hugoniot, and the captured shock against it."""

import numpy as np
import pytest

from mld_closure.dns.eos import Material, pressure
from mld_closure.dns.exact import chapman_jouguet, shock_from_piston
from mld_closure.dns.loading import shock_front
from mld_closure.macro.porous import detonation_speed, greatest_porosity, porous_shock
from mld_closure.macro.problems import MacroCase, start

M = Material()


@pytest.mark.parametrize("porosity", [0.0, 0.1, 0.3])
def test_the_jump_conditions_hold(porosity):
    s, rho00 = porous_shock(900.0, porosity, M), M.rho0 * (1 - porosity)
    assert rho00 * s.us == pytest.approx(s.rho * (s.us - s.up), rel=1e-12)  # mass
    assert s.p == pytest.approx(rho00 * s.us * s.up, rel=1e-12)  # momentum
    assert s.e == pytest.approx(0.5 * s.up**2, rel=1e-12)  # energy, from rest at p = 0
    assert pressure(np.float64(s.rho), np.float64(s.e), M) == pytest.approx(s.p, rel=1e-9)


def test_without_pores_it_is_the_shock_of_the_solid():
    solid, porous = shock_from_piston(900.0, M), porous_shock(900.0, 0.0, M)
    assert (porous.us, porous.p, porous.T) == pytest.approx((solid.us, solid.p, solid.T), rel=1e-12)


def test_a_weak_shock_is_a_snow_plough():
    s = porous_shock(1.0, 0.2, M)
    assert s.rho == pytest.approx(M.rho0, rel=1e-5)
    assert s.us == pytest.approx(1.0 / 0.2, rel=1e-3)  # the front runs ahead as far as the pores allow


@pytest.mark.parametrize(
    ("drive", "up", "porosity"),
    [("wall", 500, 0.05), ("wall", 900, 0.1), ("wall", 800, 0.3), ("inflow", 900, 0.1), ("inflow", 800, 0.5)],
)
def test_captured_compaction_shock(drive, up, porosity):
    n = 200
    case = MacroCase(cells=n, piston_speed=up, porosity=porosity, drive=drive)
    run, exact = start(case), porous_shock(up, porosity, M)
    frame = up if drive == "wall" else 0.0
    times, fronts = np.array([0.45, 0.85]) * case.length / (exact.us - frame), []
    for t in times:
        run.run(t)
        fronts.append(shock_front(run.fields()["pressure"][0], 0.5 * exact.p) * case.cell_size)
    behind = slice(n // 2, int(0.8 * n))
    f = {name: float(a[0, behind].mean()) for name, a in run.fields().items()}
    assert np.diff(fronts)[0] / np.diff(times)[0] + frame == pytest.approx(exact.us, rel=1e-3)
    assert f["pressure"] == pytest.approx(exact.p, rel=1e-3)
    assert f["density"] == pytest.approx(exact.rho, rel=1e-4)
    assert f["temperature"] == pytest.approx(exact.T, rel=1e-3)
    assert f["velocity_x"] + frame == pytest.approx(up, rel=1e-3)


def test_the_material_ahead_of_the_shock_stays_at_rest_and_pressureless():
    case = MacroCase(cells=100, piston_speed=800, porosity=0.2)
    run = start(case)
    run.run(0.4 * case.length / (porous_shock(800, 0.2, M).us - 800))
    f = {name: a[0, 60:] for name, a in run.fields().items()}
    assert np.abs(f["pressure"]).max() == 0
    assert np.abs(f["velocity_x"] + 800).max() < 1e-9
    assert np.abs(f["density"] / (0.8 * M.rho0) - 1).max() < 1e-12


def test_shocks_that_do_not_exist_are_refused():
    with pytest.raises(ValueError, match=r"from 0 to below 0\.645"):
        porous_shock(900.0, greatest_porosity(M), M)
    with pytest.raises(ValueError, match="positive, got 0"):
        porous_shock(0.0, 0.1, M)


def test_without_pores_the_detonation_is_that_of_the_solid_and_pores_slow_it_down():
    m, heat = M, 4e6
    assert detonation_speed(0.0, heat, m) == pytest.approx(chapman_jouguet(m, heat)[0], rel=1e-5)
    assert detonation_speed(0.2, heat, m) < detonation_speed(0.1, heat, m) < detonation_speed(0.0, heat, m)
