"""One explicit step of dy/dt = f(y) on tensors: Heun (second order) and classical Runge-Kutta (fourth).

References
----------
Hairer, Norsett, Wanner, Solving Ordinary Differential Equations I, 1993, tables II.1.1 and II.1.2.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

Rate = Callable[[torch.Tensor], torch.Tensor]


def heun(rate: Rate, y: torch.Tensor, step: float) -> torch.Tensor:
    """Return y after one step of the explicit trapezoidal rule (two evaluations).

    Parameters
    ----------
    rate : callable
        dy/dt as a function of y.
    y : tensor
        Value before the step.
    step : float
        Length of the step.

    Returns
    -------
    tensor
        Value after the step.
    """
    k1 = rate(y)
    k2 = rate(y + step * k1)
    return y + 0.5 * step * (k1 + k2)


def rk4(rate: Rate, y: torch.Tensor, step: float) -> torch.Tensor:
    """Return y after one step of the classical Runge-Kutta method (four evaluations), as `heun`."""
    k1 = rate(y)
    k2 = rate(y + 0.5 * step * k1)
    k3 = rate(y + 0.5 * step * k2)
    k4 = rate(y + step * k3)
    return y + step / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)


INTEGRATORS = {"heun": heun, "rk4": rk4}
