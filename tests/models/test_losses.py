"""Losses compared with values computed by hand; test_parity compares with the published implementation."""

import math

import pytest
import torch
from torch import nn

from mld_closure.models import losses


@pytest.fixture(autouse=True)
def repeatable():
    torch.set_num_threads(1)


def rand(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def test_consistency_by_hand():
    slices = {"a": slice(0, 2), "b": slice(2, 4)}
    target = torch.zeros(2, 4, 1, 2)
    target[:, 0], target[:, 1] = 3.0, 4.0  # norm 5
    target[:, 2:] = 0.0  # norm 0, so only the floor counts
    predicted = target.clone()
    predicted[0, 0] += 2.0
    predicted[:, 3] += 1e-6
    wanted = (2.0 / (5.0 + 1e-6)) ** 2 / 4 + 1.0 / 2
    assert float(losses.consistency_loss(predicted, target, slices)) == pytest.approx(wanted, rel=1e-5)
    only = losses.consistency_loss(predicted, target, {"a": slices["a"]})
    assert float(only) == pytest.approx(0.16 / 4, rel=1e-5)


def test_steps_add_up():
    slices = {"a": slice(0, 2), "b": slice(2, 4)}
    p, t = rand(3, 5, 4, 2, 2), rand(3, 5, 4, 2, 2, seed=1)
    single = sum(losses.consistency_loss(p[:, i], t[:, i], slices) for i in range(5))
    torch.testing.assert_close(losses.consistency_loss(p, t, slices), single)
    fields = sum(losses.multi_step_loss(p[:, i], t[:, i]) for i in range(5))
    torch.testing.assert_close(losses.multi_step_loss(p, t), fields)
    torch.testing.assert_close(fields, (p - t).square().mean(dim=(0, 3, 4)).sum())


def test_norm_is_per_sample():
    slices = {"a": slice(0, 2)}
    target = torch.ones(2, 2, 3, 3)
    target[1] *= 100.0
    predicted = target * 1.5
    wanted = 0.25 * 0.5  # relative error 1/2, norm sqrt(2) times the value
    assert float(losses.consistency_loss(predicted, target, slices)) == pytest.approx(wanted, rel=1e-4)


def test_hot_weight():
    truth = torch.tensor([-0.1, 0.0, 0.15, 0.3, 0.9])
    got = losses.hot_weighted_loss(truth + 0.5, truth, weight=8.0, l1=2.0)
    weights = torch.tensor([1.0, 1.0, 5.0, 9.0, 9.0])
    assert float(got) == pytest.approx(float((weights * (0.25 + 2.0 * 0.5)).mean()), rel=1e-6)
    plain = losses.hot_weighted_loss(truth + 0.5, truth, weight=0.0)
    assert float(plain) == pytest.approx(0.25, rel=1e-6)


def test_hot_area_counts_how_much_is_hot_not_where():
    cold, hot = 0.0, 0.9  # far from 875 K, which is 0.122
    truth = torch.full((2, 1, 4, 5), cold)
    truth[:, :, 0] = hot  # a quarter
    moved = truth.roll(2, dims=-2)
    assert float(losses.hot_area_loss(moved, truth)) == pytest.approx(0.0, abs=1e-9)
    none = torch.full_like(truth, cold)
    got = losses.hot_area_loss(none, truth)
    assert float(got) == pytest.approx(2.5**2, rel=2e-2)  # 0.25 in tenths, minus the tail of the sigmoid
    edge = torch.full((1, 3, 3), (875.0 - 300.0) / 4700.0)
    assert float(losses.hot_area_loss(edge, torch.full_like(edge, hot))) == pytest.approx(25.0, rel=1e-4)


def test_divergence_of_a_normal():
    mean, logvar = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, math.log(4.0)]])
    wanted = 0.5 + (0.5 * 4.0 - 0.5 - math.log(2.0))
    assert float(losses.kl_divergence(mean, logvar)) == pytest.approx(wanted, rel=1e-6)
    assert float(losses.kl_divergence(torch.zeros(1, 3), torch.zeros(1, 3))) == 0.0


def test_edges_of_a_step():
    truth = torch.zeros(2, 1, 4, 4)
    truth[0, :, :, 2:] = 1.0  # one edge, between columns 1 and 2 of the first sample
    weight = losses.edge_weight(truth)
    wanted = torch.zeros_like(truth)
    wanted[0, :, :, 1] = 1.0 / (1.0 + 1e-5)
    torch.testing.assert_close(weight, wanted)
    torch.testing.assert_close(
        losses.edge_loss(truth + 0.5, truth), torch.tensor([2.0, 0.0]), rtol=1e-4, atol=0
    )
    assert torch.equal(losses.edge_weight(torch.ones(1, 1, 3, 3)), torch.zeros(1, 1, 3, 3))


def test_perceptual_loss_of_a_linear_extractor():
    torch.manual_seed(0)
    extractor = nn.Conv2d(3, 5, 1, bias=False)
    p, t = rand(2, 1, 4, 4), rand(2, 1, 4, 4, seed=1)
    gain = extractor.weight.detach().sum(dim=(1, 2, 3)).square().sum()  # grey in three equal channels
    wanted = gain * (p - t).square().sum(dim=(1, 2, 3))
    torch.testing.assert_close(losses.perceptual_loss(p, t, extractor).detach(), wanted)


def test_vae_loss_conventions():
    parts = {"reconstruction": torch.tensor([1.0, 2.0]), "kl": torch.tensor([10.0, 30.0])}
    weights = losses.VAEWeights(reconstruction=3.0, kl=0.1)
    assert float(losses.vae_loss(parts, weights, pixels=4)) == pytest.approx((4.5 + 2.0) / 4)
    reference = losses.vae_loss(parts, weights, convention="reference")
    torch.testing.assert_close(reference, torch.tensor([9.0 + 1.0, 9.0 + 3.0]))
    with pytest.raises(ValueError, match=r"choose mean \| reference"):
        losses.vae_loss(parts, weights, convention="sum")


def test_mean_convention_ignores_batch_and_crop():
    x, guess, z = rand(1, 1, 8, 8), rand(1, 1, 8, 8, seed=1), rand(1, 2, 4, 4, seed=2)
    weights = losses.VAEWeights(kl=0.3)
    values = []
    for n, tiles in ((1, 1), (3, 1), (2, 2)):
        big = [a.repeat(n, 1, tiles, tiles) for a in (guess, x, z, z)]
        parts = losses.vae_loss_parts(*big, weights)
        values.append(float(losses.vae_loss(parts, weights, pixels=64 * tiles**2)))
    assert values == pytest.approx([values[0]] * 3, rel=1e-5)


def test_parts_without_weight_are_not_computed():
    x = rand(1, 1, 8, 8)
    weights = losses.VAEWeights(edge=1.0, perceptual=2.0)
    with pytest.raises(ValueError, match=r"perceptual weight 2\.0 needs an extractor"):
        losses.vae_loss_parts(x, x, x, x, weights)
    parts = losses.vae_loss_parts(x, x, x, x, weights, nn.Identity())
    assert set(parts) == {"reconstruction", "kl", "edge", "perceptual"}
    assert set(losses.vae_loss_parts(x, x, x, x, losses.VAEWeights())) == {"reconstruction", "kl"}
