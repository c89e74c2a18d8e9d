"""The curve network: what holds whatever its weights, and that it learns what pores and loads do."""

import numpy as np
import pytest
import torch

from mld_closure.models.bundle import BundleError
from mld_closure.models.curve_net import CurveConfig, CurveNet
from mld_closure.training.curve_samples import CurveSamples, mean_curve, since_arrival
from mld_closure.training.curves import case_errors, predict_curves, scores, train_curves

CONFIG = CurveConfig(duration=10e-9, steps=10, halo=8, parts=4, width=8, hidden=24)


def made_up(count, seed):
    """Cases whose parts burn as 1 - exp(-(porosity of the part) (load/1000)^2 t / 1 ns)."""
    rng = np.random.default_rng(seed)
    share = rng.uniform(0.02, 0.25, (count, 5))
    solid = np.ones((count, 16, 40), np.float32)
    for k in range(count):
        for part in range(5):
            holes = rng.random((16, 8)) < share[k, part]
            solid[k, :, 8 * part : 8 * part + 8][holes] = 0.0
    load = rng.uniform(500, 1500, count).astype(np.float32)
    porosity = 1 - solid[:, :, 8:].reshape(count, 16, 4, 8).mean(axis=(1, 3))
    t = CONFIG.times / 1e-9
    burned = 1 - np.exp(-porosity[..., None] * (load[:, None, None] / 1000) ** 2 * t)
    curves = {
        "burned_share": burned.astype(np.float32),
        "mean_pressure": np.broadcast_to(8e9 * (load[:, None, None] / 1000) ** 2, burned.shape).astype(
            np.float32
        ),
        "hot_share": (0.3 * burned).astype(np.float32),
        "hot_temperature": np.full(burned.shape, 2000.0, np.float32),
    }
    return CurveSamples(solid, load, curves, np.ones(burned.shape, bool), 8)


def test_whatever_the_weights_shares_rise_from_nothing_and_stay_below_one():
    torch.manual_seed(3)
    net = CurveNet(CONFIG)
    with torch.no_grad():
        for p in net.parameters():
            p.mul_(2.0)
    some = made_up(6, 0)
    burned = predict_curves(net, some)
    assert burned.shape == (6, 4, 11)
    assert (burned[..., 0] == 0).all()
    assert (np.diff(burned, axis=-1) >= 0).all()
    assert burned.max() <= 1.0
    assert np.ptp(burned[..., 3]) > 1e-3


def test_it_learns_what_the_mean_curve_cannot_know(tmp_path):
    train, valid = [made_up(60, 1)], [made_up(20, 2)]
    net = train_curves(CONFIG, train, valid, tmp_path / "c", steps=500)
    found = scores(net, train, valid[0])
    assert found["mean_curve"] > 0.03
    assert found["network"] < 0.6 * found["mean_curve"]
    pressure = predict_curves(net, made_up(20, 2), "mean_pressure")
    assert np.abs(pressure / made_up(20, 2).curves["mean_pressure"] - 1).mean() < 0.15
    again = train_curves(CONFIG, train, valid, tmp_path / "c", steps=500)
    assert all(
        torch.equal(a, b) for a, b in zip(net.state_dict().values(), again.state_dict().values(), strict=True)
    )


def test_curves_begin_when_the_shock_arrives_at_their_part():
    times = np.linspace(0, 20e-9, 81)
    arrival = np.array([1e-9, 1e-9, 3e-9, 5e-9, np.nan])
    since = times[:, None] - np.where(np.isfinite(arrival), arrival, 99.0)
    rate = np.array([0.0, 0.05, 0.04, 0.03, 0.02]) / 1e-9
    curves = {
        "burned_share": np.clip(since * rate, 0, 1),
        "mean_pressure": np.where(since > 0, 7e9, 0.0),
        "hot_area": np.clip(since * rate, 0, 1) * 3e-12,
        "hot_temperature": np.where(since > 0, 1500.0, 0.0),
        "arrival": arrival,
    }
    found, known = since_arrival(curves, times, CONFIG, 3e-12)
    for k in range(3):
        np.testing.assert_allclose(found["burned_share"][k], rate[1 + k] * CONFIG.times, atol=2e-3)
        np.testing.assert_allclose(found["hot_share"][k], rate[1 + k] * CONFIG.times, atol=2e-3)
    assert known[:3].all()
    assert not known[3].any()
    _, short = since_arrival({**curves, "arrival": arrival + 12e-9}, times, CONFIG, 3e-12)
    assert short[0].sum() == 8  # 7 of 10 ns are left, both ends counted


def test_the_mean_curve_knows_the_load_and_nothing_else():
    train = made_up(400, 5)
    low, high = mean_curve([train], np.array([600.0, 1400.0]))
    assert high[-1] > 1.8 * low[-1]
    twins = made_up(400, 6)
    errors = case_errors(mean_curve([train], twins.load)[:, None], twins)
    assert errors.shape == (400,)
    assert (errors > 0).all()


def test_it_travels_as_a_part_of_a_bundle():
    net = CurveNet(CONFIG).eval()
    extra = net.to_extra()
    back = CurveNet.from_extra(extra)
    some = made_up(2, 9)
    assert np.array_equal(predict_curves(net, some), predict_curves(back, some))
    with pytest.raises(BundleError, match=r"curve network of this bundle cannot be used: .*asks for"):
        CurveNet.from_extra(extra._replace(config={**extra.config, "steps": 12}))
    with pytest.raises(ValueError, match="halo must be a multiple of 4"):
        CurveConfig(duration=1e-9, halo=6)
    with pytest.raises(ValueError, match="leave no 4 parts"):
        net(torch.ones(1, 16, 10), torch.ones(1))
