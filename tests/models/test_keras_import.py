"""Import of Keras weights: order of the layers, inferred sizes, both evolution networks, refused files."""

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from mld_closure.models.bundle import Bundle
from mld_closure.models.dynamics import Latent
from mld_closure.models.keras_import import fill, import_keras
from mld_closure.models.resnet import ResNet16

PARITY = Path(__file__).resolve().parents[1] / "data" / "parity"
SCALES = {"pixel": 50e-9, "micro_step": 0.172e-9}


@pytest.fixture(autouse=True)
def repeatable():
    torch.set_num_threads(1)


def write(path, layers):
    """Write a weight file as Keras does: one group per layer, the order in two attributes."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [name.encode() for name in layers]
        for layer, tensors in layers.items():
            group = file.create_group(layer)
            group.attrs["weight_names"] = [f"{layer}/{name}:0".encode() for name in tensors]
            for name, value in tensors.items():
                group[f"{layer}/{name}:0"] = value


def resnet_layers(rng, c_in, c_out, base):
    """Random weights of a ResNet-16: per block shortcut, third, first, second; then one convolution."""

    def convolution(k, i, o):
        return rng.normal(0, (k * k * i) ** -0.5, (k, k, i, o)), rng.normal(0, 0.3, o)

    layers, blocks = {"input_7": {}}, []
    sizes = [(base, 4 * base), (2 * base, 8 * base), (2 * base, 8 * base), (4 * base, c_out)]
    for n, (width, out) in enumerate(sizes):
        block = {
            "shortcut": convolution(1, c_in, out),
            "third": convolution(1, width, out),
            "first": convolution(1, c_in, width),
            "second": convolution(3, width, width),
        }
        blocks.append(block)
        layers[f"block_{41 + n}"] = {
            f"conv2d_{100 + 4 * n + i}/{kind}": value
            for i, pair in enumerate(block.values())
            for kind, value in zip(("kernel", "bias"), pair, strict=True)
        }
        c_in = out
    last = convolution(1, c_out, c_out)
    layers["conv2d_9"] = dict(zip(("kernel", "bias"), last, strict=True))
    return layers, blocks, last


def resnet_by_hand(x, blocks, last):
    """The ResNet-16 in numpy with channels last, written without the package."""

    def convolve(a, pair):
        kernel, bias = pair
        k = kernel.shape[0]
        a = np.pad(a, ((0, 0), (k // 2,) * 2, (k // 2,) * 2, (0, 0)))
        ny, nx = a.shape[1] - k + 1, a.shape[2] - k + 1
        return bias + sum(a[:, i : i + ny, j : j + nx] @ kernel[i, j] for i in range(k) for j in range(k))

    def relu(a):
        return np.maximum(a, 0.0)

    for block in blocks:
        inner = relu(convolve(relu(convolve(x, block["first"])), block["second"]))
        x = relu(convolve(inner, block["third"]) + convolve(x, block["shortcut"]))
    return convolve(x, last)


def test_resnet_order(tmp_path):
    rng = np.random.default_rng(0)
    layers, blocks, last = resnet_layers(rng, 4, 4, base=2)
    write(tmp_path / "n.h5", layers)
    network = ResNet16(4, 4, base=2)
    fill(network, tmp_path / "n.h5")
    x = rng.normal(size=(2, 5, 6, 4))
    with torch.inference_mode():
        got = network(torch.tensor(x, dtype=torch.float32).movedim(-1, 1)).movedim(1, -1)
    np.testing.assert_allclose(got, resnet_by_hand(x, blocks, last), rtol=1e-4, atol=1e-5)


def test_directory_with_resnets(tmp_path):
    for path in PARITY.glob("*coder.h5"):
        shutil.copy(path, tmp_path)
    rng = np.random.default_rng(1)
    kept = {}
    for field in ("temperature", "pressure", "microstructure"):
        for kind, c_in in (("mean", 4), ("var", 8)):
            name = f"{field}_decoupled_latent_evolution_{kind}"
            kept[name] = resnet_layers(rng, c_in, 4, base=3)
    for kind, c_in in (("mean", 12), ("var", 24)):
        kept[f"coupled_latent_evolution_{kind}"] = resnet_layers(rng, c_in, 12, base=3)
    for name, (layers, _, _) in kept.items():
        write(tmp_path / f"{name}.h5", layers)
    bundle = import_keras(tmp_path, **SCALES)
    config = bundle.config
    assert (config.evolution, config.base, config.evolution_base, config.latent_channels) == (
        "resnet16",
        4,
        3,
        4,
    )
    z = rng.normal(size=(2, 4, 8, 24)).astype(np.float32)  # means and log-variances
    a, b = [], []
    for i, field in enumerate(config.fields):
        mean = z[..., 4 * i : 4 * i + 4]
        both = np.concatenate([mean, z[..., 12 + 4 * i : 16 + 4 * i]], axis=-1)
        a.append(resnet_by_hand(mean, *kept[f"{field}_decoupled_latent_evolution_mean"][1:]))
        b.append(resnet_by_hand(both, *kept[f"{field}_decoupled_latent_evolution_var"][1:]))
    wanted = resnet_by_hand(np.concatenate(a + b, axis=-1), *kept["coupled_latent_evolution_var"][1:])
    stacked = torch.from_numpy(z).movedim(-1, 1)
    with torch.inference_mode():
        got = bundle.micro.advance(Latent(stacked[:, :12], stacked[:, 12:]))
    np.testing.assert_allclose(got.logvar.movedim(1, -1), wanted, rtol=1e-3, atol=1e-4)


def test_sizes_of_the_unet_directory():
    bundle = import_keras(PARITY, **SCALES, meso_micro_ratio=3)
    config = bundle.config
    assert (config.evolution, config.base, config.evolution_base, config.latent_channels) == ("unet", 4, 4, 4)
    assert bundle.meso.steps_per_frame == 3
    assert bundle.meso_step == pytest.approx(0.516e-9)
    assert len(bundle.provenance["files"]) == 14


def test_imported_bundle_can_be_saved(tmp_path):
    bundle = import_keras(PARITY, **SCALES)
    bundle.save(tmp_path / "b")
    frame = np.random.default_rng(0).random((3, 32, 32))
    np.testing.assert_array_equal(Bundle.load(tmp_path / "b").rollout(frame, 1), bundle.rollout(frame, 1))
    stored = {p.name for p in (tmp_path / "b").iterdir()}
    assert "coupled_mean.safetensors" in stored  # both scales use one set here


def test_meso_networks_from_another_directory(tmp_path):
    for kind in ("mean", "var"):
        name = f"coupled_latent_evolution_{kind}.h5"
        shutil.copy(PARITY / name, tmp_path)
        with h5py.File(tmp_path / name, "r+") as file:
            layer = file.attrs["layer_names"][1]
            file[layer][file[layer].attrs["weight_names"][1]][:] = 7.0
    bundle = import_keras(PARITY, **SCALES, meso_directory=tmp_path)
    bias = [getattr(bundle, s).coupled_mean.level0[0][0].bias for s in ("micro", "meso")]
    assert torch.equal(bias[1], torch.full_like(bias[1], 7.0))
    assert not torch.equal(bias[0], bias[1])
    assert bundle.micro.decoupled_mean is bundle.meso.decoupled_mean


def test_refused_files(tmp_path):
    for path in PARITY.glob("*.h5"):
        shutil.copy(path, tmp_path)
    encoder = tmp_path / "pressure_encoder.h5"
    encoder.unlink()
    with pytest.raises(FileNotFoundError, match=r"no weight file .*pressure_encoder\.h5"):
        import_keras(tmp_path, **SCALES)
    encoder.write_bytes(b"text")
    with pytest.raises(ValueError, match="is not a Keras weight file"):
        import_keras(tmp_path, **SCALES)
    with h5py.File(encoder, "w") as file:
        file["x"] = np.zeros(3)
    with pytest.raises(ValueError, match="is not a Keras weight file"):
        import_keras(tmp_path, **SCALES)
    shutil.copy(tmp_path / "pressure_decoder.h5", encoder)
    with pytest.raises(ValueError, match="holds 12 convolutions; this network has 14"):
        import_keras(tmp_path, **SCALES)
    write(encoder, {"dense": {"kernel": np.zeros((3, 3)), "bias": np.zeros(3)}})
    with pytest.raises(ValueError, match="layers other than convolutions"):
        import_keras(tmp_path, **SCALES)


def test_wrong_order_is_seen(tmp_path):
    layers, _, _ = resnet_layers(np.random.default_rng(0), 4, 4, base=2)
    names = list(layers["block_41"])
    layers["block_41"] = {n: layers["block_41"][n] for n in [*names[4:], *names[:4]]}
    write(tmp_path / "n.h5", layers)
    with pytest.raises(
        ValueError, match=r"convolution 0 is \(2, 4, 1, 1\) \(out, in, y, x\), expected \(8, 4"
    ):
        fill(ResNet16(4, 4, base=2), tmp_path / "n.h5")
