"""One explicit step of dy/dt = f(y) on tensors: Heun (second order), classical Runge-Kutta (fourth)."""

from __future__ import annotations

from collections.abc import Callable

import torch

Rate = Callable[[torch.Tensor], torch.Tensor]


def heun(rate: Rate, y: torch.Tensor, step: float) -> torch.Tensor:
    """y after `step` by the explicit trapezoidal rule, two evaluations (Hairer et al. 1993, table II.1.1)."""
    k1 = rate(y)
    k2 = rate(y + step * k1)
    return y + 0.5 * step * (k1 + k2)


def rk4(rate: Rate, y: torch.Tensor, step: float) -> torch.Tensor:
    """y after `step` by the classical Runge-Kutta method, four evaluations (ibid., table II.1.2)."""
    k1 = rate(y)
    k2 = rate(y + 0.5 * step * k1)
    k3 = rate(y + 0.5 * step * k2)
    k4 = rate(y + step * k3)
    return y + step / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)


INTEGRATORS = {"heun": heun, "rk4": rk4}
