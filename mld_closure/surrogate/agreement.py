"""Whether a compiled step gives the numbers of the eager step: what it is tried on, and how close it must be.

A difference is measured for means and log-variances separately, after one frame (all its micro steps). It is
compared with what the step did to them: with the greatest change, or with the greatest result where that is
smaller, since a network that does not add to its input may also send everything to nearly zero.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch

from ..grids import LATENT_FACTOR
from ..models.bundle import BundleError
from ..models.dynamics import Latent, LatentDynamics

Step = Callable[[Latent, torch.Tensor], Latent]

TOLERANCE = {"fp32": 1e-4, "bf16": 1e-2}  # greatest difference, of the greatest change or result
ROUNDING = 1e-6  # and so much of the greatest result: a small change of a large latent is rounded with it
# Networks may amplify what bf16 rounds, so a step in bf16 may also differ by so many times what the eager one
# differs from itself in fp32, but never by more than so much of the greatest change or result.
TIMES, MOST = 3.0, 0.5
CELLS = 2  # tried at once, each with a load of its own


class Difference(NamedTuple):
    """Greatest difference of two steps, and the greatest one allowed, in units of the latents."""

    name: str
    found: float
    allowed: float


def eager_step(model: LatentDynamics, precision: str) -> Step:
    """The model's own step by one frame in a precision, fp32 or bf16."""

    def step(latent: Latent, load: torch.Tensor) -> Latent:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"):
            return model.advance(latent, load)

    return step


def trial_latents(model: LatentDynamics, frame_shape: tuple[int, int]) -> tuple[Latent, torch.Tensor]:
    """Random latents (CELLS, channel, y/8, x/8) in the range of the model, and scaled loads (CELLS,)."""
    generator = torch.Generator().manual_seed(0)
    ny, nx = (side // LATENT_FACTOR for side in frame_shape)
    shape = (CELLS, model.config.latent_size, ny, nx)
    noise = [torch.randn(shape, generator=generator) for _ in Latent._fields]
    return Latent(*model.scaling.unscale(*noise)), torch.linspace(0.0, 1.0, CELLS)


@torch.inference_mode()
def differences(
    compiled: Step, model: LatentDynamics, precision: str, latent: Latent, load: torch.Tensor
) -> list[Difference]:
    """Differences of a compiled step from the eager one in the same precision, for what the model evolves."""
    wanted, got = eager_step(model, precision)(latent, load), compiled(latent, load)
    exact = wanted if precision == "fp32" else eager_step(model, "fp32")(latent, load)
    found = []
    for name in Latent._fields[: 1 + model.config.evolve_logvar]:
        before, after, other, best = (getattr(z, name) for z in (latent, wanted, got, exact))
        scale = min(_greatest(best - before), _greatest(best))
        rounded = min(TIMES * _greatest(after - best), MOST * scale)
        allowed = max(TOLERANCE[precision] * scale, rounded) + ROUNDING * _greatest(best)
        found.append(Difference(name, _greatest(other - after), allowed))
    return found


def require_agreement(
    what: str, compiled: Step, model: LatentDynamics, precision: str, latent: Latent, load: torch.Tensor
) -> None:
    """BundleError, which begins with `what`, unless a compiled step agrees with the eager one."""
    for name, found, allowed in differences(compiled, model, precision, latent, load):
        if not found <= allowed:  # also where it is not a number
            raise BundleError(
                f"{what}: one step of the {name} differs from the eager step by {found:.2g}, where "
                f"{precision} allows {allowed:.2g}; do not use it on this machine"
            )


def _greatest(x: torch.Tensor) -> float:
    return float(x.float().abs().max())
