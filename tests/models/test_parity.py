"""Imported weights give the same numbers as the published TensorFlow implementation."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mld_closure.models import losses
from mld_closure.models.dynamics import Latent
from mld_closure.models.keras_import import import_keras

PARITY = Path(__file__).resolve().parents[1] / "data" / "parity"
CLOSE = 2e-5  # of the largest value: rounding of fp32 through some forty layers


@pytest.fixture(scope="module")
def expected():
    with np.load(PARITY / "expected.npz") as stored:
        return {k: stored[k] for k in stored.files}


@pytest.fixture(scope="module")
def bundle():
    torch.set_num_threads(1)
    return import_keras(PARITY, pixel=50e-9, micro_step=0.172e-9)


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.inference_mode():
        yield


def tensor(array):
    """Stored array as a tensor with channels first."""
    return torch.from_numpy(array).movedim(-1, 1)


def latent(expected, name):
    return Latent(tensor(expected[f"{name}z_mean"]), tensor(expected[f"{name}z_logvar"]))


def error(got, wanted):
    """Largest difference, relative to the largest expected value."""
    return float((got - wanted).abs().max() / wanted.abs().max())


def assert_latents(got, expected, name):
    wanted = latent(expected, name)
    assert error(got.mean, wanted.mean) < CLOSE
    assert error(got.logvar, wanted.logvar) < CLOSE


def test_encoders(bundle, expected):
    assert_latents(bundle.micro.encode(tensor(expected["fields"])), expected, "")


def test_decoders(bundle, expected):
    z = bundle.micro.encode(tensor(expected["fields"]))
    assert error(bundle.micro.decode(z), tensor(expected["reconstruction_of_z_mean"])) < CLOSE


def test_decoupled_step(bundle, expected):
    z = bundle.micro.encode(tensor(expected["fields"]))
    assert_latents(bundle.micro.decoupled_step(z), expected, "decoupled_")


def test_micro_step(bundle, expected):
    z = bundle.micro.encode(tensor(expected["fields"]))
    assert_latents(bundle.micro.advance(z), expected, "micro_step_")


def test_meso_step_is_two_micro_steps(bundle, expected):
    second = bundle.micro.advance(latent(expected, "micro_step_"))
    assert_latents(second, expected, "meso_step_")
    whole = bundle.meso.advance(latent(expected, ""))
    wanted = latent(expected, "meso_step_")
    assert error(whole.mean, wanted.mean) < CLOSE
    assert error(whole.logvar, wanted.logvar) < 3 * CLOSE  # rounding of two steps, log-variances growing


def test_five_meso_steps(bundle, expected):
    """Compare five meso steps, from the stored first step on.

    The random log-variance networks multiply a small disturbance by 1e5 over the last four steps. So the
    error may be at most three times the effect of a disturbance of 1e-6, which is the rounding of one step.
    """
    start, wanted = latent(expected, "meso_step_"), latent(expected, "five_meso_steps_")
    eps = torch.randn((2, *start.mean.shape), generator=torch.Generator().manual_seed(0))
    disturbed = Latent(*(z * (1 + 1e-6 * e) for z, e in zip(start, eps, strict=True)))
    got, moved = (bundle.meso.advance(z, steps=4) for z in (start, disturbed))
    assert error(got.mean, wanted.mean) < 3 * error(moved.mean, got.mean) < 5e-4
    assert error(got.logvar, wanted.logvar) < 3 * error(moved.logvar, got.logvar) < 0.6
    fields = bundle.meso.decode(wanted)
    assert error(fields, tensor(expected["five_meso_steps_fields"])) < CLOSE


def test_dynamics_losses(bundle, expected):
    step, target = latent(expected, "micro_step_"), latent(expected, "target_")
    slices = bundle.config.slices()
    mean = losses.consistency_loss(step.mean, target.mean, slices)
    logvar = losses.consistency_loss(step.logvar, target.logvar, slices)
    assert float(mean) == pytest.approx(float(expected["consistency_mean_loss"]), rel=1e-5)
    assert float(logvar) == pytest.approx(float(expected["consistency_logvar_loss"]), rel=1e-5)
    norm = losses.state_norm(target.mean[:, slices["temperature"]])
    assert error(norm, tensor(expected["state_norm_temperature"])) < 1e-5
    field = losses.multi_step_loss(bundle.micro.decode(step), tensor(expected["target_fields"]))
    assert float(field) == pytest.approx(float(expected["multi_step_loss_of_means"]), rel=1e-5)


def test_vae_losses(bundle, expected):
    truth = tensor(expected["fields"])[:, :1]
    guess = tensor(expected["reconstruction_of_z_mean"])[:, :1]
    z = latent(expected, "")
    channels = bundle.config.slices()["temperature"]
    weights = losses.VAEWeights(edge=1.0)
    parts = losses.vae_loss_parts(guess, truth, z.mean[:, channels], z.logvar[:, channels], weights)
    kl = torch.from_numpy(expected["kl_loss_per_sample_temperature"])
    squares = float(expected["vae_reconstruction_loss_temperature"])
    edge = float(expected["edge_loss_temperature"])
    assert error(parts["kl"], kl) < 1e-5
    assert float(parts["reconstruction"].sum()) == pytest.approx(squares, rel=1e-5)
    assert float(parts["edge"].sum()) == pytest.approx(edge, rel=1e-5)
    assert error(losses.edge_weight(truth), tensor(expected["edge_weight_temperature"])) < 1e-5
    whole = losses.vae_loss(parts, losses.VAEWeights(2.0, 0.5, 3.0), convention="reference")
    assert error(whole, 2.0 * squares + 0.5 * kl + 3.0 * edge) < 1e-5
