"""The scarce-data study gives each run the cases it may see, no others, and says what the numbers say."""

import runpy
from pathlib import Path

import numpy as np
import pytest

from mld_closure.data.layout import TrajectorySpec
from mld_closure.data.store import write_trajectories
from mld_closure.data.trajectories import Trajectories
from mld_closure.data.windows import split_cases

STUDY = runpy.run_path(str(Path(__file__).parents[1] / "examples" / "05_scarce_data.py"))
FIELDS = ("temperature", "pressure", "microstructure")


def job(folder, method="micro", k=3, seed=1):
    return STUDY["Job"](method, k, seed, 1.0, "small", "cpu", folder)


def write(path, values):
    spec = TrajectorySpec(len(values), (4, 4), 1.0, (0.0, 1.0), {}, fields=FIELDS)
    cases = (
        (i, {f: np.full((2, 4, 4), v, np.float32) for f in FIELDS}, {"piston_speed": v}, {})
        for i, v in enumerate(values)
    )
    write_trajectories(path, spec, cases)


def test_a_subset_holds_the_chosen_cases_and_sets_the_validation_cases_aside(tmp_path):
    write(tmp_path / "train.h5", [float(i) for i in range(6)])
    write(tmp_path / "validation.h5", [100.0, 101.0])
    one = job(tmp_path)
    STUDY["subset"](one, tmp_path / "meso.h5")
    split = split_cases(5, 2, one.seed)
    with Trajectories(tmp_path / "meso.h5") as file:
        speed = file.scalars["piston_speed"]
        assert speed[list(split.train)].tolist() == STUDY["chosen"](one, 6)
        assert sorted(speed[list(split.validation)]) == [100.0, 101.0]
        assert [file.read(i)[1, 1, 2, 3] for i in range(5)] == speed.tolist()


def test_more_cases_keep_the_fewer_and_seeds_differ(tmp_path):
    sets = {(k, s): STUDY["chosen"](job(tmp_path, k=k, seed=s), 16) for k in (2, 4, 16) for s in (0, 1)}
    assert sets[4, 0][:2] == sets[2, 0]
    assert sorted(sets[16, 1]) == list(range(16))
    assert sets[2, 0] != sets[2, 1]


def test_without_pre_training_only_its_stages_are_missing(tmp_path):
    micro, plain = (STUDY["recipe"](job(tmp_path, m)) for m in ("micro", "plain"))
    assert plain.model == micro.model
    assert [s.name for s in micro.stages] == ["vae", "decoupled", "coupled", "meso", "head"]
    assert plain.stages == (micro.stages[0], *micro.stages[3:])


def test_the_sentence_says_what_the_numbers_say():
    area = {
        "micro": [(2, 0.1), (2, 0.3), (4, 0.2), (4, 0.2)],
        "plain": [(2, 0.25), (2, 0.4), (4, 0.1), (4, 0.1)],
        "parc": [(2, 0.5), (2, 0.6), (4, 0.5), (4, 0.5)],
        "mean": [(2, 0.0), (2, 0.0), (4, 0.0), (4, 0.0)],
    }
    said = STUDY["verdict"]({"hot_area": area}, [2, 4])
    assert "without at K = 2 of [2, 4] (all seeds apart: none)" in said
    assert "PARCv2 at K = 2, 4 of [2, 4] (all seeds apart: 2, 4)" in said
    assert "K cases at K = none" in said


def test_a_result_of_other_settings_is_refused(tmp_path):
    one = job(tmp_path)
    one.result.parent.mkdir()
    one.result.write_text('{"asked": {"minutes": 9.0}}')
    with pytest.raises(SystemExit, match="other settings"):
        STUDY["open_jobs"]([one])
