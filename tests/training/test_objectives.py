"""Losses of the stages: right numbers, decoded parts equal to parts of whole frames, overfitting."""

import numpy as np
import pytest
import torch

from mld_closure.data.trajectories import Trajectories
from mld_closure.data.windows import split_cases
from mld_closure.models import losses
from mld_closure.models.dynamics import Latent, LatentDynamics, MesoDynamics, MicroDynamics
from mld_closure.models.parc import Parc, ParcConfig
from mld_closure.models.settings import ModelConfig
from mld_closure.models.vae import VAE
from mld_closure.training.curriculum import Curriculum, Phase
from mld_closure.training.loop import Plan, fit
from mld_closure.training.movies import Movies, mirrored
from mld_closure.training.objectives import DynamicsObjective, ParcObjective, VAEObjective, cut, decode_part
from mld_closure.training.samples import FrameSamples, StateSamples, WindowSamples
from mld_closure.training.settings import StageConfig
from mld_closure.training.stages import StageTask

NAMES = ("temperature", "pressure", "microstructure")


def stage(kind="meso", **changes):
    base = {
        "name": kind,
        "kind": kind,
        "phases": (Phase(horizon=2, steps=5),),
        "losses": {"reconstruction": 1.0} if kind == "vae" else {"mean": 1.0, "hot": 1.0},
        "batch": 3,
    }
    return StageConfig(**{**base, **changes})


@pytest.fixture
def model():
    torch.manual_seed(1)
    return MesoDynamics(ModelConfig(base=4, residual=True, standardize=True, evolve_logvar=False))


@pytest.fixture
def movies(tiny, tmp_path, model):
    file = Trajectories(tiny.meso)
    out = Movies("meso", file, NAMES, split_cases(file.n_cases, 1, 0), tmp_path)
    out.encode(model, mirror=True)
    return out


@pytest.mark.parametrize("size", [(4, 4), (2, 6), (8, 12)])
def test_a_decoded_part_equals_that_part_of_the_decoded_whole(model, size):
    torch.manual_seed(2)
    z = torch.randn(5, 2, 12, 12, 16)
    corners = [(0, 0), (12 - size[0], 16 - size[1]), (3, 4), (4, 0), (1, 2)]
    with torch.no_grad():
        whole = decode_part(model, z, ("pressure", "temperature"))
        part = decode_part(model, z, ("pressure", "temperature"), corners, size)
        torch.testing.assert_close(
            whole[:, 1], model.decode(Latent(z[:, 1], z[:, 1]), ("pressure", "temperature"))
        )
    expected = cut(whole, [(8 * y, 8 * x) for y, x in corners], [8 * n for n in size])
    torch.testing.assert_close(part, expected, rtol=1e-4, atol=1e-5)


def test_windows_show_the_movie_they_are_cut_from(movies):
    samples = WindowSamples(
        movies,
        stage(crop=8, margin=1, decode_every=1, decode_crop=4),
        fields=("pressure", "temperature"),
        load=np.array([0.1, 0.2, 0.3]),
        seed=5,
    )
    mirrored_seen = set()
    for k in range(60):
        case, time = samples.windows(2).sample(k, 5)
        batch = samples(Phase(horizon=2, steps=1), 0, range(k, k + 1))
        assert case in movies.split.train
        z = batch["mean"][0].numpy()
        assert z.shape == (3, 12, 8, 8)
        found = [
            (v, y, x)
            for v in range(2)
            for y in range(0, 1, 4)
            for x in range(0, 5, 4)
            if np.array_equal(movies.mean[v, case, time : time + 3, :, y : y + 8, x : x + 8], z)
        ]
        assert len(found) == 1
        variant, y, x = found[0]
        mirrored_seen.add(variant)
        (sy, sx), (sh, sw) = batch["scored"][0], batch["scored_size"]
        assert (sh, sw) == (8, 6)  # whole height; a margin at sides cut along x
        assert sy == 0
        assert sx >= (1 if x else 0)
        assert x + sx + sw <= (11 if x + 8 < 12 else 12)
        (dy, dx), (dh, dw) = batch["decoded"][0], batch["decoded_size"]
        assert sy <= dy <= dy + dh <= sy + sh
        assert sx <= dx <= dx + dw <= sx + sw
        frames = movies.frames[case, time + 1 : time + 3]
        frames = mirrored(frames, NAMES) if variant else frames
        top, left = 8 * (y + dy), 8 * (x + dx)
        expected = frames[:, [1, 0], top : top + 32, left : left + 32]
        np.testing.assert_array_equal(batch["truth"][0], expected)
        assert float(batch["load"][0]) == pytest.approx(0.1 * (case + 1))
    assert mirrored_seen == {0, 1}


def test_samples_do_not_depend_on_their_batch(movies):
    samples = WindowSamples(movies, stage(crop=8, decode_every=1), fields=NAMES, load=None, seed=5)
    together = samples(Phase(horizon=2, steps=1), 0, range(4, 8))
    alone = samples(Phase(horizon=2, steps=1), 0, range(6, 7))
    for name in ("mean", "logvar", "truth"):
        assert torch.equal(together[name][2:3], alone[name])
    frames = FrameSamples([movies], stage("vae", field="pressure", crop=32), 4, 1)
    together, alone = frames(Phase(steps=1), 3, range(4, 8)), frames(Phase(steps=1), 3, range(6, 7))
    assert torch.equal(together["x"][2:3], alone["x"])
    assert torch.equal(together["eps"][2:3], alone["eps"])


def test_decoding_falls_on_every_kth_step_and_only_on_the_last_frames(movies):
    one = stage(decode_every=3, decode_frames=1)
    samples = WindowSamples(movies, one, fields=("temperature",), load=None, seed=5)
    due = ["truth" in samples(one.phases[0], step, range(2)) for step in range(6)]
    assert due == [True, False, False, True, False, False]
    batch = samples(one.phases[0], 0, range(1))
    case, time = samples.windows(2).sample(0, 5)
    both = [movies.frames[case, time + 2 : time + 3, :1], movies.frames[case, time + 2 : time + 3, :1, ::-1]]
    assert any(np.array_equal(batch["truth"][0], frames) for frames in both)
    off = samples(Phase(horizon=2, steps=1, decode_every=0), 0, range(2))
    assert "truth" not in off


def test_losses_of_a_window_are_those_of_its_rollout(model, movies):
    model.scaling.fit(torch.from_numpy(np.array(movies.mean)), torch.from_numpy(np.array(movies.logvar)))
    objective = DynamicsObjective(
        model, LatentDynamics.advance, ("mean", "hot"), fields=("temperature",), hot_weight=3.0, l1=0.5
    )
    mean = torch.from_numpy(np.array(movies.mean[0, :2, :3]))
    logvar = torch.from_numpy(np.array(movies.logvar[0, :2, :3]))
    truth = torch.from_numpy(np.array(movies.frames[:2, 1:3, :1]))
    with torch.no_grad():
        found = objective(mean, logvar, truth=truth)
        rolled = model.rollout_latents(Latent(mean[:, 0], logvar[:, 0]), 2)
        decoded = torch.stack([model.vaes["temperature"].decode(rolled.mean[:, t, :4]) for t in range(2)], 1)
    shift, scale = model.scaling.mean_shift, model.scaling.mean_scale
    slices = model.config.slices()
    expected = losses.consistency_loss((rolled.mean - shift) / scale, (mean[:, 1:] - shift) / scale, slices)
    torch.testing.assert_close(found["mean"], expected)
    emphasis = 1 + 3 * (truth / 0.3).clamp(0, 1)
    error = decoded - truth
    hot = 2 * (emphasis * (error**2 + 0.5 * error.abs())).mean()
    torch.testing.assert_close(found["hot"], hot)
    assert set(found) == {"mean", "hot"}


def test_hot_places_count_more_in_the_latent_loss(model, movies):
    one = stage(crop=8, latent_hot_weight=4.0)
    samples = WindowSamples(movies, one, fields=("temperature",), load=None, seed=5)
    batch = samples(one.phases[0], 1, range(3))
    objective = DynamicsObjective(model, LatentDynamics.advance, ("mean",), latent_hot_weight=4.0)
    heat = batch["heat"]
    for k in range(3):
        case, time = samples.windows(2).sample(k, 5)
        frames = torch.from_numpy(np.array(movies.frames[case, time + 1 : time + 3, :1]))
        pooled = torch.nn.functional.max_pool2d(frames, 8)  # (time, 1, y, x)
        parts = [pooled[..., x : x + 8] for x in (0, 4)] + [pooled.flip(2)[..., x : x + 8] for x in (0, 4)]
        assert any(torch.equal(heat[k], part) for part in parts)
    assert float(heat.max()) > 0.04
    with torch.no_grad():
        found = objective(**batch)["mean"]
        rolled = model.rollout_latents(Latent(batch["mean"][:, 0], batch["logvar"][:, 0]), 2).mean
    expected = 0.0
    weight = 1 + 4 * (heat / 0.3).clamp(0, 1)
    for channels in model.config.slices().values():
        p, t = (
            cut(z[:, :, channels], batch["scored"], batch["scored_size"])
            for z in (rolled, batch["mean"][:, 1:])
        )
        w = cut(weight, batch["scored"], batch["scored_size"])
        error = (w * (p - t) ** 2) / (losses.state_norm(t) + 1e-6) ** 2
        expected += error.mean(dim=(0, 2, 3, 4)).sum()
    torch.testing.assert_close(found, torch.as_tensor(expected))


def test_truncated_rollouts_have_the_same_losses_and_gradients_of_their_last_part(model, movies):
    windows = WindowSamples(movies, stage(), fields=NAMES, load=None, seed=0)
    batch = windows.collect([(0, 0, 0)], 4)
    del batch["logvar"]
    logvar = torch.zeros_like(batch["mean"])
    found = {}
    for truncate in (0, 2, 4):
        objective = DynamicsObjective(model, LatentDynamics.advance, ["mean"], truncate=truncate)
        first = batch["mean"].clone().requires_grad_(True)
        loss = objective(first, logvar)["mean"]
        found[truncate] = loss.item(), torch.autograd.grad(loss, first)[0][:, 0]
    assert found[0][0] == found[2][0] == found[4][0]
    torch.testing.assert_close(found[4][1], found[0][1])
    # the first frame influences two steps instead of four
    short = DynamicsObjective(model, LatentDynamics.advance, ["mean"])
    first = batch["mean"].clone().requires_grad_(True)
    loss = short(first[:, :3], logvar[:, :3])["mean"]
    torch.testing.assert_close(found[2][1], torch.autograd.grad(loss, first)[0][:, 0])
    assert not torch.allclose(found[2][1], found[0][1])


def test_vae_losses_are_per_pixel_and_of_the_sampled_latent():
    torch.manual_seed(3)
    vae = VAE(base=2)
    objective = VAEObjective(vae, ("reconstruction", "kl", "edge"), hot_weight=2.0, l1=0.1)
    x, eps = torch.rand(3, 1, 32, 32), torch.randn(3, 4, 4, 4)
    with torch.no_grad():
        found = objective(x, eps)
        mean, logvar = vae.encode(x)
        y = vae.decode(mean + torch.exp(logvar / 2) * eps)
    emphasis = 1 + 2 * (x / 0.3).clamp(0, 1)
    expected = (emphasis * ((y - x) ** 2 + 0.1 * (y - x).abs())).mean()
    torch.testing.assert_close(found["reconstruction"], expected)
    torch.testing.assert_close(found["kl"], losses.kl_divergence(mean, logvar).mean() / 1024)
    torch.testing.assert_close(found["edge"], losses.edge_loss(y, x).mean() / 1024)


def test_one_window_can_be_overfitted(movies, tmp_path):
    torch.manual_seed(4)
    model = MicroDynamics(ModelConfig(base=8, residual=True, standardize=True, evolve_logvar=False))
    mean, logvar = (
        torch.from_numpy(np.array(v[0, :1, 1:3, :, :4, :4])) for v in (movies.mean, movies.logvar)
    )
    model.scaling.fit(mean, logvar)
    model.set_trainable("decoupled_mean", "coupled_mean")
    task = StageTask(
        objective=DynamicsObjective(model, LatentDynamics.advance, ("mean",)),
        weights={"mean": 1.0},
        curriculum=Curriculum([Phase(steps=150)], lambda phase: 1, 1),
        samples=lambda phase, step, samples: {"mean": mean, "logvar": logvar},
        validation=dict,
    )
    _, history = fit(task, Plan(batch=1, lr=5e-3, clip=5.0, record_every=1), tmp_path / "one.pt")
    assert history[-1]["mean"] < 0.02 * history[0]["mean"]


def test_the_parcv2_baseline_is_scored_on_its_rollout(tiny, tmp_path):
    torch.manual_seed(5)
    config = ParcConfig(base=4, integrator="heun", noise=0.0)
    file = Trajectories(tiny.meso)
    movies = Movies("parc", file, config.fields, split_cases(3, 1, 0), tmp_path)
    samples = StateSamples(movies, stage("parc", losses={"absolute": 1.0}, crop=32), 1)
    state = samples(Phase(horizon=2, steps=1), 0, range(2))["state"]
    assert state.shape == (2, 3, 5, 32, 32)
    parc = Parc(config)
    with torch.no_grad():
        found = ParcObjective(parc)(state)["absolute"]
        rolled = parc.rollout_latents(parc.encode(state[:, 0]), 2).mean
    torch.testing.assert_close(found, (rolled - state[:, 1:]).abs().mean())
