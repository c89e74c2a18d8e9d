"""Burn laws: exact solutions, quadrature, and independence of how a step is split."""

import numpy as np
import pytest

from mld_closure.macro.laws import GivenRate, IgnitionGrowth


def test_given_rate_is_exact_and_starts_at_its_pressure():
    F, rate = GivenRate(2e8, p_start=1e9).advance(
        np.array([0.0, 0.3, 0.3]), np.array([1e9, 2e9, 0.9e9]), 3e-9
    )
    exact = [1 - np.exp(-0.6), 1 - 0.7 * np.exp(-0.6), 0.3]
    assert pytest.approx(exact, rel=1e-14) == F
    assert rate == pytest.approx([2e8 * (1 - exact[0]), 2e8 * (1 - exact[1]), 0.0], rel=1e-14)


def time_to_burn(law, to, p):
    """Quadrature of dF/(dF/dt) from 0; F = s^3 takes the endpoint singularity of F^(2/3) away."""
    s = np.linspace(0, to ** (1 / 3), 200_001)
    F = s**3
    push = law.ignition * ((p - law.p_start) / law.p_ref) ** law.x
    w = (1 - F) ** law.c * (push + law.growth * F**law.d * (p / law.p_ref) ** law.y)
    return float(np.trapezoid(3 * s**2 / w, s))


@pytest.mark.parametrize("p", [2e9, 6e9, 20e9])
@pytest.mark.parametrize("law", [IgnitionGrowth(), IgnitionGrowth(c=1.5, d=0.5, x=1, y=2)])
def test_ignition_and_growth_against_quadrature(law, p):
    for to in (0.05, 0.5, 0.95):
        F, rate = law.advance(np.zeros(1), np.array([p]), time_to_burn(law, to, p))
        assert F[0] == pytest.approx(to, abs=3e-4)
        push = law.ignition * ((p - law.p_start) / law.p_ref) ** law.x
        grow = law.growth * F[0] ** law.d * (p / law.p_ref) ** law.y
        assert rate[0] == pytest.approx((1 - F[0]) ** law.c * (push + grow), rel=1e-12)


def test_splitting_a_step_changes_nothing_but_the_integration_error():
    law, p = IgnitionGrowth(), np.array([3e9, 9e9])
    whole, _ = law.advance(np.zeros(2), p, 10e-9)
    F = np.zeros(2)
    for part in (1e-9, 4e-9, 0.5e-9, 4.5e-9):
        F, _ = law.advance(F, p, part)
    assert pytest.approx(whole, abs=5e-5) == F


def test_no_burning_below_the_start_and_none_beyond_one():
    law = IgnitionGrowth()
    F, rate = law.advance(np.array([0.4, 0.0, 1.0]), np.array([1e9, 0.0, 9e9]), 1e-6)
    assert F.tolist() == [0.4, 0.0, 1.0]
    assert rate.tolist() == [0.0, 0.0, 0.0]
    F, _ = law.advance(np.zeros(1), np.array([30e9]), 1e-3)
    assert 0.999999 < F[0] <= 1


def test_a_cell_does_not_know_its_neighbours():
    law, p = IgnitionGrowth(), np.linspace(1e9, 30e9, 7)
    together, _ = law.advance(np.zeros(7), p, 3e-9)
    alone = [law.advance(np.zeros(1), p[i : i + 1], 3e-9)[0][0] for i in range(7)]
    assert together.tolist() == alone


def test_wrong_constants_are_named():
    with pytest.raises(ValueError, match="growth must not be negative"):
        IgnitionGrowth(growth=-1.0)
    with pytest.raises(ValueError, match="p_ref must be positive"):
        IgnitionGrowth(p_ref=0.0)
    with pytest.raises(ValueError, match="must not be negative"):
        GivenRate(-1.0)
