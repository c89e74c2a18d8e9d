"""`train` from Python goes on where it stopped and tells how far it came."""

import pytest

import mld_closure as mld
from mld_closure.errors import ConfigError

CONFIG = {
    "micro_validation": 1,
    "model": {"base": 2, "evolve_logvar": False, "meso_micro_ratio": 1},
    "stages": [
        {
            "name": "vae",
            "kind": "vae",
            "losses": {"reconstruction": 1.0},
            "phases": [{"steps": 2, "crop": 16}],
            "batch": 1,
        }
    ],
}


def test_a_run_stops_when_asked_and_goes_on(data, tmp_path):
    out, steps = tmp_path / "run", []
    first = mld.train(CONFIG, out, micro=data, threads=1, stop=lambda: True)
    assert first.bundle is None
    assert first.steps == {"vae-temperature": 1}
    assert first.open == ["vae-temperature", "vae-pressure", "vae-microstructure"]
    assert repr(first).splitlines()[-2:] == ["  vae-microstructure: not begun", "  bundle: none yet"]
    whole = mld.train(CONFIG, out, micro=data, threads=1, report=lambda stage, *_: steps.append(stage.name))
    assert steps == ["vae-temperature", *2 * ["vae-pressure"], *2 * ["vae-microstructure"]]
    assert whole.finished == ["vae-temperature", "vae-pressure", "vae-microstructure"]
    assert repr(whole).splitlines()[0] == "Training: 3 stages finished, 0 open"
    assert (out / "losses.png").is_file()
    bundle = mld.Bundle.load(whole.bundle)
    assert bundle.config.base == 2
    assert "loading" in bundle.extras


def test_a_wrong_stage_or_no_data_is_an_error_before_the_work(data, tmp_path):
    with pytest.raises(ConfigError, match="no stage 'vea'"):
        mld.train(CONFIG, tmp_path / "run", micro=data, stages=["vea"])
    with pytest.raises(ConfigError, match="unknown key 'stagse'"):
        mld.train({"stagse": []}, tmp_path / "run", micro=data)
    with pytest.raises(ConfigError, match="nothing to train on"):
        mld.train(CONFIG, tmp_path / "run")
    assert not (tmp_path / "run").exists()
