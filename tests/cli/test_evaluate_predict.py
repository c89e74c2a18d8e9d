"""`evaluate` and `predict` on a tiny file and an untrained bundle, against numbers worked out apart."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from mld_closure.cli.main import main
from mld_closure.config import ConfigError
from mld_closure.data.layout import TrajectorySpec
from mld_closure.data.store import write_trajectories
from mld_closure.data.trajectories import Trajectories
from mld_closure.models.bundle import Bundle
from mld_closure.models.dynamics import MesoDynamics, MicroDynamics
from mld_closure.models.parc import Parc, ParcConfig
from mld_closure.models.parc_file import save_parc
from mld_closure.models.settings import ModelConfig
from mld_closure.offline.surrogates import choose_cases

STEP, PIXEL, N = 0.172e-9, 50e-9, 4
FIELDS = ("temperature", "pressure", "microstructure", "velocity_x", "velocity_y")


def case(index):
    """A front running right, behind it a hot spot that grows with the case number; arrays (time, 32, 64)."""
    x, t = np.arange(64)[None, None], np.arange(N)[:, None, None]
    behind = np.broadcast_to(x < 12 + 10 * t, (N, 32, 64)).astype(np.float32)
    arrays = {name: np.zeros((N, 32, 64), np.float32) for name in FIELDS}
    arrays["temperature"] += 300 + 400 * behind
    arrays["temperature"][2:, 4 : 8 + 2 * index, 4:12] = 1800
    arrays["pressure"] += 9e9 * behind
    arrays["microstructure"] += 1
    arrays["velocity_x"] += 1000 * behind
    return index, arrays, {"piston_speed": 700.0 + 100 * index}, {}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluate")
    for name, step in (("micro", STEP), ("meso", 2 * STEP), ("other", 3 * STEP)):
        times = tuple(step * np.arange(N))
        spec = TrajectorySpec(3, (32, 64), PIXEL, times, fields=FIELDS)
        write_trajectories(folder / f"{name}.h5", spec, [case(i) for i in range(3)])
    torch.manual_seed(0)
    micro = MicroDynamics(ModelConfig(base=2, residual=True))
    bundle = Bundle(micro, MesoDynamics.from_micro(micro), PIXEL, STEP, 5, (500.0, 1400.0))
    bundle.save(folder / "bundle")
    save_parc(Parc(ParcConfig(base=2, integrator="heun", interval=STEP)), folder / "parc.safetensors")
    return folder


def run(capsys, *args):
    with pytest.raises(SystemExit) as end:
        main([str(a) for a in args])
    return end.value.code, capsys.readouterr()


def test_a_table_of_the_bundle_and_all_baselines(files, capsys):
    args = ["--train", files / "micro.h5", "--against", files / "parc.safetensors", "--ensemble", 2]
    code, out = run(
        capsys, "evaluate", files / "bundle", files / "micro.h5", "--cases", "2", *args,
        "--threads", 1, "--out", files / "e.json", "--plot", files / "curves.png",
    )  # fmt: skip
    assert code == 0, out.err
    assert "persistence" in out.out
    assert (files / "curves.png").read_bytes()[1:4] == b"PNG"
    report = json.loads((files / "e.json").read_text())
    results = {r["name"]: r["scores"] for r in report["results"]}
    assert list(results) == ["bundle", "parc", "mean curve", "persistence"]
    assert report["cases"] == [2]
    assert report["truth"]["area"] == pytest.approx(64 * PIXEL**2)
    # 48 and 56 pixels, 32 and 48 hot, at 700 and 800 m/s: the line through them meets the truth at 900 m/s
    assert results["mean curve"]["hotspots"]["area"] == pytest.approx(0, abs=1e-3 * PIXEL**2)
    assert results["mean curve"]["fields"] == {}
    assert results["mean curve"]["truth_curves"]["area"][0][-1] == pytest.approx(64 * PIXEL**2)
    assert results["mean curve"]["curves"]["area"][0][-1] == pytest.approx(64 * PIXEL**2, rel=1e-3)
    assert results["bundle"]["truth_curves"] == results["mean curve"]["truth_curves"]
    with Trajectories(files / "micro.h5") as data:
        truth = data.read(2, FIELDS[:3])
    movie = Bundle.load(files / "bundle").rollout(truth[0], N - 1, scale="micro")
    for i, name in enumerate(FIELDS[:3]):
        error = np.sqrt(np.mean((movie[:, i] - truth[1:, i]) ** 2))
        assert results["bundle"]["fields"][name] == pytest.approx(error, rel=1e-4)
        held = np.sqrt(np.mean((truth[:1, i] - truth[1:, i]) ** 2))
        assert results["persistence"]["fields"][name] == pytest.approx(held, rel=1e-5)
    assert set(results["bundle"]["calibration"]) == set(FIELDS[:3])
    assert set(results["parc"]["fields"]) == set(FIELDS)
    assert results["parc"]["calibration"] == {}


def test_an_error_budget_puts_the_truth_in_place_of_the_parts(files, capsys):
    arguments = ["evaluate", files / "bundle", files / "micro.h5", "--cases", "2", "--budget"]
    code, out = run(capsys, *arguments, "--threads", 1, "--json")
    assert code == 0, out.err
    results = {r["name"]: r["scores"] for r in json.loads(out.out)["results"]}
    assert list(results) == ["bundle", "no dynamics", "1 step", "8 steps", "persistence"]
    per_frame = {n: r["fields_per_frame"]["temperature"] for n, r in results.items()}
    assert per_frame["1 step"][0] == pytest.approx(per_frame["bundle"][0], rel=1e-5)
    assert per_frame["no dynamics"][0] != pytest.approx(per_frame["bundle"][0], rel=1e-5)
    assert results["bundle"]["per_case"]["area"] == [pytest.approx(results["bundle"]["hotspots"]["area"])]


def test_the_scale_follows_the_frames_and_the_table_has_units(files, capsys):
    code, out = run(capsys, "evaluate", files / "bundle", files / "meso.h5", "--limit", 1, "--threads", 1)
    assert code == 0, out.err
    for text in ("T (K)", "P (GPa)", "hot area (um2)", "persistence", "1 cases"):
        assert text in " ".join(out.out.split())  # the table breaks long lines
    code, out = run(capsys, "evaluate", files / "bundle", files / "other.h5")
    assert code == 2
    assert "5.16e-10 s apart" in out.err
    code, out = run(capsys, "evaluate", files / "bundle", files / "micro.h5", "--scale", "meso")
    assert code == 2
    assert "frame interval" in out.err
    assert len(out.err.strip().splitlines()) == 1


def test_a_prediction_is_a_data_file_and_a_picture(files, capsys):
    made, picture = files / "p.h5", files / "p.png"
    args = ["predict", files / "bundle", files / "micro.h5", "--case", 1, "--threads", 1]
    code, out = run(capsys, *args, "--frames", 6, "--out", made, "--plot", picture, "--columns", 3)
    assert code == 0, out.err
    assert out.out.split() == [str(made), str(picture)]
    with Trajectories(made) as data, Trajectories(files / "micro.h5") as source:
        first = source.read(1, FIELDS[:3], slice(0, 1))[0]
        assert data.times == pytest.approx(STEP * np.arange(6))
        assert data.scalars["piston_speed"] == pytest.approx([800.0])
        movie = data.read(0)
    np.testing.assert_array_equal(movie[0], first)
    expected = Bundle.load(files / "bundle").rollout(first, 5, scale="micro")
    np.testing.assert_allclose(movie[1:, 1], expected[:, 1].clip(-2e9, 200e9), rtol=1e-4, atol=1e4)
    with Image.open(picture) as image:
        assert image.width > 600
    code, out = run(capsys, *args, "--out", made)
    assert code == 2
    assert "exists already" in out.err


@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_a_picture_of_another_kind_is_refused_before_the_work(files, capsys, command):
    made = files / f"{command}.out"
    words = {"evaluate": ["--out", made], "predict": ["--case", 0, "--out", made]}[command]
    code, out = run(capsys, command, files / "bundle", files / "micro.h5", *words, "--plot", files / "c.txt")
    assert (code, out.err.count("\n")) == (2, 1)
    assert "a picture ends in .png, .pdf, .svg" in out.err
    assert not made.exists()


def test_cases_by_numbers_and_ranges():
    assert choose_cases("0,3,5-7,3", 9) == [0, 3, 5, 6, 7]
    assert choose_cases(None, 4, limit=2) == [0, 1]
    for text, reason in (("9", "holds cases 0 to 8"), ("a", "numbers and ranges"), ("3-2", "name no case")):
        with pytest.raises(ConfigError, match=reason):
            choose_cases(text, 9)
