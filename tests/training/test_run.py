"""Whole runs on tiny movies: all stages, bitwise resume, split by simulation, time budget, refused input."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from mld_closure import config as configuration
from mld_closure.config import ConfigError
from mld_closure.models.bundle import Bundle
from mld_closure.models.parc_file import load_parc
from mld_closure.training.curriculum import Phase
from mld_closure.training.results import selected_validation
from mld_closure.training.run import Run, changed_settings
from mld_closure.training.samples import WindowSamples
from mld_closure.training.settings import StageConfig, TrainConfig, load_config

TOML = """
checkpoint_every = 2
record_every = 1
micro_validation = 1
meso_validation = 1
validation_windows = 2

[model]
preset = "compact"
base = 2

[[stages]]
name = "vae"
kind = "vae"
losses = { reconstruction = 1.0, kl = 1e-4, edge = 0.1 }
phases = [{ steps = 2, crop = 16 }, { steps = 1, crop = 0 }]
lr = 1e-3
batch = 2
ema = 0.9
validations = 1

[[stages]]
name = "decoupled"
kind = "decoupled"
losses = { mean = 1.0, logvar = 1.0 }
phases = [{ steps = 3 }]
lr = 1e-3
batch = 2

[[stages]]
name = "head-start"
kind = "head"
losses = { readout = 1.0 }
phases = [{ steps = 2 }]
lr = 1e-3
batch = 2

[[stages]]
name = "coupled"
kind = "coupled"
losses = { mean = 1.0, logvar = 1.0, field = 1.0 }
phases = [{ steps = 2 }, { horizon = 2, steps = 2 }]
lr = 1e-3
batch = 2
sample = true
decode_every = 2
decode_crop = 2
select = "loss"
validations = 2

[[stages]]
name = "meso"
kind = "meso"
losses = { mean = 1.0, hot = 1.0, readout = 0.5 }
phases = [{ steps = 3 }, { horizon = 2, steps = 3, crop = 8 }]
lr = 1e-3
batch = 2
margin = 1
decode_every = 1
decode_crop = 2
hot_weight = 25.0
clip = 1.0
select = "rollout"
validations = 2

[[stages]]
name = "head"
kind = "head"
losses = { readout = 1.0 }
phases = [{ steps = 4 }]
rollouts = 0.8
lr = 1e-3
batch = 2
select = "loss"
validations = 2
"""


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    path = tmp_path_factory.mktemp("settings") / "tiny.toml"
    path.write_text(TOML)
    return load_config(path)


def open_run(settings, tiny, out):
    torch.set_num_threads(1)
    return Run(settings, out, tiny.micro, tiny.meso)


@pytest.fixture(scope="module")
def whole(settings, tiny, tmp_path_factory):
    """The uninterrupted run with which all others are compared."""
    out = tmp_path_factory.mktemp("whole")
    summary = open_run(settings, tiny, out).train()
    return out, summary


def bundle_state(out):
    bundle = Bundle.load(out / "bundle")
    return {f"head.{name}": value for name, value in bundle.extras["readout_head"].state.items()} | {
        f"{scale}.{name}": value
        for scale in ("micro", "meso")
        for name, value in getattr(bundle, scale).state_dict().items()
    }


def same(a, b):
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name


def test_a_run_goes_through_all_stages_and_leaves_a_bundle(whole, tiny):
    out, summary = whole
    names = ["vae-temperature", "vae-pressure", "vae-microstructure"]
    names += ["decoupled", "head-start", "coupled", "meso", "head"]
    assert summary.finished == names
    assert summary.open == []
    assert summary.steps == dict(zip(names, (3, 3, 3, 3, 2, 4, 6, 4), strict=True))
    bundle = Bundle.load(out / "bundle")
    assert bundle.pixel == pytest.approx(50e-9)
    assert bundle.meso_step == pytest.approx(0.344e-9)
    assert bundle.horizon == 4
    assert bundle.load_range == (700.0, 850.0)
    assert bundle.provenance["steps"] == summary.steps
    history = json.loads((out / "history.json").read_text())
    assert [row["step"] for row in history["meso"]] == [1, 2, 3, 4, 5, 6]
    assert [row["horizon"] for row in history["meso"]] == [1, 1, 1, 2, 2, 2]
    lines = (out / "history.csv").read_text().splitlines()
    assert len(lines) == 1 + sum(summary.steps.values())
    assert "gradient norm" in lines[0]
    assert "validation score" in history["meso"][-1]


def test_each_stage_changes_its_parts_and_no_others(whole):
    out, _ = whole
    state = bundle_state(out)
    parts = {"vaes": True, "decoupled_mean": True, "decoupled_logvar": True, "scaling": True}
    for name, value in state.items():
        scale, part = name.split(".")[:2]
        if scale == "meso" and part in parts:
            assert torch.equal(value, state[name.replace("meso", "micro", 1)]), name
    stored = {
        s: torch.load(out / f"checkpoints/{s}.pt", weights_only=True)["weights"] for s in ("coupled", "meso")
    }
    assert {n.split(".")[1] for n in stored["coupled"]} == {"coupled_mean", "coupled_logvar"}
    learned = {n.split(".")[1] for n in stored["meso"] if n.startswith("dynamics.")}
    assert learned == {"coupled_mean"}
    assert any(n.startswith("head.") for n in stored["meso"])
    moved = "coupled_mean.level0.0.0.weight"
    assert not torch.equal(state[f"micro.{moved}"], state[f"meso.{moved}"])
    assert torch.equal(
        state["micro.coupled_logvar.level0.0.0.weight"], state["meso.coupled_logvar.level0.0.0.weight"]
    )


@pytest.mark.parametrize(
    "stops", [(4, 13, 25), *(pytest.param(s, marks=pytest.mark.system) for s in ((1, 8), (11, 17), (21, 27)))]
)
def test_interrupted_anywhere_and_resumed_equals_uninterrupted(whole, settings, tiny, tmp_path, stops):
    taken = 0

    def count(*_):
        nonlocal taken
        taken += 1

    for stop in stops:
        summary = open_run(settings, tiny, tmp_path).train(stop=lambda n=stop: taken >= n, report=count)
        assert taken == stop
        assert summary.bundle is None
        assert summary.open
    summary = open_run(settings, tiny, tmp_path).train(report=count)
    assert taken == 28
    assert summary.bundle is not None
    same(bundle_state(tmp_path), bundle_state(whole[0]))
    kept = [
        {
            name: [{k: v for k, v in row.items() if k != "seconds"} for row in rows]
            for name, rows in json.loads((out / "history.json").read_text()).items()
        }
        for out in (tmp_path, whole[0])
    ]
    assert kept[0] == kept[1]


@pytest.mark.system
def test_the_killed_command_goes_on_where_it_was(whole, tiny, tmp_path):
    toml = tmp_path / "tiny.toml"
    toml.write_text(TOML)
    out = tmp_path / "run"
    code = "from mld_closure.cli.main import main; main()"
    arguments = ["train", str(toml), "--micro", str(tiny.micro), "--meso", str(tiny.meso)]
    arguments += ["--out", str(out), "--threads", "1", "--device", "cpu"]
    child = subprocess.Popen([sys.executable, "-c", code, *arguments], stderr=subprocess.DEVNULL)
    until = time.monotonic() + 120
    while not (out / "checkpoints/vae-microstructure.pt").exists() and time.monotonic() < until:
        time.sleep(0.01)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert not (out / "bundle").exists()
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments, "--json"], capture_output=True, text=True, check=True
    )
    answer = json.loads(done.stdout)
    assert answer["open"] == []
    assert answer["bundle"] == str(out / "bundle")
    same(bundle_state(out), bundle_state(whole[0]))
    assert (out / "losses.png").stat().st_size > 1000


@pytest.mark.parametrize("validate", [False, True])
def test_training_and_validation_draw_from_their_own_cases(settings, tiny, tmp_path, monkeypatch, validate):
    drawn = []
    original = WindowSamples.collect

    def spy(self, places, horizon, **how):
        drawn.append((self.stage.name, [(self.movies.role, case) for _, case, _ in places]))
        return original(self, places, horizon, **how)

    monkeypatch.setattr(WindowSamples, "collect", spy)
    steps = 1 if validate else 20
    stages = tuple(
        replace(s, phases=(Phase(steps=steps),), validations=int(validate), select="last")
        for s in settings.stages
    )
    run = open_run(replace(settings, stages=stages, checkpoint_every=1000), tiny, tmp_path)
    run.train()
    aside = {(role, case) for role, split in run.splits.items() for case in split.validation}
    assert {len(split.validation) for split in run.splits.values()} == {1}
    for stage in ("decoupled", "coupled", "meso"):
        batches = [places for name, places in drawn if name == stage]
        training, validation = batches[:steps], batches[steps:]
        assert not aside & {place for places in training for place in places}
        assert {place for places in validation for place in places} <= aside
        assert bool(validation) == validate
    recorded = json.loads((tmp_path / "run.json").read_text())["split"]
    assert recorded["meso"]["validation"] == list(run.splits["meso"].validation)


def test_frozen_and_trainable_meso_networks(whole, settings, tiny, tmp_path):
    stages = tuple(replace(s, train="all") if s.kind == "meso" else s for s in settings.stages)
    open_run(replace(settings, stages=stages), tiny, tmp_path).train()
    state = bundle_state(tmp_path)
    name = "decoupled_mean.temperature.level0.0.0.weight"
    assert not torch.equal(state[f"micro.{name}"], state[f"meso.{name}"])
    vae = "vaes.temperature.encoder.mean.weight"
    assert torch.equal(state[f"micro.{vae}"], state[f"meso.{vae}"])
    same(*({k: v for k, v in s.items() if k.startswith("micro")} for s in (state, bundle_state(whole[0]))))


def test_a_budget_gives_every_stage_its_share(settings, tiny, tmp_path):
    long = tuple(
        replace(s, phases=(replace(s.phases[0], steps=10**6),), validations=0, select="last")
        for s in settings.stages
    )
    summary = open_run(replace(settings, stages=long), tiny, tmp_path).train(budget=4.0)
    assert 1.0 < sum(summary.seconds.values()) < 5.0
    assert len(summary.finished) == 8
    assert summary.bundle is not None
    assert min(summary.steps.values()) >= 1
    assert 0.15 < summary.seconds["vae-temperature"] < 0.6  # a third of a sixth of the budget


def test_stages_by_name_and_in_order(settings, tiny, tmp_path):
    with pytest.raises(ConfigError, match="starts from stage 'vae-temperature', which is not finished"):
        open_run(settings, tiny, tmp_path).train(["coupled"])
    summary = open_run(settings, tiny, tmp_path).train(["vae"])
    assert summary.finished == ["vae-temperature", "vae-pressure", "vae-microstructure"]
    assert summary.open == ["decoupled", "head-start", "coupled", "meso", "head"]
    assert open_run(settings, tiny, tmp_path).train(["decoupled"]).finished[-1] == "decoupled"
    with pytest.raises(ConfigError, match="no stage 'mezzo'; stages: vae-temperature, "):
        open_run(settings, tiny, tmp_path).train(["mezzo"])


def test_a_folder_belongs_to_one_configuration(whole, settings, tiny):
    with pytest.raises(ConfigError, match="holds a run with another config"):
        open_run(replace(settings, seed=1), tiny, whole[0])
    with pytest.raises(ConfigError, match="holds a run with another data"):
        Run(settings, whole[0], tiny.micro)


def test_files_that_do_not_fit_are_refused(settings, tiny, tmp_path):
    with pytest.raises(ConfigError, match=r"meso_micro_ratio = 2 asks for 6\.88e-10 s"):
        Run(settings, tmp_path, tiny.meso, tiny.meso)
    with pytest.raises(ConfigError, match="no data to train on"):
        Run(settings, tmp_path)
    with pytest.raises(ConfigError, match="stage 'meso' trains on meso movies; give --meso FILE"):
        Run(settings, tmp_path / "a", tiny.micro).train()


def test_the_parcv2_baseline_goes_through_the_same_loop(tiny, tmp_path):
    stage = StageConfig(
        "parc", "parc", (Phase(steps=2), Phase(horizon=2, steps=1)), {"absolute": 1.0}, batch=1, crop=32
    )
    table = {"model": {"base": 2}, "record_every": 1, "parc": {"base": 2, "integrator": "heun"}, "stages": []}
    config = replace(
        configuration.from_dict(TrainConfig, {**table, "stages": [configuration.to_dict(stage)]})
    )
    summary = Run(config, tmp_path, meso=tiny.meso).train()
    assert (summary.finished, summary.bundle) == (["parc"], None)
    model = load_parc(tmp_path / "parc.safetensors")
    assert (model.config.base, model.config.interval) == (2, pytest.approx(0.344e-9))
    weights = torch.load(tmp_path / "checkpoints/parc.pt", weights_only=True)["weights"]
    same({f"parc.{k}": v for k, v in model.state_dict().items()}, weights)
    assert np.isfinite(summary.validation["parc"]["loss"])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seed", "sed", None),
        (
            "validation_windows = 2",
            "validation_window = 2",
            "unknown key 'validation_window'; did you mean 'validation_windows'",
        ),
        ("hot_weight = 25.0", "hot_wait = 25.0", "unknown key 'hot_wait'; did you mean 'hot_weight'"),
        ("steps = 3, crop = 8", "steps = 3, crap = 8", "unknown key 'crap'; did you mean 'crop'"),
        ("base = 2", "bass = 2", "unknown key 'bass'; did you mean 'base'"),
        ("hot = 1.0", "hat = 1.0", "no loss 'hat' in a meso stage; choose mean, logvar, field, hot"),
        ("steps = 3, crop = 8", "steps = 3, crop = 6", "crop 6 must be a multiple of 4"),
        ("steps = 3, crop = 8", "steps = 3, epochs = 2.0", "exactly one"),
        ('name = "meso"', 'name = "vae"', "two stages are called 'vae'"),
        ("lr = 1e-3", "lr = -1.0", "lr must be positive"),
    ],
)
def test_a_wrong_configuration_is_refused_with_the_cure(tmp_path, old, new, message):
    path = tmp_path / "wrong.toml"
    path.write_text(TOML.replace(old, new))
    if message is None:
        assert load_config(path).seed == 0
        return
    with pytest.raises(ConfigError) as err:
        load_config(path)
    assert message in str(err.value)


@pytest.mark.parametrize("name", ["compact", "paper", "parc"])
def test_the_packaged_presets_can_be_read(name):
    config = load_config(name)
    assert config.model_config().fields == ("temperature", "pressure", "microstructure")
    kinds = [s.kind for s in config.expanded()]
    method = [kind for kind in kinds if kind != "head"]
    assert kinds == ["parc"] if name == "parc" else method == ["vae"] * 3 + ["decoupled", "coupled", "meso"]


def test_an_unknown_preset_names_the_known_ones():
    with pytest.raises(ConfigError, match=r"give a file or compact \| hmx-compact \| paper \| parc"):
        load_config("compct")


def test_a_checkpoint_identifies_only_settings_that_are_not_defaults():
    stage = StageConfig("a", "meso", (Phase(steps=3),), {"mean": 1.0}, lr=3e-4, crop=16)
    assert changed_settings(stage) == {
        "name": "a",
        "kind": "meso",
        "phases": [{"horizon": 1, "steps": 3, "epochs": 0.0}],
        "losses": {"mean": 1.0},
        "lr": 3e-4,
        "crop": 16,
    }


def test_what_is_reported_belongs_to_the_weights_that_are_kept():
    rows = [
        {"step": 1},
        {"validation score": 0.2, "validation loss": 5.0},
        {"validation score": 0.3},
        {"step": 4},
    ]
    assert selected_validation(rows, best=True) == {"score": 0.2, "loss": 5.0}
    assert selected_validation(rows, best=False) == {"score": 0.3}
    assert selected_validation(rows[:1], best=True) == {}
