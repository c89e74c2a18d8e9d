"""A bundle is what it was when it was sealed: no flipped bit, link, size or number is taken as it comes."""

import json
import os
import random
import shutil

import numpy as np
import pytest
import torch

import mld_closure as mld
from mld_closure import intake
from mld_closure.models.bundle import Bundle, BundleError, describe
from mld_closure.models.readout_head import EXTRA, HeadConfig, ReadoutHead


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    torch.manual_seed(0)
    bundle = mld.testing.random_networks(base=2)
    path = tmp_path_factory.mktemp("whole") / "b"
    bundle.save(path)
    return path


@pytest.fixture
def copy(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "b")


def change(path, edit, seal=True):
    file = path / "bundle.json"
    manifest = json.loads(file.read_text())
    edit(manifest)
    file.write_bytes(intake.canonical(intake.sealed(manifest)) if seal else json.dumps(manifest).encode())


def test_a_changed_number_is_found_by_the_seal(copy):
    change(copy, lambda m: m.update(micro_step=1.72), seal=False)
    for read in (Bundle.load, describe):
        with pytest.raises(BundleError, match=r"bundle\.json was altered \(its SHA-256 differs\)"):
            read(copy)


def test_a_manifest_without_a_seal_is_refused(copy):
    change(copy, lambda m: m.pop("sha256"), seal=False)
    with pytest.raises(BundleError, match="altered"):
        Bundle.load(copy)


def test_no_flipped_bit_of_the_manifest_gives_other_content(whole, copy):
    wanted = Bundle.load(whole).content_hash()
    data = (whole / "bundle.json").read_bytes()
    draw = random.Random(1)
    other = 0
    for _ in range(300):
        flipped = bytearray(data)
        flipped[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        (copy / "bundle.json").write_bytes(flipped)
        try:
            found = describe(copy)["content_hash"]
        except BundleError:
            continue
        other += found != wanted
    assert other == 0


@pytest.mark.parametrize(
    "edit",
    [
        lambda m: m.update(pixel=-5e-8),
        lambda m: m.update(pixel=1e300),
        lambda m: m.update(micro_step=0.0),
        lambda m: m.update(horizon=10**9),
        lambda m: m.update(horizon=0),
        lambda m: m.update(load_range=[1400.0, 500.0]),
        lambda m: m.update(load_range=[500.0]),
        lambda m: m.update(load_range=["a", "b"]),
        lambda m: m["config"].update(base=10**6),
        lambda m: m["config"].update(latent_channels=10**9),
        lambda m: m["config"].update(base=4000),  # 36 GB, found before any of it is taken
        lambda m: m["extras"].update({"../x": {"config": {}, "file": "../x"}}),
        lambda m: m["files"].update({"vaes.safetensors": {"bytes": 2**60, "sha256": "0" * 64}}),
        lambda m: m["parts"]["micro"].update({"vaes": "../vaes.safetensors"}),
        lambda m: m["parts"]["micro"].update({"vaes": ["vaes.safetensors"]}),
        lambda m: m.update(microstructure={"meso": {"ranges": {}}}),
    ],
)
def test_impossible_content_is_refused_with_a_sentence(copy, edit):
    change(copy, edit)
    with pytest.raises(BundleError) as refused:
        mld.open(copy, device="cpu", threads=1)
    assert "\n" not in str(refused.value)


def test_keys_that_stand_twice_and_numbers_that_are_none_are_refused(copy):
    text = (copy / "bundle.json").read_text()
    for wrong, why in ((text.replace("{", '{"pixel": 1e-9,', 1), "stands twice"),
                       (text.replace("5e-08", "NaN", 1), "NaN is no number"),
                       (text.replace("5e-08", "1e999", 1), "too large"),
                       ("[" * 100_000, "nested too deeply"),
                       ('{"a":' * 100_000, "nested too deeply")):  # fmt: skip
        (copy / "bundle.json").write_text(wrong)
        with pytest.raises(BundleError, match=why):
            Bundle.load(copy)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(tmp_path, value):
    bundle = mld.testing.random_networks(base=2)
    with torch.no_grad():
        next(bundle.micro.parameters()).view(-1)[0] = value
    bundle.save(tmp_path / "b")
    with pytest.raises(BundleError, match="not finite"):
        Bundle.load(tmp_path / "b")


def test_odd_files_are_refused_at_once(copy, tmp_path):
    file = copy / "vaes.safetensors"
    data = file.read_bytes()
    outside = tmp_path / "outside"
    outside.write_bytes(data)

    def fifo():
        os.mkfifo(file)

    def sparse():
        with open(file, "wb") as made:
            made.truncate(1 << 40)

    odd = (fifo, sparse, file.mkdir, lambda: file.symlink_to(outside), lambda: file.symlink_to("/dev/zero"),
           lambda: file.symlink_to(file.name), lambda: file.symlink_to("/etc/passwd"))  # fmt: skip
    for make in odd:
        file.unlink() if file.is_symlink() or not file.is_dir() else file.rmdir()
        make()
        with pytest.raises(BundleError, match=r"copy the bundle again|export"):
            Bundle.load(copy)


@pytest.mark.parametrize("what", ["fifo", "/dev/zero", "folder", "a" * 5000, "nul"])
def test_a_manifest_or_a_name_that_is_no_file(copy, what):
    manifest = copy / "bundle.json"
    manifest.unlink()
    name = copy
    if what == "fifo":
        os.mkfifo(manifest)
    elif what == "folder":
        manifest.mkdir()
    elif what == "/dev/zero":
        manifest.symlink_to(what)
    else:
        name = "a\0b" if what == "nul" else what
    with pytest.raises(BundleError):
        Bundle.load(name)


def test_networks_are_laid_out_as_they_were_made(whole):
    bundle, again = mld.testing.random_networks(base=2), Bundle.load(whole)
    for (name, a), (_, b) in zip(bundle.meso.named_parameters(), again.meso.named_parameters(), strict=True):
        assert a.stride() == b.stride(), name
        assert not b.is_meta
    config = HeadConfig(12, width=4, depth=1)
    head = ReadoutHead(config)
    read = ReadoutHead.from_extra(head.to_extra())
    assert [p.stride() for p in head.parameters()] == [p.stride() for p in read.parameters()]
    assert EXTRA


def test_a_bundle_of_the_version_before_is_sealed_by_one_command(copy):
    def older(manifest):
        manifest["version"] = 1
        for key in ("sha256", "microstructure", "errors"):
            del manifest[key]

    change(copy, older, seal=False)
    with pytest.raises(BundleError, match=r"mld-closure guard .* --seal"):
        Bundle.load(copy)
    from mld_closure.offline.guard import guard

    guard(copy, seal=True)
    assert Bundle.load(copy).content_hash()
