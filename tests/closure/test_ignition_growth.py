"""Ignition and growth: quadrature, exact solutions, and independence of how a step is split."""

import numpy as np
import pytest

from mld_closure.closure.fallback.ignition_growth import IgnitionGrowth, PressureIgnitionGrowth


def time_to_burn(constants, to, p):
    """Quadrature of dF/(dF/dt) from 0; F = s^3 takes the endpoint singularity of F^(2/3) away."""
    s = np.linspace(0, to ** (1 / 3), 200_001)
    F = s**3
    return float(np.trapezoid(3 * s**2 / rate(constants, F, p), s))


def rate(constants, F, p):
    """dF/dt as the formula has it."""
    k = constants
    push = k.ignition * ((p - k.p_start) / k.p_ref) ** k.x
    return (1 - F) ** k.c * (push + k.growth * F**k.d * (p / k.p_ref) ** k.y)


@pytest.mark.parametrize("p", [2e9, 6e9, 20e9])
@pytest.mark.parametrize(
    "constants", [PressureIgnitionGrowth(), PressureIgnitionGrowth(c=1.5, d=0.5, x=1, y=2)]
)
@pytest.mark.parametrize(("substep", "error"), [(0.01, 3e-4), (5e-4, 1e-6)])
def test_ignition_and_growth_against_quadrature(constants, p, substep, error):
    for to in (0.05, 0.5, 0.95):
        law = constants.law(substep)
        F, found = law.advance(np.zeros(1), np.array([p]), time_to_burn(constants, to, p))
        assert F[0] == pytest.approx(to, abs=error)
        assert found[0] == pytest.approx(rate(constants, F[0], p), rel=1e-12)


def test_splitting_a_step_changes_nothing_but_the_integration_error():
    law, p = PressureIgnitionGrowth().law(), np.array([3e9, 9e9])
    whole, _ = law.advance(np.zeros(2), p, 10e-9)
    F = np.zeros(2)
    for part in (1e-9, 4e-9, 0.5e-9, 4.5e-9):
        F, _ = law.advance(F, p, part)
    assert pytest.approx(whole, abs=5e-5) == F


def test_no_burning_below_the_start_and_none_beyond_one():
    law = PressureIgnitionGrowth().law()
    F, rate = law.advance(np.array([0.4, 0.0, 1.0]), np.array([1e9, 0.0, 9e9]), 1e-6)
    assert F.tolist() == [0.4, 0.0, 1.0]
    assert rate.tolist() == [0.0, 0.0, 0.0]
    F, _ = law.advance(np.zeros(1), np.array([30e9]), 1e-3)
    assert 0.999999 < F[0] <= 1


def test_a_cell_does_not_know_its_neighbours():
    law, p = PressureIgnitionGrowth().law(), np.linspace(1e9, 30e9, 7)
    together, _ = law.advance(np.zeros(7), p, 3e-9)
    alone = [law.advance(np.zeros(1), p[i : i + 1], 3e-9)[0][0] for i in range(7)]
    assert together.tolist() == alone


def test_each_cell_may_have_a_time_of_its_own():
    law, p, dt = PressureIgnitionGrowth().law(), np.full(3, 6e9), np.array([0.0, 1e-9, 4e-9])
    together, _ = law.advance(np.full(3, 0.1), p, dt)
    alone = [law.advance(np.array([0.1]), p[:1], t)[0][0] for t in dt]
    assert together.tolist() == alone
    assert together[0] == 0.1


def test_exponents_below_one_burn_out_in_a_finite_time():
    """dF/dt = k (1-F)^(1/3) has the exact solution 1 - (1 - 2 k t / 3)^(3/2)."""
    law = IgnitionGrowth(None, I=0.0, a=0.0, b=1.0, x=1.0, G1=1e8, c=1 / 3, d=0.0, y=1.0, p_ref=5e9)
    for t in (2e-9, 10e-9, 14.9e-9):
        F, _ = law.advance(np.zeros(1), np.array([5e9]), t)
        assert F[0] == pytest.approx(1 - (1 - 2e8 * t / 3) ** 1.5, abs=1e-6)
    assert law.advance(np.zeros(1), np.array([5e9]), 16e-9)[0][0] == pytest.approx(1.0, abs=1e-8)


def test_wrong_constants_are_named():
    with pytest.raises(ValueError, match="growth must not be negative"):
        PressureIgnitionGrowth(growth=-1.0)
    with pytest.raises(ValueError, match="p_ref must be positive"):
        PressureIgnitionGrowth(p_ref=0.0)
    with pytest.raises(ValueError, match="G1 must not be negative"):
        IgnitionGrowth(None, I=0.0, a=0.0, b=1.0, x=1.0, G1=-1.0, c=1.0, d=0.0, y=1.0)
