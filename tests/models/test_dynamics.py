"""The surrogate: parameter counts of the paper, one interface, and which output depends on which input."""

import pytest
import torch

from mld_closure.models.bundle_files import count_parameters
from mld_closure.models.dynamics import Latent, MesoDynamics, MicroDynamics
from mld_closure.models.resnet import ResNet16
from mld_closure.models.settings import ModelConfig
from mld_closure.models.unet import UNet
from mld_closure.models.vae import VAE, Decoder, Encoder

SMALL = {"base": 2, "latent_channels": 2}


@pytest.fixture(autouse=True)
def repeatable():
    torch.set_num_threads(1)
    torch.manual_seed(0)


def rand(*shape):
    return torch.rand(shape, generator=torch.Generator().manual_seed(5))


def frames(config, batch=2):
    return rand(batch, len(config.fields), 32, 64)


def model(kind=MesoDynamics, **settings):
    return kind(ModelConfig(**(SMALL | settings)))


def same(a, b):
    return torch.equal(a.mean, b.mean) and torch.equal(a.logvar, b.logvar)


def test_sizes_of_the_paper():
    assert count_parameters(Encoder(64, 4)) == 5_214_152
    assert count_parameters(Decoder(64, 4)) == 6_899_649
    # from the list of layers: 3 x 3 and 1 x 1 convolutions in units, widths 64, 128, 256
    assert count_parameters(UNet(12, 12, 64)) == 3_170_328
    assert count_parameters(ResNet16(4, 4, 64)) == 1_699_740


def test_shapes_follow_the_frame():
    vae = VAE(2, 3)
    mean, logvar = vae.encode(rand(2, 1, 32, 64))
    assert mean.shape == logvar.shape == (2, 3, 4, 8)
    assert vae.decode(mean).shape == (2, 1, 32, 64)


def test_vae_decodes_the_mean_or_a_sample():
    vae, x = VAE(2), rand(1, 1, 32, 32)
    with torch.no_grad():
        out = vae(x)
        assert torch.equal(out.reconstruction, vae.decode(out.mean))
        drawn = vae(x, torch.Generator().manual_seed(1))
        eps = torch.randn(out.mean.shape, generator=torch.Generator().manual_seed(1))
        assert torch.equal(drawn.reconstruction, vae.decode(out.mean + (out.logvar / 2).exp() * eps))


@pytest.mark.parametrize("evolution", ["unet", "resnet16"])
@pytest.mark.parametrize("options", [{}, {"residual": True, "standardize": True}])
@torch.inference_mode()
def test_trajectory_is_repeated_advance(evolution, options):
    m = model(evolution=evolution, load_conditioning=True, **options)
    m.scaling.fit(rand(3, 6, 2, 2), rand(3, 6, 2, 2))
    x, load = frames(m.config), torch.tensor([0.2, 0.7])
    latents = [m.encode(x)]
    for _ in range(4):
        latents.append(m.advance(latents[-1], load))
    wanted = torch.stack([m.decode(z) for z in latents[2::2]], dim=1)
    assert torch.equal(m.trajectory(x, 2, 2, load), wanted)
    rolled = m.rollout_latents(latents[0], 2, 2, load)
    assert torch.equal(rolled.mean, torch.stack([z.mean for z in latents[2::2]], dim=1))
    assert torch.equal(rolled.logvar, torch.stack([z.logvar for z in latents[2::2]], dim=1))
    assert same(m.advance(latents[0], load, steps=4), latents[4])


@torch.inference_mode()
def test_meso_is_micro_by_number():
    micro = model(MicroDynamics, meso_micro_ratio=3)
    meso = MesoDynamics.from_micro(micro)
    z = micro.encode(frames(micro.config))
    assert same(meso.advance(z), micro.advance(z, steps=3))
    apart = micro.coupled_step(micro.decoupled_step(z))
    assert same(apart, micro.advance(z))


def test_meso_shares_and_copies():
    micro = model(MicroDynamics)
    meso = MesoDynamics.from_micro(micro)
    assert meso.vaes is micro.vaes
    assert meso.decoupled_mean is micro.decoupled_mean
    with torch.no_grad():
        next(meso.coupled_mean.parameters()).add_(1.0)
    assert not torch.equal(next(meso.coupled_mean.parameters()), next(micro.coupled_mean.parameters()))
    own = MesoDynamics.from_micro(micro, shared=("vaes",))
    assert own.decoupled_mean is not micro.decoupled_mean


@torch.inference_mode()
def test_any_list_of_fields():
    for names in (("density",), ("velocity_y", "temperature", "reaction_progress", "pressure")):
        m = model(fields=names)
        x = frames(m.config)
        assert m.encode(x).mean.shape == (2, 2 * len(names), 4, 8)
        assert m.trajectory(x, 2).shape == (2, 2, len(names), 32, 64)


@torch.inference_mode()
def test_each_field_keeps_its_own_networks():
    m = model()
    x = frames(m.config)
    z = m.encode(x)
    for i, (name, channels) in enumerate(m.config.slices().items()):
        mean, logvar = m.vaes[name].encode(x[:, i : i + 1])
        torch.testing.assert_close(z.mean[:, channels], mean)
        torch.testing.assert_close(z.logvar[:, channels], logvar)
        moved = Latent(z.mean.clone(), z.logvar.clone())
        moved.mean[:, channels] += 1.0
        changed = (m.decoupled_step(moved).mean != m.decoupled_step(z).mean).any(dim=(0, 2, 3))
        assert changed[channels].any()
        assert not changed[: channels.start].any()
        assert not changed[channels.stop :].any()
        assert torch.equal(m.decode(z, [name]), m.decode(z)[:, i : i + 1])


@torch.inference_mode()
def test_means_do_not_see_log_variances():
    m = model()
    z = m.encode(frames(m.config))
    moved = Latent(z.mean, z.logvar + 1.0)
    assert torch.equal(m.advance(z).mean, m.advance(moved).mean)
    assert not torch.equal(m.advance(z).logvar, m.advance(moved).logvar)
    moved = Latent(z.mean + 1.0, z.logvar)
    assert not torch.equal(m.advance(z).logvar, m.advance(moved).logvar)


@torch.inference_mode()
def test_without_log_variance_networks():
    full = model(standardize=True)
    m = model(standardize=True, evolve_logvar=False)
    m.load_state_dict({k: v for k, v in full.state_dict().items() if k in m.state_dict()})
    for each in (m, full):
        each.scaling.fit(rand(3, 6, 2, 2), rand(3, 6, 2, 2))
    z = m.encode(frames(m.config))
    assert torch.equal(m.advance(z).mean, full.advance(z).mean)
    assert torch.equal(m.advance(z).logvar, z.logvar)
    assert set(m.parts()) == {"vaes", "decoupled_mean", "coupled_mean"}
    with pytest.raises(ValueError, match="cannot sample"):
        m.trajectory(frames(m.config), 1, generator=torch.Generator())


@torch.inference_mode()
def test_residual_networks_give_the_change():
    m = model(residual=True)
    z = m.encode(frames(m.config))
    for network in [m.coupled_mean, m.coupled_logvar, *m.decoupled_mean.values()]:
        last = network.out[-1]
        assert isinstance(last, torch.nn.Conv2d)
        last.weight.zero_()
    for network in m.decoupled_logvar.values():
        network.out[-1].weight.zero_()
    assert same(m.advance(z, steps=3), z)
    m.coupled_mean.out[-1].bias.fill_(-0.25)  # a negative change, which must not be clipped
    torch.testing.assert_close(m.advance(z).mean, z.mean - 0.5)


@pytest.mark.parametrize("evolution", ["unet", "resnet16"])
@torch.inference_mode()
def test_untrained_residual_model_changes_little(evolution):
    m = model(MicroDynamics, evolution=evolution, residual=True, base=8)
    z = Latent(*torch.randn((2, 2, 6, 8, 8), generator=torch.Generator().manual_seed(0)))
    assert 0 < float((m.advance(z).mean - z.mean).std()) < 0.5


@torch.inference_mode()
def test_standardised_networks_see_unit_latents():
    seen = {}
    m = model(MicroDynamics, standardize=True)
    z = Latent(*(rand(2, 50, 6, 8, 8) * 3.0 - 7.0))
    m.scaling.fit(*z)
    m.coupled_mean.register_forward_pre_hook(lambda _, args: seen.update(coupled=args[0]))
    for name, network in m.decoupled_logvar.items():
        network.register_forward_pre_hook(lambda _, args, name=name: seen.update({name: args[0]}))
    before = m.advance(z)
    for name in m.config.fields:
        torch.testing.assert_close(seen[name].mean(dim=(0, 2, 3)), torch.zeros(4), atol=1e-4, rtol=0)
        torch.testing.assert_close(seen[name].std(dim=(0, 2, 3)), torch.ones(4), atol=1e-3, rtol=0)
    m.scaling.fit(rand(2, 6, 2, 2), rand(2, 6, 2, 2))
    assert not torch.equal(m.advance(z).mean, before.mean)


def test_scaling_of_a_constant_channel_is_a_shift():
    m = model(standardize=True)
    z = torch.full((4, 6, 2, 2), 3.0)
    m.scaling.fit(z, z)
    mean, _ = m.scaling.scale(z, z)
    assert torch.equal(mean, torch.zeros_like(mean))
    assert torch.equal(m.scaling.unscale(mean, mean)[0], z)


@torch.inference_mode()
def test_load_enters_the_coupled_networks_only():
    m = model(load_conditioning=True)
    x = frames(m.config)
    z = m.encode(x)
    low, high = (m.advance(z, torch.tensor(u)) for u in ([0.5, 0.0], [0.5, 1.0]))
    assert torch.equal(low.mean[0], high.mean[0])
    assert not torch.equal(low.mean[1], high.mean[1])
    assert not torch.equal(low.logvar[1], high.logvar[1])
    for wrong in (None, torch.zeros(3)):
        with pytest.raises(ValueError, match="needs the scaled load of each sample"):
            m.advance(z, wrong)
    plain = model()
    assert same(plain.advance(z, torch.zeros(2)), plain.advance(z))


@torch.inference_mode()
def test_samples_come_from_the_generator():
    m = model()
    x = frames(m.config)

    def draw(seed, fields=None):
        return m.trajectory(x, 2, generator=torch.Generator().manual_seed(seed), fields=fields)

    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))
    assert torch.equal(draw(1, ["microstructure"]), draw(1)[:, :, 2:])
    z = m.encode(x)
    eps = torch.randn(z.mean.shape, generator=torch.Generator().manual_seed(7))
    wanted = m.decode(Latent(z.mean + eps * (z.logvar / 2).exp(), z.logvar))
    assert torch.equal(m.decode(z, generator=torch.Generator().manual_seed(7)), wanted)


def test_wrong_frames():
    m = model()
    with pytest.raises(ValueError, match="pad to 32 x 64 or crop"):
        m.encode(rand(1, 3, 32, 40))
    with pytest.raises(ValueError, match=r"expected \(batch, 3, y, x\) with the fields temperature"):
        m.encode(rand(1, 2, 32, 32))
    with pytest.raises(ValueError, match="no field 'density'"):
        m.decode(m.encode(rand(1, 3, 32, 32)), ["density"])


def test_frozen_parts_stay_bitwise_equal():
    m = model(base=8)
    m.set_trainable("coupled_mean", "coupled_logvar")
    before = {k: v.clone() for k, v in m.state_dict().items()}
    optimiser = torch.optim.Adam([p for p in m.parameters() if p.requires_grad], 1e-2, eps=1e-30)
    z = m.encode(frames(m.config))
    out = m.advance(z)
    (out.mean.square().mean() + out.logvar.square().mean()).backward()
    optimiser.step()
    for name, value in m.state_dict().items():
        assert torch.equal(value, before[name]) != name.startswith("coupled"), name
    with pytest.raises(ValueError, match="no part 'encoder'"):
        m.set_trainable("encoder")


def test_one_window_can_be_overfitted():
    m = model(MicroDynamics, fields=("temperature",), residual=True, evolve_logvar=False, base=16)
    coarse = torch.randn((1, 2, 3, 3), generator=torch.Generator().manual_seed(0))
    start = torch.nn.functional.interpolate(coarse, size=(8, 8), mode="bicubic")
    target = 0.7 * start.roll(2, dims=-1)  # carried along and weakened
    z = Latent(start, torch.zeros_like(start))
    optimiser = torch.optim.Adam([*m.coupled_mean.parameters(), *m.decoupled_mean.parameters()], 2e-3)
    for _ in range(150):
        optimiser.zero_grad()
        loss = (m.advance(z).mean - target).square().mean()
        loss.backward()
        optimiser.step()
    assert float(loss.detach()) < 0.05 * float((start - target).square().mean())


@pytest.mark.parametrize("options", [{}, {"residual": True, "standardize": True}])
@torch.inference_mode()
def test_autocast_keeps_latents_in_single_precision(options):
    m = model(base=8, **options)
    x = frames(m.config)
    exact = m.trajectory(x, 2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        z = m.encode(x)
        assert m.advance(z).mean.dtype == z.mean.dtype == torch.float32
        got = m.trajectory(x, 2)
    assert 0 < float((got - exact).abs().max()) < 0.4 * float(exact.abs().max())  # random networks


def test_weights_are_channels_last():
    m = model(base=8)
    kernels = [p for p in m.parameters() if p.ndim == 4]
    assert all(k.is_contiguous(memory_format=torch.channels_last) for k in kernels)
