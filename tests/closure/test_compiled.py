"""Compiled steps: the eager numbers, what is refused before anything is loaded, and no pickle on the way."""

import dataclasses
import json
import pickle
import shutil
import zipfile

import numpy as np
import pytest
import torch

from mld_closure.cli.main import main
from mld_closure.device import choose
from mld_closure.fields import MODEL_FIELDS
from mld_closure.models.bundle import BundleError
from mld_closure.models.dynamics import Latent
from mld_closure.surrogate import agreement, compiled
from mld_closure.surrogate import export as room
from mld_closure.surrogate.export import compare, export
from mld_closure.surrogate.options import EngineOptions

PEAKS = np.array([5e9, 6e9, 7e9, 8e9, 9e9])
TIMES = np.linspace(0, 3e-9, 10)
SMALL = {  # the least that compiles: 25 s of processor time, nearly all of it torch's own start and g++
    "fields": ("temperature",),
    "evolve_logvar": False,
    "meso_micro_ratio": 2,
    "latent_channels": 2,
    "evolution": "resnet16",
    "residual": False,  # so that results lie channel by channel, as the networks make them
}


@pytest.fixture(scope="module")
def file(kit, tmp_path_factory):
    """A compiled file of the small bundle, made by the one compilation of this module."""
    path = tmp_path_factory.mktemp("compiled") / "step.pt2"
    facts = export(kit.bundle(**SMALL), path, frame_shape=(32, 32))
    assert compiled.read_facts(path) == facts
    assert [p.name for p in path.parent.iterdir()] == ["step.pt2"]
    return path


def latents(kit, n, seed=0):
    generator = torch.Generator().manual_seed(seed)
    mean = torch.randn(n, 2, 4, 4, generator=generator)
    return Latent(mean, torch.zeros(1, 1, 1, 1).expand_as(mean)), torch.rand(n, generator=generator)


@pytest.mark.system
def test_the_compiled_step_gives_the_eager_numbers_for_any_batch(kit, file):
    model = kit.bundle(**SMALL).meso
    step = compiled.CompiledStep(file, compiled.read_facts(file), model)
    for n in (1, 2, 3, 8, 13):
        z, load = latents(kit, n)
        with torch.inference_mode():
            got, wanted = step(z, load), model.advance(z, load)
        moved = float((wanted.mean - z.mean).abs().max())
        assert moved > 1e-3
        np.testing.assert_allclose(got.mean, wanted.mean, atol=1e-5 * moved + 1e-6)
        assert got.logvar is z.logvar
    with pytest.raises(ValueError, match=r"takes \(2, 2, 4, 4\)"):
        step(Latent(torch.zeros(2, 2, 4, 8), torch.zeros(2, 2, 4, 8)), torch.zeros(2))


@pytest.mark.system
def test_a_cell_has_the_same_bits_whatever_its_neighbours_in_reproducible_mode(kit, file):
    options = {"compiled": file, "reproducible": True, "micro_batch": 4}
    five = kit.make(given=kit.bundle(**SMALL), **options)
    one = kit.make(n=0, given=kit.bundle(**SMALL), **options)
    one.register([103], patches=kit.patches(5)[3:4])
    a = kit.run(five, TIMES, lambda t: kit.ramp(t, PEAKS, 0.5e-9))[-1]
    b = kit.run(one, TIMES, lambda t: kit.ramp(t, PEAKS[3:4], 0.5e-9))[-1]
    assert a.burned_fraction[3] == b.burned_fraction[0] > 0


@pytest.mark.system
def test_a_closure_serves_the_same_cells_compiled_and_eager(kit, file):
    eager, fast = (kit.make(given=kit.bundle(**SMALL), compiled=c) for c in (None, file))
    assert isinstance(kit.engine(fast).step, compiled.CompiledStep)
    assert fast.options.engine.patch_shape == (32, 32)
    shock = lambda t: kit.ramp(t, PEAKS, 0.5e-9)  # noqa: E731
    for a, b in zip(kit.run(eager, TIMES, shock), kit.run(fast, TIMES, shock), strict=True):
        np.testing.assert_allclose(a.burned_fraction, b.burned_fraction, atol=1e-6)
        np.testing.assert_allclose(a.mean_temperature, b.mean_temperature, rtol=1e-5)
    assert a.burned_fraction.min() > 0


@pytest.mark.system
def test_the_comparison_measures_both(kit, file):
    found = compare(kit.bundle(**SMALL), file, choose("cpu", "fp32", 1), cells=3, frames=4)
    assert found["latents"]["compiled_to_eager"][0] < 1e-5 < found["latents"]["greatest"][0]
    assert found["latents"]["eager_to_fp32"] == [0, 0]
    assert found["readouts"]["compiled_to_eager"]["burned_fraction"] < 1e-5
    assert found["speedup"] == pytest.approx(found["seconds"]["eager"] / found["seconds"]["compiled"])
    with pytest.raises(BundleError, match="do not use it on this machine"):
        compare(wrong(kit), file, choose("cpu", "fp32", 1), cells=3, frames=4)


def wrong(kit):
    """A bundle for which the compiled file is wrong code, though it claims to be made from it."""
    other = kit.bundle(**SMALL)
    other.meso.coupled_mean.out.weight.data.mul_(1.001)
    other.content_hash = kit.bundle(**SMALL).content_hash
    return other


@pytest.mark.system
def test_a_step_that_differs_is_not_exported(kit, file, tmp_path, monkeypatch, capsys):
    """The compiler is replaced by one that makes another step."""
    monkeypatch.setattr(
        room, "_compile", lambda step, inputs, any_batch, facts, path: shutil.copy(file, path)
    )
    out = tmp_path / "out" / "step.pt2"
    with pytest.raises(BundleError, match=r"the step compiled for .*step.pt2: one step of the mean differs"):
        export(wrong(kit), out, frame_shape=(32, 32))
    assert not list(out.parent.iterdir())
    out.write_text("an older file")
    with pytest.raises(BundleError, match="where fp32 allows"):
        export(wrong(kit), out, frame_shape=(32, 32))
    assert [p.read_text() for p in out.parent.iterdir()] == ["an older file"]
    out.unlink()
    wrong(kit).save(tmp_path / "bundle")
    with pytest.raises(SystemExit) as end:
        main(["export", str(tmp_path / "bundle"), "--out", str(out), "--frame", "32", "32"])
    said = capsys.readouterr()
    assert (end.value.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert not list(out.parent.iterdir())


@pytest.mark.system
def test_a_step_that_differs_is_not_loaded(kit, file):
    with pytest.raises(BundleError, match=r"step.pt2: one step of the mean differs from the eager step"):
        kit.make(n=0, given=wrong(kit), compiled=file)


def test_what_agrees_and_what_does_not(kit):
    """A small error in means is not hidden by large log-variances, nor in what is added to large latents."""
    model = kit.bundle(fields=MODEL_FIELDS).meso
    latent, load = agreement.trial_latents(model, (32, 64))
    assert latent.mean.shape == (2, 12, 4, 8)
    large = Latent(latent.mean, 1e6 * latent.logvar)

    def off(error):
        def step(z, loads):
            right = model.advance(z, loads)
            return Latent(right.mean + error * (right.mean - z.mean).abs().max(), right.logvar)

        return step

    for start in (latent, large):
        for precision in ("fp32", "bf16"):
            low = agreement.eager_step(model, precision)
            agreement.require_agreement("a step", low, model, precision, start, load)
        agreement.require_agreement("a step", off(5e-5), model, "fp32", start, load)
        with pytest.raises(BundleError, match="a step: one step of the mean differs"):
            agreement.require_agreement("a step", off(3e-4), model, "fp32", start, load)
        with pytest.raises(BundleError, match="differs from the eager step by nan"):
            agreement.require_agreement("a step", off(np.nan), model, "fp32", start, load)


def test_networks_that_give_nearly_nothing_are_compared_by_that(kit):
    model = kit.bundle(residual=False, evolve_logvar=True, meso_micro_ratio=2).meso
    latent, load = agreement.trial_latents(model, (32, 32))
    faint = model.advance(latent, load).mean.abs().max()
    assert faint < 1e-3

    def nothing(z, loads):
        return Latent(torch.zeros_like(z.mean), model.advance(z, loads).logvar)

    with pytest.raises(BundleError, match="one step of the mean differs"):
        agreement.require_agreement("a step", nothing, model, "fp32", latent, load)


@pytest.mark.system
def test_loading_reads_no_pickle(kit, file, monkeypatch):
    def never(*args, **kwargs):
        raise AssertionError("unpickled")

    for owner, name in ((pickle, "load"), (pickle, "loads"), (pickle, "Unpickler"), (torch, "load")):
        monkeypatch.setattr(owner, name, never)
    digest, _, device, _ = served(kit)
    step = compiled.load_step(EngineOptions(compiled=str(file)), digest, kit.bundle(**SMALL).meso, device)
    z, load = latents(kit, 2)
    assert torch.isfinite(step(z, load).mean).all()
    with zipfile.ZipFile(file) as archive:
        assert not [n for n in archive.namelist() if n.endswith((".pt", ".pkl", ".pth"))]


def served(kit, precision="fp32", name="cpu"):
    """Bundle hash, scale, device and micro-batch that a compiled file of the small bundle is to serve."""
    device = dataclasses.replace(choose("cpu", "fp32", 1), precision=precision, name=name)
    return kit.bundle(**SMALL).content_hash(), "meso", device, 8


def forged(kit, path, **changes):
    """A sealed file with the facts of a compiled one, some changed, and nothing to load in it."""
    right = compiled.Facts(
        compiled.FORMAT, kit.bundle(**SMALL).content_hash(), "meso", "fp32", (32, 32),
        compiled.instruction_sets(), str(torch.__version__),
    )  # fmt: skip
    text = json.dumps(dataclasses.asdict(right) | changes)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("p/data/aotinductor/model/x.wrapper_metadata.json", json.dumps({compiled.KEY: text}))
        archive.writestr("p/data/aotinductor/model/x.wrapper.so", b"\x7fELF no library")
    compiled.seal(path)
    return path


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({"bundle": "0" * 64}, {}, "was made from the bundle 000000000000, not from"),
        ({"scale": "micro"}, {}, "holds the micro model, the closure serves the meso one"),
        ({}, {"scale": "micro"}, "holds the meso model, the closure serves the micro one"),
        ({"precision": "bf16"}, {}, "computes in bf16, the closure was asked for fp32"),
        ({}, {"precision": "bf16"}, "computes in fp32, the closure was asked for bf16"),
        ({"torch": "2.0.1"}, {}, "was made with torch 2.0.1, this is 2"),
        ({"isa": ["x86_64", "avx9999"]}, {}, "for a processor with avx9999, which this one lacks"),
        ({"micro_batch": 4}, {}, "takes 4 cells at once, the closure was asked for 8"),
        ({}, {"patch_shape": (64, 64)}, "for patches of 32 x 32 pixels, the closure was asked for 64 x 64"),
        ({"format": 9}, {}, f"has format 9, this version reads {compiled.FORMAT}"),
        ({"colour": "red"}, {}, "unknown key 'colour'"),
    ],
)
def test_what_does_not_fit_is_refused_before_it_is_loaded(
    kit, tmp_path, monkeypatch, changes, options, message
):
    path = forged(kit, tmp_path / "step.pt2", **changes)
    if "patch_shape" not in options:
        monkeypatch.setattr(compiled, "CompiledStep", None)  # calling it would be another error
    else:
        monkeypatch.setattr(torch._C._aoti, "AOTIModelPackageLoader", lambda *args: None)
    with pytest.raises(BundleError, match=message) as caught:
        kit.make(n=0, given=kit.bundle(**SMALL), compiled=path, **options)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_gpu_is_refused(kit, tmp_path):
    path = forged(kit, tmp_path / "step.pt2")
    digest, scale, device, batch = served(kit, name="cuda:0")
    with pytest.raises(BundleError, match="was made for the CPU, the closure runs on cuda:0"):
        compiled.check(path, compiled.read_facts(path), digest, scale, device, batch)


def test_damaged_and_foreign_files_are_refused(kit, tmp_path):
    make = lambda path: kit.make(n=0, given=kit.bundle(**SMALL), compiled=path)  # noqa: E731
    with pytest.raises(FileNotFoundError, match="no compiled file at"):
        make(tmp_path / "none.pt2")
    (tmp_path / "text.pt2").write_text("nothing of the kind")
    altered = r"is no compiled file, or was altered \(its SHA-256 differs\)"
    with pytest.raises(BundleError, match=altered):
        make(tmp_path / "text.pt2")
    other = tmp_path / "other.pt2"
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("a/metadata.json", "{}")
    with pytest.raises(BundleError, match=altered):
        make(other)
    compiled.seal(other)
    with pytest.raises(BundleError, match="was not made by mld-closure export"):
        make(other)
    path = forged(kit, tmp_path / "step.pt2")
    shutil.copy(path, tmp_path / "torn.pt2")
    data = bytearray(path.read_bytes())
    data[data.index(b"no library")] ^= 1
    path.write_bytes(data)
    with pytest.raises(BundleError, match=altered):
        make(path)
    compiled.seal(path)  # the archive has checksums of its own
    with pytest.raises(BundleError, match=r"step.pt2 is damaged at x.wrapper.so"):
        make(path)
    (tmp_path / "torn.pt2").write_bytes((tmp_path / "torn.pt2").read_bytes()[:-30])
    with pytest.raises(BundleError, match=altered):
        make(tmp_path / "torn.pt2")


def test_one_flipped_bit_anywhere_is_seen(kit, tmp_path):
    path = forged(kit, tmp_path / "step.pt2")
    right, draw = path.read_bytes(), np.random.default_rng(0)
    for place in draw.integers(len(right), size=200):
        data = bytearray(right)
        data[place] ^= 1 << int(draw.integers(8))
        path.write_bytes(data)
        with pytest.raises(BundleError, match="altered"):
            compiled.read_facts(path)
    path.write_bytes(right)
    assert compiled.read_facts(path).scale == "meso"


def test_a_fixed_batch_is_padded_and_cut(kit, monkeypatch):
    seen = []

    class Loader:
        def __init__(self, *args):
            pass

        def run(self, tensors):
            seen.append([tuple(t.shape) for t in tensors])
            after = tensors[0] + tensors[-1].view(-1, 1, 1, 1)
            assert all(t.is_contiguous() for t in tensors)
            return [after.contiguous(memory_format=torch.channels_last)]

    monkeypatch.setattr(torch._C._aoti, "AOTIModelPackageLoader", Loader)
    facts = compiled.Facts(1, "", "meso", "fp32", (32, 32), (), "", micro_batch=4)
    step = compiled.CompiledStep("step.pt2", facts, kit.bundle(**SMALL).meso)
    z, load = latents(kit, 3)
    torch.testing.assert_close(step(z, load).mean, z.mean + 2 * load.view(-1, 1, 1, 1))
    assert seen == 2 * [[(4, 2, 4, 4), (4,)]]  # two micro steps a frame


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frame_shape": (32, 40)}, "pad to 32 x 64"),
        ({"frame_shape": (32, 32), "precision": "bf16-decode"}, r"choose fp32 \| bf16"),
        ({"frame_shape": (32, 32), "micro_batch": 0}, "micro_batch must be from 1"),
    ],
)
def test_exports_that_make_no_sense(kit, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        export(kit.bundle(**SMALL), tmp_path / "step.pt2", **options)
    assert not list(tmp_path.iterdir())
