"""The slab of `demo` on random networks: every shocked cell is served, pictures drawn, bad input named."""

import json

import pytest
import torch

from mld_closure.cli.main import main
from mld_closure.device import choose
from mld_closure.dns.eos import Material
from mld_closure.macro.porous import porous_shock
from mld_closure.study import demo as study_demo
from mld_closure.testing import random_curves, random_networks


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """The folder of a bundle of small random networks, with a short horizon."""
    torch.set_num_threads(1)
    made = random_networks(base=2)
    made.horizon = 3
    path = tmp_path_factory.mktemp("demo") / "random"
    made.save(path)
    return path


def demo(capsys, *words):
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        main(["demo", *map(str, words)])
    out, err = capsys.readouterr()
    return int(end.value.code or 0), out, err


def test_the_slab(capsys, tmp_path, bundle):
    words = ("--slab", "--bundle", bundle, "--cells", 8, "--out", tmp_path / "d")
    code, text, _ = demo(capsys, *words)
    assert code == 0
    assert "look at" in text
    for name in ("xt.png", "profiles.png", "front.png"):
        assert (tmp_path / "d" / name).read_bytes().startswith(b"\x89PNG")
    summary = json.loads((tmp_path / "d" / "summary.json").read_text())
    assert summary["cells"] == 8
    assert summary["case"]["cell_size"] == pytest.approx(480 * 50e-9)
    assert summary["case"]["piston_speed"] == 900
    status = summary["closure_status"]
    assert status["IDLE"] <= 4  # the shock crosses 0.6 of the slab
    assert status["BEYOND_HORIZON"] + status["BURNED"] + status["ACTIVE"] >= 3
    assert summary["peak_pressure_Pa"] > 0.9 * summary["inert_shock_pressure_Pa"]
    code, _, err = demo(capsys, *words)
    assert (code, err.count("\n")) == (2, 1)
    assert "holds a run already" in err


@pytest.mark.parametrize(("there", "precision"), [("avx512_bf16", "bf16"), ("avx2", "fp32")])
def test_bf16_is_taken_where_the_processor_has_it(monkeypatch, tmp_path, caplog, there, precision):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {there: True, "architecture": "x86_64"})
    taken = []
    monkeypatch.setattr(study_demo, "run", lambda *args, options, **more: taken.append(options["precision"]))
    study_demo.run_slab("hmx-compact", tmp_path / "d", 8, 900.0, "auto", 1)
    assert taken == [precision]
    choose("cpu", "bf16", threads=1)
    assert ("bf16' is emulated, fp32 is faster" in caplog.text) == (precision == "fp32")


def test_a_missing_bundle_is_named(capsys, tmp_path):
    code, _, err = demo(capsys, "--slab", "--bundle", tmp_path / "none", "--out", tmp_path / "d")
    assert (code, err.count("\n")) == (2, 1)
    assert "no bundle at" in err
    assert not (tmp_path / "d").exists()


def test_options_of_the_slab_do_not_go_with_the_pore(capsys, tmp_path):
    code, _, err = demo(capsys, "--pore", "--cells", 40, "--out", tmp_path / "d")
    assert code == 2
    assert "--cells is an option of --slab; leave it out with --pore" in err
    assert not (tmp_path / "d").exists()


@pytest.fixture(scope="module")
def points(tmp_path_factory):
    """The folder of a bundle of random burn curves that says how it was trained."""
    made = random_curves(steps=16, duration=256e-9)
    wall = {"halo": 8, "parts": 4}
    origin = {"configuration": {"case": {"wall": wall, "kinetics": {"Q": 5.5e6}}}}
    made.provenance["data"] = {"curves": {"shape": [16, 40], "origin": origin}}
    path = tmp_path_factory.mktemp("demo") / "points"
    made.save(path)
    return path


def test_a_shock_that_builds_up(capsys, tmp_path, points):
    words = ("--bundle", points, "--pores", 1.0, "--pores", 1.6, "--length", 0.06, "--out", tmp_path / "d")
    code, text, err = demo(capsys, *words)
    assert code == 0, err
    assert "look at" in text
    assert (tmp_path / "d/buildup.png").read_bytes().startswith(b"\x89PNG")
    found = json.loads((tmp_path / "d/summary.json").read_text())
    assert [one["pore"] for one in found] == pytest.approx([1e-6, 1.6e-6])
    for one in found:
        assert one["input_pressure"] == pytest.approx(porous_shock(1200.0, 0.1, Material()).p)
        assert one["followed_to"] > 0.8 * 0.06e-3
        assert sum(one["points"].values()) == 4 * 9
        assert one["points"]["ACTIVE"] > 20
        assert 3000 < one["front_speed"] < 10000


def test_frames_do_not_build_up(capsys, tmp_path, bundle):
    code, _, err = demo(capsys, "--bundle", bundle, "--out", tmp_path / "d")
    assert (code, err.count("\n")) == (2, 1)
    assert "serves frames, not points" in err
    assert not (tmp_path / "d").exists()
