"""Memory maps of frames and latents: right values, reuse, and renewal when their source changes."""

import os

import numpy as np
import pytest
import torch

from mld_closure.data.trajectories import Trajectories
from mld_closure.data.windows import split_cases
from mld_closure.fields import get
from mld_closure.models.dynamics import MicroDynamics
from mld_closure.models.settings import ModelConfig
from mld_closure.training.movies import Movies, mirrored

NAMES = ("temperature", "pressure", "microstructure")


@pytest.fixture
def model():
    torch.manual_seed(1)
    return MicroDynamics(ModelConfig(base=2, evolve_logvar=False))


def open_movies(path, folder, fields=NAMES):
    file = Trajectories(path)
    return Movies("micro", file, fields, split_cases(file.n_cases, 1, 0), folder)


def stamps(folder):
    return {p.name: p.stat().st_mtime_ns for p in folder.glob("*.npy")}


def test_frames_are_the_scaled_fields(tiny, tmp_path):
    movies = open_movies(tiny.micro, tmp_path)
    truth = Trajectories(tiny.micro).read(2, NAMES)
    for i, name in enumerate(NAMES):
        np.testing.assert_allclose(movies.frames[2, :, i], get(name).scale(truth[:, i]), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(movies.load, [700, 750, 800, 850])


def test_latents_are_those_of_the_encoder_mirrored_movies_too(tiny, tmp_path, model):
    movies = open_movies(tiny.micro, tmp_path)
    movies.encode(model, mirror=True)
    frames = torch.from_numpy(np.array(movies.frames[3, 4:5]))
    with torch.no_grad():
        for variant, x in enumerate((frames, frames.flip(2))):
            latent = model.encode(x)
            np.testing.assert_allclose(movies.mean[variant, 3, 4], latent.mean[0], atol=1e-5)
            np.testing.assert_allclose(movies.logvar[variant, 3, 4], latent.logvar[0], atol=1e-5)
    assert not np.allclose(movies.mean[0, :, :, :, ::-1], movies.mean[1])  # the encoder is not equivariant


def test_maps_are_used_again_and_invalidated_by_data_weights_and_options(tiny, tmp_path, model):
    copy = tmp_path / "copy.h5"
    copy.write_bytes(tiny.micro.read_bytes())
    cache = tmp_path / "cache"

    def make(mirror=True):
        movies = open_movies(copy, cache)
        movies.encode(model, mirror=mirror)
        return movies

    make()
    first = stamps(cache)
    make()
    assert stamps(cache) == first

    with torch.no_grad():
        model.coupled_mean.out[0][0].weight.add_(1.0)  # not in the VAEs
    make()
    assert stamps(cache) == first

    with torch.no_grad():
        model.vaes["pressure"].encoder.mean.bias.add_(0.5)
    movies = make()
    second = stamps(cache)
    frames = {name for name in first if "frames" in name}
    assert frames <= set(second)
    assert set(first) & set(second) == frames
    assert len(second) == 2  # the old latents are gone
    x = torch.from_numpy(np.array(movies.frames[0, :1]))
    with torch.no_grad():
        np.testing.assert_allclose(movies.mean[0, 0, 0], model.encode(x).mean[0], atol=1e-5)

    make(mirror=False)
    third = stamps(cache)
    assert set(third) & set(second) == frames

    os.utime(copy, ns=(1, 1))
    make(mirror=False)
    assert not set(stamps(cache)) & set(third)


def test_a_mirror_turns_the_velocity_across(tiny, tmp_path):
    names = (*NAMES, "velocity_x", "velocity_y")
    movies = open_movies(tiny.micro, tmp_path, names)
    turned = mirrored(movies.frames[0], names)
    for i, name in enumerate(names):
        sign = -1 if name == "velocity_y" else 1
        expected = sign * get(name).unscale(np.float64(movies.frames[0, :, i]))[:, ::-1]
        np.testing.assert_allclose(
            get(name).unscale(np.float64(turned[:, i])), expected, rtol=1e-5, atol=1e-2
        )
    np.testing.assert_allclose(mirrored(turned, names), movies.frames[0], atol=1e-6)


def test_frames_of_odd_size_and_missing_fields_are_refused(tiny, tmp_path):
    with pytest.raises(KeyError, match="no field 'density'"):
        open_movies(tiny.micro, tmp_path, ("density",))
    file = Trajectories(tiny.micro)
    file.shape = (33, 64)
    with pytest.raises(ValueError, match="multiples of 32"):
        Movies("micro", file, NAMES, split_cases(4, 1, 0), tmp_path)
