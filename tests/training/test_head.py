"""The readout head in training: its samples, rollouts of the models, and the curves it reads."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mld_closure.data.trajectories import Trajectories
from mld_closure.data.windows import Split
from mld_closure.models.dynamics import Latent, MesoDynamics
from mld_closure.models.readout_head import QUANTITIES, HeadConfig, ReadoutHead
from mld_closure.models.settings import from_table
from mld_closure.training.curriculum import Phase
from mld_closure.training.forecasts import read_rollout
from mld_closure.training.movies import Movies
from mld_closure.training.samples import HeadSamples, WindowSamples
from mld_closure.training.settings import StageConfig

FIELDS = ("temperature", "pressure", "microstructure")
STAGE = StageConfig("head", "head", (Phase(steps=5),), {"readout": 1.0}, rollouts=0.5)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    table = {"preset": "compact", "base": 2, "evolve_logvar": False, "load_conditioning": True}
    return MesoDynamics(from_table(table)).eval()


@pytest.fixture(scope="module")
def movies(tiny, model, tmp_path_factory):
    with Trajectories(tiny.meso) as data:
        out = Movies("meso", data, FIELDS, Split((0, 2), (1,)), tmp_path_factory.mktemp("cache"))
        out.encode(model, mirror=True)
        out.roll(model)
        out.maps  # noqa: B018 - written while the file is open
        yield out


def test_rollouts_are_those_of_the_model(movies, model):
    load = torch.tensor([model.config.scale_load(float(movies.load[2]))], dtype=torch.float32)
    with torch.inference_mode():
        start = Latent(*(torch.from_numpy(np.array(p[1, 2, :1])) for p in (movies.mean, movies.logvar)))
        wanted = model.rollout_latents(start, 4, load=load).mean[0].numpy()
    np.testing.assert_array_equal(movies.rolled[1, 2, 0], movies.mean[1, 2, 0])
    np.testing.assert_allclose(movies.rolled[1, 2, 1:], wanted, rtol=1e-5, atol=1e-6)


def test_samples_pair_latents_with_what_is_there(movies, model):
    samples = HeadSamples([movies], STAGE, model.config.scale_load, seed=1)
    batch = samples(STAGE.phases[0], 0, range(40))
    kinds = set()
    for mean, maps, load in zip(batch["mean"], batch["maps"], batch["load"], strict=True):
        found = [
            (variant, case, time, kind)
            for kind in ("mean", "rolled")
            for variant, case, time in np.ndindex(2, 3, 5)
            if np.array_equal(getattr(movies, kind)[variant, case, time], mean)
        ]
        variant, case, time, kind = found[0]
        kinds.add((variant, kind if time else "both"))
        assert case in (0, 2)
        truth = movies.maps[case, time]
        np.testing.assert_array_equal(maps, truth[..., ::-1, :] if variant else truth)
        assert load == pytest.approx(model.config.scale_load(float(movies.load[case])))
    assert kinds >= {(0, "mean"), (1, "mean"), (0, "rolled"), (1, "rolled")}


def test_windows_bring_the_maps_of_their_crop(movies, model):
    stage = replace(STAGE, kind="meso", rollouts=0.0, mirror=False)
    samples = WindowSamples(movies, stage, fields=FIELDS, load=None, seed=0)
    batch = samples.collect([(3, 2, 1)], 2, crop=4)
    mean, maps = batch["mean"][0].numpy(), batch["maps"][0].numpy()
    whole = movies.mean[0, 2, 1:4]
    places = [
        (y, x)
        for y, x in np.ndindex(whole.shape[-2] - 3, whole.shape[-1] - 3)
        if np.array_equal(whole[..., y : y + 4, x : x + 4], mean)
    ]
    (y, x) = places[0]
    np.testing.assert_array_equal(maps, movies.maps[2, 1:4, :, y : y + 4, x : x + 4])


def test_curves_read_off_a_rollout_are_the_heads(tiny, model):
    torch.manual_seed(1)
    head = ReadoutHead(HeadConfig(model.config.latent_size, 8, load_input=True)).eval()
    with Trajectories(tiny.meso) as data:
        forecast = read_rollout(model, head, data)(1)
        frame = data.shape[0] * data.shape[1] * data.pixel**2
        load = torch.tensor([model.config.scale_load(float(data.scalars["piston_speed"][1]))]).float()
        first = data.read(1, FIELDS, slice(0, 1))
    scaled = first.copy()
    scaled[:, 0], scaled[:, 1] = (first[:, 0] - 300) / 4700, (first[:, 1] + 2e9) / 52e9
    with torch.inference_mode():
        latent = model.encode(torch.from_numpy(scaled))
        for _ in range(3):
            latent = model.advance(latent, load)
        wanted = head(latent.mean, load)[0]
    names = list(QUANTITIES)
    assert forecast.curves.area[3] == pytest.approx(frame * wanted[0].item(), rel=1e-4)
    assert forecast.burned[3] == pytest.approx(wanted[names.index("burned_fraction")].item(), rel=1e-4)
    assert len(forecast.burned) == 5
