"""Readout head: targets by their definitions, bounds, overfitting one batch, storage in a bundle."""

import numpy as np
import pytest
import torch

from mld_closure.metrics.hotspots import burned_fraction, hotspot_curves
from mld_closure.models import readout_head as room
from mld_closure.models.bundle import BundleError
from mld_closure.models.readout_head import QUANTITIES, HeadConfig, ReadoutHead

NAMES = list(QUANTITIES)


def movie(seed=0):
    rng = np.random.default_rng(seed)
    frames = {
        "temperature": rng.uniform(300, 1200, (2, 3, 16, 24)),
        "pressure": rng.uniform(0, 2e10, (2, 3, 16, 24)),
        "microstructure": rng.uniform(0, 1, (2, 3, 16, 24)),
        "reaction_progress": rng.uniform(0, 1, (2, 3, 16, 24)),
        "density": rng.uniform(1, 2400, (2, 3, 16, 24)),
    }
    frames["temperature"][0, 0] = 400.0
    return frames


def make(**changes):
    torch.manual_seed(0)
    return ReadoutHead(HeadConfig(**{"latent_size": 6, "width": 8} | changes))


@pytest.mark.parametrize("kind", ["arrays", "tensors"])
def test_targets_are_those_of_the_metrics(kind):
    frames = movie()
    given = {n: torch.tensor(v) for n, v in frames.items()} if kind == "tensors" else frames
    got = {n: np.asarray(v) for n, v in room.targets_from_fields(given).items()}
    curves = hotspot_curves(frames["temperature"], 1.0, 1.0)
    np.testing.assert_allclose(got["hotspot_area_fraction"], curves.area / (16 * 24), rtol=1e-6)
    np.testing.assert_allclose(got["hotspot_temperature"], curves.temperature, rtol=1e-12)
    assert got["hotspot_temperature"][0, 0] == 0
    wanted = burned_fraction(frames["reaction_progress"], frames["density"])
    np.testing.assert_allclose(got["burned_fraction"], wanted, rtol=1e-12)
    np.testing.assert_allclose(got["porosity"], 1 - frames["microstructure"].mean((-2, -1)), rtol=1e-12)
    np.testing.assert_allclose(got["mean_pressure"], frames["pressure"].mean((-2, -1)), rtol=1e-12)


def test_missing_fields_give_no_target():
    found = room.targets_from_fields({"temperature": movie()["temperature"]})
    stacked = room.stack_targets(found)
    assert stacked.shape == (2, 3, 6)
    assert np.isnan(stacked[..., [NAMES.index(n) for n in ("burned_fraction", "mean_pressure")]]).all()


def test_loss_counts_errors_in_their_units_and_leaves_out_what_is_unknown():
    sizes = torch.tensor([size for _, size in QUANTITIES.values()])
    target = torch.rand(4, 6) + 0.1
    assert room.head_loss(target, target) == 0
    assert room.head_loss(target + 2 * sizes, target).item() == pytest.approx(4 * 6, rel=1e-4)
    target[0, 1] = 0.0  # no hot pixel
    target[1, 2] = float("nan")
    wrong = target.clone()
    wrong[0, 1], wrong[1, 2] = 3000.0, 0.7
    assert room.head_loss(wrong, target) == 0
    target[:, 3] = float("nan")
    assert torch.isfinite(room.head_loss(wrong, target))


def test_outputs_stay_within_their_bounds_for_any_latent():
    head = make()
    with torch.no_grad():
        head.local.weight.mul_(100)
        out = head(torch.randn(5, 6, 8, 4) * 50)
    for name in room.FRACTIONS:
        values = out[:, NAMES.index(name)]
        assert values.min() >= 0
        assert values.max() <= 1
    hot = out[:, NAMES.index("hotspot_temperature")]
    assert hot.min() > 874.9
    assert hot.max() < 5000.1


def test_fractions_pool_over_parts():
    """Two frames side by side give the mean of the two, for any frame size."""
    head = make(depth=1)
    left, right = torch.randn(1, 6, 4, 4), torch.randn(1, 6, 4, 4)
    head.features[0][0].weight.data[..., [0, 2]] = 0  # no influence along x, so the seam has no effect
    with torch.no_grad():
        both = head(torch.cat([left, right], dim=3))
        parts = head(torch.cat([left, right]))
    keep = [i for i, n in enumerate(NAMES) if n != "hotspot_temperature"]
    torch.testing.assert_close(both[0, keep], parts.mean(dim=0)[keep], rtol=1e-4, atol=1e-6)


def test_overfits_one_batch():
    head = make(load_input=True, width=16)
    latents, load = torch.randn(6, 6, 4, 4), torch.rand(6)
    head.fit_scaling(latents)
    target = torch.tensor(
        room.stack_targets({n: v.reshape(-1) for n, v in room.targets_from_fields(movie()).items()})
    )
    optimizer = torch.optim.Adam(head.parameters(), lr=1e-2)
    first = room.head_loss(head(latents, load), target).item()
    for _ in range(200):
        optimizer.zero_grad()
        loss = room.head_loss(head(latents, load), target)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.02 * first


def test_scaling_is_fitted_per_channel():
    head = make()
    latents = torch.randn(9, 6, 4, 4) * torch.arange(1, 7).view(6, 1, 1) + 5
    head.fit_scaling(latents)
    inside = (latents - head.shift) / head.scale
    assert inside.mean(dim=(0, 2, 3)).abs().max() < 1e-5
    assert (inside.std(dim=(0, 2, 3), correction=0) - 1).abs().max() < 1e-5


def test_the_bundles_copy_gives_the_same_bits():
    head, latents = make(load_input=True, burn_rate_error=1e6), torch.randn(2, 6, 4, 4)
    head.fit_scaling(torch.randn(9, 6, 4, 4) + 1)
    torch.manual_seed(5)
    there = ReadoutHead.from_extra(head.to_extra())
    drawn = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(torch.rand(1), drawn)
    assert there.config == head.config
    assert not any(p.requires_grad for p in there.parameters())
    assert torch.equal(there(latents, torch.ones(2)), head(latents, torch.ones(2)))


def test_misuse_is_named():
    head = make(load_input=True)
    with pytest.raises(ValueError, match=r"reads \(batch, 6, y, x\)"):
        head(torch.zeros(1, 5, 4, 4), torch.zeros(1))
    with pytest.raises(ValueError, match=r"scaled load of each sample, shape \(1,\)"):
        head(torch.zeros(1, 6, 4, 4))
    extra = head.to_extra()
    with pytest.raises(BundleError, match="did you mean 'width'"):
        ReadoutHead.from_extra(extra._replace(config={"latent_size": 6, "widht": 8}))
    del extra.state["shift"]
    with pytest.raises(BundleError, match="cannot be used"):
        ReadoutHead.from_extra(extra)
