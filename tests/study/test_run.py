"""Studies from Python: what a run returns, its progress, and going on from the last checkpoint."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest

import mld_closure as mld
from mld_closure.config import ConfigError

ROOT = Path(__file__).resolve().parents[2]
CASE = {"cells": 16, "piston_speed": 900.0, "end_time": 2e-8, "closure": {"kind": "ignition-growth"}}


def steps(out):
    with open(out / "steps.csv", newline="") as file:
        return [{k: v for k, v in r.items() if not k.startswith("seconds")} for r in csv.DictReader(file)]


def test_a_run_returns_the_essentials(tmp_path):
    out, seen = tmp_path / "slab", []
    result = mld.run(CASE, out, frames=5, progress=seen.append)
    assert result.summary == json.loads((out / "summary.json").read_text())
    assert {p.name for p in result.files} == {p.name for p in out.iterdir()}
    assert result.checkpoints == []
    assert [now.step for now in seen] == list(range(1, result.steps + 1))
    assert seen[-1].time == seen[-1].end_time == 2e-8
    fronts = np.array([now.front for now in seen])  # none before the shock has formed
    assert (np.diff(fronts[np.isfinite(fronts)]) > 0).all()
    assert 0 < result.burned_fraction < 1
    assert result.run_to_detonation is None
    assert f"cells burned: {result.summary['burned_cells']} of 16" in repr(result)
    assert len(repr(result).splitlines()) < 15


def test_a_run_goes_on_from_its_last_checkpoint(tmp_path, undrawn):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    mld.run(CASE, whole, frames=5)
    first = mld.run(CASE | {"end_time": 1.5e-8}, cut, resume=True, frames=5, checkpoint_every=20)  # a new run
    assert first.checkpoints[0].name == "step-00000020"
    with pytest.raises(FileExistsError, match=rf"holds a run already; .*{first.checkpoints[-1].name}"):
        mld.run(CASE, cut)
    again = mld.run(CASE, cut, resume=True)
    assert steps(cut) == steps(whole)
    assert again.steps == len(steps(whole))
    with pytest.raises(ConfigError, match="belongs to another case: piston_speed differ"):
        mld.run(CASE | {"piston_speed": 800.0}, tmp_path / "o", resume=again.checkpoints[-1])


def test_what_cannot_run_leaves_no_folder(tmp_path):
    for case, options, words in (
        ({"cels": 3}, None, "did you mean 'cells'"),
        (CASE, {"device": "cpu"}, "device is for a surrogate"),
        ({"closure": {"kind": "surrogate", "bundle": "no-such"}}, {"devise": "cpu"}, "did you mean 'device'"),
    ):
        with pytest.raises(ConfigError, match=words):
            mld.run(case, tmp_path / "o", options=options)
        assert not (tmp_path / "o").exists()


def test_the_readme_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "mld_closure/study/README.md").read_text()
    code, table = (re.findall(rf"```{kind}\n(.*?)```", text, re.S) for kind in ("python", "toml"))
    for block in code:
        exec(compile(block, "README", "exec"), {})
    for block in table:
        (tmp_path / "case.toml").write_text(block)
        from mld_closure.study.case import read_case

        assert read_case(tmp_path / "case.toml").closure.surrogate().fallback.kind == "dns"
