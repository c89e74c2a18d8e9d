"""PARCv2: published size and cost, physics terms, independence of the rest of a batch, common interface."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from mld_closure import fields
from mld_closure.models.bundle_files import count_parameters
from mld_closure.models.parc import Parc, ParcConfig

SMALL = ParcConfig(base=2)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Parc(SMALL).eval()


@pytest.fixture
def frames():
    return torch.rand(3, 5, 32, 64, generator=torch.Generator().manual_seed(1))


def test_published_size():
    with torch.device("meta"):
        model = Parc(ParcConfig())
    assert round(count_parameters(model.features) / 1e6, 1) == 15.1
    assert round(count_parameters(model) / 1e6, 1) == 19.2


def test_published_cost_of_a_step():
    with torch.device("meta"):
        model, frame = Parc(ParcConfig()).eval(), torch.empty(1, 5, 320, 480)
    with FlopCounterMode(display=False) as counter:
        model.advance(model.encode(frame))
    assert counter.get_total_flops() / 1e9 == pytest.approx(5883, abs=1)


def test_a_sample_does_not_see_its_batch_neighbours(model, frames):
    model, frames = model.double(), frames.double()
    with torch.inference_mode():
        together = model.trajectory(frames, 2)
        alone = torch.cat([model.trajectory(frame[None], 2) for frame in frames])
    torch.testing.assert_close(together, alone, rtol=1e-9, atol=1e-9)


def test_advection_is_the_rate_at_which_a_uniform_flow_carries_a_ramp():
    config = ParcConfig(base=2, pixel=50e-9, interval=0.1e-9)
    state = torch.zeros(1, 5, 32, 32)
    x = torch.arange(32.0)
    slope = 0.01  # scaled temperature per pixel
    state[:, 0] = slope * x
    state[:, 3] = fields.get("velocity_x").scale(1000.0)  # 2 pixels per frame
    state[:, 4] = fields.get("velocity_y").scale(0.0)
    terms = Parc(config).explicit_terms(state)
    inside = terms["temperature"][0, :, 1:-1, 1:-1]
    torch.testing.assert_close(inside[0], torch.full((30, 30), -2 * slope), rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(inside[1], torch.zeros(30, 30), rtol=0, atol=1e-6)
    assert {name: t.shape[1] for name, t in terms.items()} == {
        "temperature": 2,
        "pressure": 1,
        "microstructure": 1,
        "velocity": 2,
    }
    assert terms["velocity"].abs().max() < 1e-6


def test_a_trajectory_is_advance_after_advance(model, frames):
    with torch.inference_mode():
        movie = model.trajectory(frames, 2, 2, fields=["pressure", "temperature"])
        latent = model.encode(frames)
        for n in range(2):
            latent = model.advance(model.advance(latent))
            assert torch.equal(movie[:, n], latent.mean[:, [1, 0]])
        assert torch.equal(model.decode(model.encode(frames)), frames)


def test_the_state_is_clamped_before_a_step(model, frames):
    with torch.inference_mode():
        wild = model.advance(model.encode(frames * 3 - 1)).mean
        tame = model.advance(model.encode((frames * 3 - 1).clamp(0, 1))).mean
    assert torch.equal(wild, tame)


def test_noise_belongs_to_training_only(model, frames):
    latent = model.encode(frames)
    with torch.inference_mode():
        assert torch.equal(model.advance(latent).mean, model.advance(latent).mean)
        model.train()
        assert not torch.equal(model.advance(latent).mean, model.advance(latent).mean)


def test_learns_one_window(frames):
    torch.manual_seed(0)
    model = Parc(ParcConfig(base=2, integrator="heun", noise=0.0))
    target = (0.9 * frames[:1] + 0.02).roll(1, dims=3)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    losses = []
    for _ in range(30):
        loss = (model.advance(model.encode(frames[:1])).mean - target).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        assert all(p.grad is not None for p in model.parameters())
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]


def test_bad_input_is_refused(model):
    with pytest.raises(ValueError, match="velocity_x, velocity_y"):
        ParcConfig(fields=("temperature", "pressure"))
    with pytest.raises(ValueError, match="multiples of 32"):
        model.encode(torch.zeros(1, 5, 32, 48))
    with pytest.raises(ValueError, match=r"expected \(batch, 5"):
        model.encode(torch.zeros(1, 3, 32, 64))
    with pytest.raises(ValueError, match="cannot sample"):
        model.trajectory(torch.zeros(1, 5, 32, 32), 1, generator=torch.Generator())
