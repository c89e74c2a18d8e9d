"""Bundles: equal bits after saving and loading, shared parts stored once, all damage reported."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from mld_closure import fields as field_table
from mld_closure import intake
from mld_closure.models import bundle as bundle_room
from mld_closure.models import manifest as manifest_room
from mld_closure.models.bundle import Bundle, BundleError, Extra, describe, is_bundle
from mld_closure.models.bundle_files import count_parameters
from mld_closure.models.dynamics import MesoDynamics, MicroDynamics
from mld_closure.models.settings import ModelConfig

FIELDS = ("temperature", "pressure")
CONFIG = ModelConfig(fields=FIELDS, base=4, residual=True, standardize=True, load_conditioning=True)


def make(config=CONFIG, **changes):
    torch.set_num_threads(1)
    torch.manual_seed(3)
    micro = MicroDynamics(config)
    size = (5, config.latent_size, 3, 3)
    micro.scaling.fit(torch.randn(size) * 2 + 1, torch.randn(size) - 4)
    meso = MesoDynamics.from_micro(micro)
    torch.nn.init.normal_(list(meso.coupled_mean.parameters())[-2])
    facts = {
        "pixel": 50e-9,
        "micro_step": 0.172e-9,
        "horizon": 24,
        "load_range": (500.0, 1400.0),
        "provenance": {"seed": 3},
        "extras": {"readout": Extra({"width": 2}, {"weight": torch.arange(6.0).reshape(2, 3)})},
    }
    return Bundle(micro, meso, **facts | changes)


def frame(batch=2):
    rng = np.random.default_rng(0)
    unit = rng.random((batch, len(FIELDS), 32, 64))
    return np.stack([field_table.get(n).unscale(unit[:, i]) for i, n in enumerate(FIELDS)], axis=1)


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle") / "b"
    make().save(folder)
    return folder


@pytest.fixture
def saved(original, tmp_path):
    return shutil.copytree(original, tmp_path / "b")


def edit(directory, change):
    """Change a manifest and seal it again, so that what is wrong in it is found, not that it was altered."""
    path = directory / "bundle.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_bytes(intake.canonical(intake.sealed(content)))


def test_loaded_bundle_gives_the_same_bits(saved):
    made, loaded = make(), Bundle.load(saved)
    for scale in ("micro", "meso"):
        got = loaded.rollout(frame(), 2, scale, load=900.0, generator=1)
        assert np.array_equal(got, made.rollout(frame(), 2, scale, load=900.0, generator=1))
    for name in ("config", "pixel", "micro_step", "meso_step", "horizon", "load_range", "provenance"):
        assert getattr(loaded, name) == getattr(made, name)
    assert loaded.extras["readout"].config == {"width": 2}
    assert torch.equal(loaded.extras["readout"].state["weight"], torch.arange(6.0).reshape(2, 3))
    assert loaded.content_hash() == made.content_hash() == describe(saved)["content_hash"]
    assert not loaded.meso.training
    assert not any(p.requires_grad for p in loaded.meso.parameters())


def test_shared_parts_are_stored_and_loaded_once(saved):
    names = {p.name for p in saved.iterdir()}
    assert {"vaes.safetensors", "decoupled_mean.safetensors", "coupled_logvar.safetensors"} <= names
    assert {"micro_coupled_mean.safetensors", "meso_coupled_mean.safetensors"} <= names
    assert not names & {"micro_vaes.safetensors", "meso_vaes.safetensors", "coupled_mean.safetensors"}
    loaded = Bundle.load(saved)
    assert loaded.micro.vaes is loaded.meso.vaes
    assert loaded.micro.coupled_mean is not loaded.meso.coupled_mean


def test_loading_leaves_random_numbers_alone(saved):
    torch.manual_seed(0)
    wanted = torch.rand(3)
    torch.manual_seed(0)
    Bundle.load(saved)
    assert torch.equal(torch.rand(3), wanted)


def test_saving_leaves_the_models_alone(tmp_path):
    made = make()
    made.meso.set_trainable("coupled_mean")
    before = {n: p.requires_grad for n, p in made.meso.named_parameters()}
    made.save(tmp_path / "b")
    assert {n: p.requires_grad for n, p in made.meso.named_parameters()} == before
    assert made.meso.training


def test_rollout_is_scaling_around_the_trajectory():
    made = make()
    unit = np.stack([field_table.get(n).scale(frame()[:, i]) for i, n in enumerate(FIELDS)], axis=1)
    load = torch.tensor([0.0, 1.0])
    with torch.inference_mode():
        frames = made.meso.trajectory(torch.tensor(unit, dtype=torch.float32), 3, load=load).numpy()
    got = made.rollout(frame(), 3, load=np.array([500.0, 1400.0]))
    for i, name in enumerate(FIELDS):
        wanted = field_table.get(name).unscale(frames[:, :, i])
        np.testing.assert_array_equal(got[:, :, i], wanted)
    alone = made.rollout(frame()[0], 3, load=500.0)
    for i in range(len(FIELDS)):  # another batch size changes the order of sums
        np.testing.assert_allclose(alone[:, i], got[0, :, i], rtol=0, atol=1e-5 * np.ptp(got[0, :, i]))
    only = made.rollout(frame(), 3, load=np.array([500.0, 1400.0]), outputs=["pressure"])
    np.testing.assert_array_equal(only[:, :, 0], got[:, :, 1])


@pytest.mark.parametrize("precision", ["bf16", "bf16-decode"])
def test_rollout_in_bf16_is_near_fp32(precision):
    made = make()
    exact = made.rollout(frame(), 2, load=900.0)
    got = made.rollout(frame(), 2, load=900.0, precision=precision)
    assert got.dtype == np.float32
    for i in range(len(FIELDS)):
        assert 0 < np.abs(got[:, :, i] - exact[:, :, i]).max() < 0.1 * np.ptp(exact[:, :, i])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"fields": np.zeros((3, 32, 32))}, r"shape \(3, 32, 32\); expected \(\[batch,\] 2, y, x\)"),
        ({"fields": np.full((2, 32, 32), np.nan)}, "not finite"),
        ({"fields": np.zeros((2, 32, 40))}, "pad to 32 x 64"),
        ({"scale": "macro"}, "choose micro | meso"),
        ({"n_steps": 0}, "n_steps must be at least 1"),
        ({"load": None}, "needs the scaled load"),
        ({"outputs": ["density"]}, "no field 'density'"),
    ],
)
def test_bad_rollouts(call, message):
    with pytest.raises(ValueError, match=message):
        make().rollout(**{"fields": np.zeros((2, 32, 32)), "n_steps": 1, "load": 900.0} | call)


def test_no_sampling_without_logvar_networks():
    made = make(ModelConfig(fields=FIELDS, base=4, evolve_logvar=False))
    with pytest.raises(ValueError, match="no log-variances"):
        made.rollout(frame(), 1, generator=0)


def test_description(saved):
    made, text = make(), describe(saved)
    micro = sum(count_parameters(part) for part in made.micro.parts().values())
    assert text["parameters"] == {"micro": micro, "meso": micro}
    assert text["meso_step"] == 0.344e-9
    assert list(text["fields"]) == list(FIELDS)
    assert text["extras"] == {"readout": {"width": 2}}
    json.dumps(text, allow_nan=False)


def test_description_needs_no_torch(saved):
    code = (
        "import sys; from mld_closure.models.manifest import describe, is_bundle;"
        f"assert is_bundle({str(saved)!r}); describe({str(saved)!r}); print('torch' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"


def damage(directory, kind):
    vaes = directory / "vaes.safetensors"
    if kind == "truncated":
        vaes.write_bytes(vaes.read_bytes()[:-100])
    elif kind == "altered":
        data = bytearray(vaes.read_bytes())
        data[-1] ^= 1
        vaes.write_bytes(bytes(data))
    elif kind == "missing file":
        vaes.unlink()
    elif kind == "missing manifest":
        (directory / "bundle.json").unlink()
    elif kind == "half a manifest":
        path = directory / "bundle.json"
        path.write_text(path.read_text()[:200])
    elif kind == "other JSON":
        (directory / "bundle.json").write_text("[1, 2]")
    elif kind == "version":
        edit(directory, lambda m: m.update(version=99))
    elif kind == "missing key":
        edit(directory, lambda m: m.pop("horizon"))
    elif kind == "unknown setting":
        edit(directory, lambda m: m["config"].update(bsae=4))
    elif kind == "field scaling":
        edit(directory, lambda m: m["fields"]["temperature"].update(high=6000.0))
    elif kind == "path outside":
        edit(directory, lambda m: m["parts"]["micro"].update(vaes="../b/vaes.safetensors"))
        edit(directory, lambda m: m["files"].update({"../b/vaes.safetensors": m["files"][vaes.name]}))
    elif kind == "unlisted part":
        edit(directory, lambda m: m["parts"]["meso"].pop("coupled_mean"))
    elif kind == "negative pixel":
        edit(directory, lambda m: m.update(pixel=-1.0))
    elif kind == "wrong shape":
        edit(directory, lambda m: m["config"].update(base=8))
    elif kind == "fields mismatch":
        edit(directory, lambda m: m["fields"].pop("pressure"))
    else:
        replace(directory, kind)


def replace(directory, kind):
    """Replace one file of a bundle and adapt the manifest, so that hash and size still agree."""
    vaes = directory / "vaes.safetensors"
    state = safetensors.torch.load_file(vaes)
    name = sorted(state)[0]
    if kind == "lacking tensor":
        state.pop(name)
    elif kind == "unknown tensor":
        state["surplus"] = torch.zeros(2)
    elif kind == "wrong dtype":
        state[name] = state[name].double()
    data = b"not safetensors" if kind == "no safetensors" else safetensors.torch.save(state)
    vaes.write_bytes(data)
    entry = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    edit(directory, lambda m: m["files"].update({vaes.name: entry}))


DAMAGES = {
    "truncated": "bytes instead of",
    "altered": "was altered",
    "missing file": "lacks the file vaes.safetensors",
    "missing manifest": "has no bundle.json",
    "half a manifest": "is damaged",
    "other JSON": "does not describe a bundle",
    "version": "format version 99; this package reads version 2",
    "missing key": "'horizon' must be a int",
    "unknown setting": "did you mean 'base'",
    "field scaling": "field 'temperature' was scaled with",
    "path outside": "by name alone",
    "unlisted part": "lists no file for coupled_mean of the meso model",
    "negative pixel": "'pixel' must be above 0 and at most 1",
    "wrong shape": r"the configuration asks for \(",
    "fields mismatch": "but models",
    "lacking tensor": "lacks the tensor",
    "unknown tensor": "holds the tensor surplus",
    "wrong dtype": "torch.float64; the configuration asks for",
    "no safetensors": "is not a safetensors file",
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_damaged_bundles(saved, kind):
    damage(saved, kind)
    with pytest.raises(BundleError, match=DAMAGES[kind]) as caught:
        Bundle.load(saved)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["truncated", "altered", "missing file", "version", "no safetensors"])
def test_descriptions_check_the_files(saved, kind):
    damage(saved, kind)
    with pytest.raises(BundleError, match=DAMAGES[kind]):
        describe(saved)


def test_names_and_paths(saved, tmp_path, monkeypatch):
    monkeypatch.setattr(manifest_room, "SHIPPED", tmp_path)
    assert is_bundle("b")
    assert is_bundle(saved)
    assert not is_bundle(tmp_path)
    assert not is_bundle("c")
    assert Bundle.load("b").pixel == 50e-9
    with pytest.raises(BundleError, match="no bundle at c; shipped bundles: b"):
        Bundle.load("c")
    with pytest.raises(BundleError, match="is a file"):
        Bundle.load(saved / "vaes.safetensors")


def test_nothing_is_overwritten_unasked(saved, tmp_path):
    with pytest.raises(FileExistsError, match="exists already"):
        make().save(saved)
    make(horizon=7).save(saved, overwrite=True)
    assert Bundle.load(saved).horizon == 7
    (tmp_path / "mine").mkdir()
    with pytest.raises(FileExistsError, match="choose another name"):
        make().save(tmp_path / "mine", overwrite=True)
    assert {p.name for p in tmp_path.iterdir()} == {"b", "mine"}


@pytest.mark.parametrize("moment", ["fsync", "rename"])
def test_interrupted_write_leaves_the_old_bundle(saved, tmp_path, monkeypatch, moment):
    def fail(*args):
        raise KeyboardInterrupt

    if moment == "fsync":
        monkeypatch.setattr(os, "fsync", fail)
    else:
        replace_ = os.replace
        monkeypatch.setattr(
            os, "replace", lambda a, b: fail() if Path(a).suffix == ".new" else replace_(a, b)
        )
    with pytest.raises(KeyboardInterrupt):
        make(horizon=7).save(saved, overwrite=True)
    monkeypatch.undo()
    assert Bundle.load(saved).horizon == 24
    assert [p.name for p in tmp_path.iterdir()] == ["b"]


def test_bundle_refuses_nonsense():
    with pytest.raises(ValueError, match="same configuration"):
        Bundle(
            MicroDynamics(CONFIG),
            MesoDynamics(ModelConfig(base=4)),
            pixel=1.0,
            micro_step=1.0,
            horizon=1,
            load_range=(0, 1),
        )
    with pytest.raises(ValueError, match=r"extra '\.\./x'"):
        make(extras={"../x": Extra({}, {})})
    assert bundle_room.BundleError is manifest_room.BundleError
