"""The commands `info`, `plot` and `import`: what they print, what they write, and their exit codes."""

import json

import h5py
import numpy as np
import pytest
import torch
from PIL import Image

from mld_closure.cli.main import main
from mld_closure.data.layout import TrajectorySpec
from mld_closure.data.store import CaseStore
from mld_closure.data.trajectories import Trajectories
from mld_closure.fields import MODEL_FIELDS
from mld_closure.models.bundle import Bundle
from mld_closure.models.dynamics import MesoDynamics, MicroDynamics
from mld_closure.models.settings import ModelConfig

SPEC = TrajectorySpec(3, (8, 12), 5e-8, (0.0, 1.72e-10), {"seed": 7}, MODEL_FIELDS)


@pytest.fixture
def run(capsys):
    """Runs a command line; returns (exit code, standard output, standard error)."""

    def call(*args):
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main([str(a) for a in args])
        out, err = capsys.readouterr()
        return int(end.value.code or 0), out, err

    return call


@pytest.fixture
def path(tmp_path):
    store = CaseStore(tmp_path / "d.h5", SPEC)
    for i in (0, 2):
        arrays = {n: np.zeros((2, 8, 12), np.float32) for n in MODEL_FIELDS}
        arrays["temperature"] += 300 + 100 * i
        arrays["pressure"] += np.float32(1e9)
        store.write(i, arrays, {"piston_speed": 800.0 + 100 * i}, {})
    store.fail(1, "negative density")
    return store.merge()


def test_info_says_what_is_in_a_file(run, path):
    code, out, _ = run("info", path, "--json")
    assert code == 0
    found = json.loads(out)
    assert (found["cases"], found["frames"], found["shape"], found["pixel"]) == (2, 2, [8, 12], 5e-8)
    assert found["failures"] == [{"case": 1, "reason": "negative density"}]
    assert found["fields"]["temperature"] == {"units": "K", "min": 300.0, "max": 500.0}
    assert found["scalars"]["piston_speed"] == {"min": 800.0, "mean": 900.0, "max": 1000.0}
    assert found["provenance"]["configuration"] == {"seed": 7}
    assert found["checked"]
    assert found["faults"] == []
    code, out, _ = run("info", path)
    assert code == 0
    assert "2 stored, 1 failed" in out
    assert "failed case 1: negative density" in out
    assert out.strip().endswith("valid")


def test_info_tells_invalid_from_unreadable(run, path, tmp_path):
    with h5py.File(path, "a") as file:
        file["t0_fields/pressure"][1, 0, 2, 3] = np.inf
    code, out, _ = run("info", path)
    assert code == 1
    assert "fault: case 1, frame 0, pressure: value inf is not finite" in out
    assert "INVALID: 1 faults" in out
    assert run("info", path, "--quick")[0] == 0
    code, out, _ = run("info", path, "--json")
    assert code == 1
    assert len(json.loads(out)["faults"]) == 1
    path.write_bytes(path.read_bytes()[:4000])
    code, _, err = run("info", path)
    assert code == 2
    assert "truncated" in err
    code, _, err = run("info", tmp_path / "none.h5")
    assert code == 2
    assert "no such trajectory file" in err


def test_info_prints_json_for_a_file_with_unknown_scalars(run, path):
    with h5py.File(path, "a") as file:
        file["scalars/piston_speed"][:] = np.nan
    code, out, _ = run("info", path, "--json")
    assert code == 1
    assert json.loads(out)["scalars"]["piston_speed"] == {"min": None, "mean": None, "max": None}


def test_info_describes_bundles(run, tmp_path):
    torch.set_num_threads(1)
    config = ModelConfig(fields=("temperature",), base=4)
    micro = MicroDynamics(config)
    facts = {"pixel": 5e-8, "micro_step": 1.72e-10, "horizon": 24, "load_range": (500.0, 1400.0)}
    Bundle(micro, MesoDynamics.from_micro(micro), **facts).save(tmp_path / "b")
    code, out, _ = run("info", tmp_path / "b", "--json")
    assert code == 0
    assert json.loads(out)["pixel"] == 5e-8
    code, out, _ = run("info", tmp_path / "b")
    assert code == 0
    assert "content_hash" in out
    code, _, err = run("info", "no-such-bundle")
    assert code == 2
    assert "no bundle at no-such-bundle" in err


def test_plot_writes_pictures_and_movies(run, path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("plot", "d.h5", "--case", 1)[:2] == (0, "d-case1.png\n")
    with Image.open("d-case1.png") as image:
        assert image.format == "PNG"
    assert run("plot", "d.h5", "--movie", "m.gif", "--fields", "temperature", "--frames", 2)[0] == 0
    with Image.open("m.gif") as film:
        assert film.n_frames >= 1
    for args, text in [
        (("--case", 2), "holds cases 0 to 1, got 2"),
        (("--fields", "heat"), "has no field 'heat'"),
        (("--out", "a.doc"), "a picture ends in"),
        (("--movie", "a.avi"), "a movie ends in"),
    ]:
        code, _, err = run("plot", "d.h5", *args)
        assert code == 2
        assert text in err


def test_import_reads_both_layouts(run, tmp_path):
    array = np.random.default_rng(0).random((2, 4, 6, 3, 5)).astype(np.float32)
    np.save(tmp_path / "a.npy", array)
    grid = ("--pixel-nm", 50, "--frame-ns", 0.172)
    args = ("--layout", "reference", *grid, "--bounds", "temperature=300:4000", "--out", tmp_path / "a.h5")
    code, out, _ = run("import", tmp_path / "a.npy", *args)
    assert (code, out) == (0, f"{tmp_path}/a.h5: 2 cases, temperature, pressure, microstructure\n")
    with Trajectories(tmp_path / "a.h5") as data:
        assert data.pixel == pytest.approx(5e-8, rel=1e-12)
        np.testing.assert_allclose(data.times[1], 1.72e-10, rtol=1e-12)
        values = data.read(1)
        np.testing.assert_allclose(values[4, 0], 300 + 3700 * array[1, :, :, 0, 4], rtol=1e-6)
        np.testing.assert_allclose(values[2, 1], -2e9 + 52e9 * array[1, :, :, 1, 2], rtol=1e-6, atol=1e3)
    (tmp_path / "runs").mkdir()
    np.save(
        tmp_path / "runs" / "one.npy", np.full((2, 5, 4, 4), 0.5) * np.array([800, 2, 1, 1, 1])[:, None, None]
    )
    args = ("--layout", "parc", *grid, "--bounds", "pressure=0:1e9", "--out", tmp_path / "p.h5")
    assert run("import", "arrays", tmp_path / "runs", *args)[0] == 0
    with Trajectories(tmp_path / "p.h5") as data:
        assert data.fields == (*MODEL_FIELDS, "velocity_x", "velocity_y")
        assert data.read(0)[1, :, 3, 3].tolist() == [400.0, 1e9, 0.5, 0.5, 0.5]


def test_import_points_at_values_out_of_bounds_and_bad_options(run, tmp_path):
    np.save(tmp_path / "a.npy", np.full((1, 4, 4, 3, 2), 40.0))
    grid = ("--layout", "reference", "--pixel-nm", 50, "--frame-ns", 0.172, "--out", tmp_path / "a.h5")
    code, _, err = run("import", tmp_path / "a.npy", *grid)
    assert code == 1
    assert "case 0, frame 0, temperature: value 188300 K is outside 200 to 20000" in err
    assert "are --fields and --bounds those of the source?" in err
    for bounds in ("temperature", "temperature=1", "temperature=a:b", "=1:2", "temperature=0:inf"):
        code, _, err = run("import", tmp_path / "a.npy", *grid, "--bounds", bounds)
        assert code == 2
        assert f"--bounds '{bounds}': write NAME=LO:HI" in err
    code, _, err = run("import", tmp_path / "a.npy", *grid, "--fields", "temperature,pressure")
    assert code == 2
    assert "field 'microstructure' is missing" in err


@pytest.mark.parametrize("command", ["info", "plot", "import", "import arrays"])
def test_help_shows_an_example(run, command):
    code, out, _ = run(*command.split(), "--help")
    assert code == 0
    assert f"mld-closure {command.split()[0]} " in out.split("Example")[1]
