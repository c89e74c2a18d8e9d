"""Every switch of the architecture, in every precision: a compiled step is the eager one, or is not exported.

A compilation takes half a minute, so this is a test of the whole system, on the smallest networks.
"""

import itertools

import numpy as np
import pytest
import torch

from mld_closure.models.dynamics import Latent
from mld_closure.surrogate import agreement, compiled
from mld_closure.surrogate.export import export

pytestmark = pytest.mark.system

CLOSE = {"fp32": 1e-4, "bf16": 0.1}  # of the greatest latent, after two frames

SWITCHES = [
    {
        "residual": residual,
        "standardize": standardize,
        "evolve_logvar": evolve_logvar,
        "load_conditioning": residual ^ standardize ^ evolve_logvar,  # each pair of switches in all states
    }
    for residual, standardize, evolve_logvar in itertools.product((False, True), repeat=3)
]
CASES = [
    *({"evolution": "resnet16"} | switches for switches in SWITCHES),
    *({"evolution": "unet", "evolve_logvar": False, "residual": residual} for residual in (False, True)),
    {
        "evolution": "resnet16",
        "residual": False,
        "evolve_logvar": True,
        "fields": ("temperature", "pressure"),
    },
]


def name(case):
    on = [word for word, value in case.items() if value is True]
    return "-".join([case["evolution"], *(["two fields"] if "fields" in case else []), *on])


def wide(kit, case):
    """A bundle with weights such that its step neither vanishes nor explodes."""
    made = kit.bundle(**{"fields": ("temperature",), "latent_channels": 2, "standardize": False} | case)
    generator = torch.Generator().manual_seed(3)
    scaling = made.meso.scaling
    if made.config.standardize:
        scaling.fit(
            2.0 + 3.0 * torch.randn(200, made.config.latent_size, 4, 4, generator=generator),
            -4.0 + torch.randn(200, made.config.latent_size, 4, 4, generator=generator),
        )
        made.micro.scaling.load_state_dict(scaling.state_dict())
    return made


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("case", CASES, ids=name)
def test_the_compiled_step_is_the_eager_one(kit, tmp_path, case, precision):
    bundle = wide(kit, case)
    scale = "micro" if case.get("residual") and case.get("standardize") else "meso"
    batch = 4 if case.get("evolve_logvar") else None
    facts = export(
        bundle,
        tmp_path / "step.pt2",
        frame_shape=(32, 64),
        precision=precision,
        scale=scale,
        micro_batch=batch,
    )
    model = getattr(bundle, scale)
    step = compiled.CompiledStep(tmp_path / "step.pt2", facts, model)
    generator = torch.Generator().manual_seed(1)
    noise = [torch.randn(3, bundle.config.latent_size, 4, 8, generator=generator) for _ in range(2)]
    start, load = Latent(*model.scaling.unscale(*noise)), torch.rand(3, generator=generator)
    for _, found, allowed in agreement.differences(step, model, precision, start, load):
        assert found <= allowed
    with torch.inference_mode():
        movie = step(step(start, load), load)  # what one frame returns is what the next one takes
        wanted = agreement.eager_step(model, precision)(
            agreement.eager_step(model, precision)(start, load), load
        )
    for got, right in zip(movie, wanted, strict=True):
        np.testing.assert_allclose(got, right, rtol=0, atol=CLOSE[precision] * float(right.abs().max()))
