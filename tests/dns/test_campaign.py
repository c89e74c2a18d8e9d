"""Campaigns: reproducible cases, failures on record, killed and resumed to the same data."""

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from mld_closure.config import ConfigError
from mld_closure.data.trajectories import Trajectories
from mld_closure.dns import campaign
from mld_closure.dns.cases import PRESETS, CaseConfig, draw_load, draw_voids, simulate_case
from mld_closure.simulation import load_plan, simulate, simulate_plan

SMALL = CaseConfig("micro", (64, 96), frames=4, frame_interval=0.15e-9, diameter=(20.0, 28.0))
TOML = """
shape = [64, 96]
frames = 4
frame_interval = 0.15e-9
diameter = [20.0, 28.0]
"""


def contents(path):
    with Trajectories(path) as data:
        cases = [data.read(i) for i in range(data.n_cases)]
        return np.stack(cases), {k: np.asarray(v) for k, v in data.scalars.items()}, data.failures


def assert_equal_data(a, b):
    assert np.array_equal(a[0], b[0])
    assert a[1].keys() == b[1].keys()
    assert all(np.array_equal(a[1][k], b[1][k]) for k in a[1])
    assert a[2] == b[2]


def command(out, config, *options):
    return [sys.executable, "-m", "mld_closure", "simulate", "micro", "--cases", "6", "--seed", "4",
            "--out", str(out), "--config", str(config), *options]  # fmt: skip


def test_a_case_depends_on_seed_and_index_alone():
    movie, scalars, _ = simulate_case(SMALL, seed=4, index=2)
    again, scalars_again, _ = simulate_case(SMALL, seed=4, index=2)
    other, _, _ = simulate_case(SMALL, seed=4, index=3)
    assert scalars == scalars_again
    assert all(np.array_equal(movie[k], again[k]) for k in movie)
    assert not np.array_equal(movie["temperature"], other["temperature"])


def test_loads_cover_the_range_evenly():
    loads = np.sort([draw_load(PRESETS["micro"], 7, i) for i in range(40)])
    assert loads[0] > 500
    assert loads[-1] < 1400
    assert np.diff(loads).max() < 2.2 * 900 / 40


def test_meso_packs_keep_their_rules():
    for i in range(4):
        voids = draw_voids(PRESETS["meso"], 11, i)
        assert 20 <= len(voids) <= 45
        assert 0.06 < sum(v.area for v in voids) / (320 * 480) < 0.16


def test_a_failed_case_is_recorded_and_stops_nothing(tmp_path, monkeypatch):
    def fails_once(config, seed, index):
        if index == 1:
            raise FloatingPointError("pressure is not finite at frame 3")
        return simulate_case(config, seed, index)

    monkeypatch.setattr(campaign, "simulate_case", fails_once)
    seen = {}
    out = simulate("micro", 3, tmp_path / "f.h5", seed=4, config=SMALL, done=seen.__setitem__)
    reason = "FloatingPointError: pressure is not finite at frame 3"
    assert seen == {0: None, 1: reason, 2: None}
    with Trajectories(out) as data:
        assert data.scalars["case"].tolist() == [0, 2]
        assert [tuple(f) for f in data.failures] == [(1, reason)]


def test_every_case_failing_is_one_clear_error(tmp_path):
    config = replace(SMALL, diameter=(90.0, 95.0))
    with pytest.raises(RuntimeError, match="all cases failed; case 0: MicrostructureError"):
        simulate("micro", 2, tmp_path / "none.h5", config=config)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    out = tmp_path_factory.mktemp("campaign") / "whole.h5"
    return contents(simulate("micro", 6, out, seed=4, config=SMALL))


def test_workers_change_nothing(tmp_path, uninterrupted):
    assert_equal_data(
        contents(simulate("micro", 6, tmp_path / "w.h5", seed=4, config=SMALL, workers=2)), uninterrupted
    )


def test_ranks_change_nothing(tmp_path, uninterrupted):
    pytest.importorskip("mpi4py")
    (tmp_path / "c.toml").write_text(TOML)
    environment = {
        **os.environ,
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
        "OMPI_MCA_rmaps_base_oversubscribe": "1",
    }
    run = ["mpirun", "-n", "2", *command(tmp_path / "r.h5", tmp_path / "c.toml")]
    subprocess.run(run, check=True, timeout=120, env=environment, capture_output=True)
    assert_equal_data(contents(tmp_path / "r.h5"), uninterrupted)


@pytest.mark.system
def test_killed_ten_times_ends_with_the_same_data(tmp_path, uninterrupted):
    (tmp_path / "c.toml").write_text(TOML)
    out = tmp_path / "killed.h5"
    moments = random.Random(0)
    run = command(out, tmp_path / "c.toml", "--workers", "2")
    parts = tmp_path / "killed.h5.parts"
    kills = 0
    for _ in range(10):
        before = set(parts.glob("*"))
        process = subprocess.Popen(run, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        while process.poll() is None and set(parts.glob("*")) == before:
            time.sleep(0.001)
        time.sleep(moments.choice([0.0, 0.01, 0.1]))
        kills += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run(run, check=True, capture_output=True, timeout=120)
    assert kills >= 2
    assert_equal_data(contents(out), uninterrupted)
    assert not parts.exists()


def test_another_campaign_is_not_overwritten(tmp_path, uninterrupted):
    out = simulate("micro", 1, tmp_path / "a.h5", seed=4, config=SMALL)
    before = out.read_bytes()
    with pytest.raises(ValueError, match="seed"):
        simulate("micro", 1, out, seed=5, config=SMALL)
    assert out.read_bytes() == before


def test_a_finished_file_is_made_longer(tmp_path, uninterrupted):
    out = simulate("micro", 4, tmp_path / "a.h5", seed=4, config=SMALL)
    begun = []
    simulate("micro", 6, out, seed=4, config=SMALL, started=lambda *counts: begun.append(counts))
    assert begun == [(4, 6)]
    assert_equal_data(contents(out), uninterrupted)
    assert not (tmp_path / "a.h5.parts").exists()
    with pytest.raises(ValueError, match="n_cases"):
        simulate("micro", 5, out, seed=4, config=SMALL)


def test_a_file_can_be_read_while_a_longer_one_is_made(tmp_path, monkeypatch, uninterrupted):
    out = simulate("micro", 3, tmp_path / "a.h5", seed=4, config=SMALL)

    def stop(index, reason):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate("micro", 6, out, seed=4, config=SMALL, done=stop)
    simulate("micro", 3, out, seed=4, config=SMALL)  # the finished file as it is
    with Trajectories(out) as data:
        assert data.n_cases == 3
    begun = []
    simulate("micro", 6, out, seed=4, config=SMALL, started=lambda *counts: begun.append(counts))
    assert begun == [(4, 6)]
    assert_equal_data(contents(out), uninterrupted)


PLAN = """
[[sets]]
name = "a"
preset = "micro"
seed = 4
cases = [2, 6]
case = { shape = [64, 96], frames = 4, frame_interval = 0.15e-9, diameter = [20.0, 28.0] }

[[sets]]
name = "b"
preset = "micro"
seed = 5
cases = [1]
case = { shape = [64, 96], frames = 2, frame_interval = 1e-10, diameter = [20.0, 28.0], kinetics = { Z = 0 } }
"""


def test_a_plan_makes_its_sets_round_by_round(tmp_path, uninterrupted):
    (tmp_path / "plan.toml").write_text(PLAN)
    plan = load_plan(tmp_path / "plan.toml")
    assert plan.sets[1].config.kinetics == replace(SMALL.kinetics, Z=0.0)
    begun = []
    for _ in range(2):  # the second call finds all done
        files = simulate_plan(plan, tmp_path / "data", started=lambda *row: begun.append(row))
    assert begun == [("a", 0, 2), ("b", 0, 1), ("a", 2, 6), ("b", 1, 1), ("a", 6, 6)]
    assert_equal_data(contents(files[0]), uninterrupted)
    with Trajectories(files[1]) as data:
        assert data.n_frames == 2


def test_wrong_plans_are_named(tmp_path):
    path = tmp_path / "plan.toml"
    for change, words in {
        ('preset = "micro"', 'preset = "mikro"'): "no preset 'mikro'",
        ("cases = [2, 6]", "cases = [6, 2]"): "not falling",
        ("seed = 5", "seed = 4"): "the same seed",
        ("shape = [64, 96]", "shapes = [64, 96]"): "shape",
    }.items():
        path.write_text(PLAN.replace(*change, 1))
        with pytest.raises(ConfigError, match=words):
            load_plan(path).sets[0].config  # noqa: B018
    with pytest.raises(ConfigError, match="no such plan"):
        load_plan("walls")
    assert {s.preset for s in load_plan("wall").sets} == {"wall", "wall-micro"}
