"""Observed order of the integrators for an equation with a known solution."""

import pytest
import torch

from mld_closure.models.integrators import heun, rk4


def error(integrate, steps):
    """Error at t = 1 for dy/dt = y (1 - y), y(0) = 0.1, whose solution is the logistic curve."""
    y = torch.tensor(0.1, dtype=torch.float64)
    for _ in range(steps):
        y = integrate(lambda q: q * (1 - q), y, 1.0 / steps)
    exact = 1 / (1 + 9 * torch.exp(torch.tensor(-1.0, dtype=torch.float64)))
    return (y - exact).abs().item()


@pytest.mark.parametrize(("integrate", "order"), [(heun, 2), (rk4, 4)])
def test_observed_order(integrate, order):
    ratio = error(integrate, 8) / error(integrate, 16)
    assert ratio == pytest.approx(2**order, rel=0.12)
