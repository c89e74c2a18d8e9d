"""Every switch of the architecture, in every precision: a compiled step is the eager one, or is not exported.

A compilation takes half a minute, so this is a test of the whole system, on the smallest networks.
"""

import itertools

import pytest
import torch
from torch import nn

from mld_closure.models.dynamics import EVOLUTION, Latent
from mld_closure.surrogate import agreement, compiled
from mld_closure.surrogate.export import export

pytestmark = pytest.mark.system

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


def balanced(kit, case):
    """A bundle of random networks whose results are of the size of a standardised latent, not nearly zero."""
    made = kit.bundle(**{"fields": ("temperature",), "latent_channels": 2, "standardize": False} | case)
    generator = torch.Generator().manual_seed(3)
    if made.config.standardize:
        shape = (200, made.config.latent_size, 4, 4)
        means, logvars = (torch.randn(shape, generator=generator) for _ in range(2))
        for model in (made.micro, made.meso):
            model.scaling.fit(2.0 + 3.0 * means, logvars - 4.0)
    if not made.config.residual:  # those that add to their input are to change little
        for model in (made.micro, made.meso):
            for part in model.parts().values():
                for network in part.modules():
                    if isinstance(network, tuple(EVOLUTION.values())):
                        normalise(network, generator)
    return made


@torch.no_grad()
def normalise(network, generator):
    """Let a network's results for noise have a standard deviation of 1; its biases are zero."""
    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    noise = torch.randn(4, layers[0].in_channels, 8, 8, generator=generator)
    last = [m for m in network.out.modules() if isinstance(m, nn.Conv2d)][-1]
    last.weight /= network(noise).std()


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("case", CASES, ids=name)
def test_the_compiled_step_is_the_eager_one(kit, tmp_path, case, precision):
    bundle = balanced(kit, case)
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
    second = step(start, load)  # as it lies in memory: what one frame returns is what the next one takes
    for latent in (start, second):
        for _, found, allowed in agreement.differences(step, model, precision, latent, load):
            assert found <= allowed
    assert 0.01 < float(second.mean.std()) < 100
