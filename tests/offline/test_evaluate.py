"""`evaluate` from Python: numbers worked out apart, an open file that stays open, a readable repr."""

import numpy as np
import pytest

import mld_closure as mld
from mld_closure.errors import ConfigError
from mld_closure.offline.surrogates import choose_cases


def test_scores_are_the_errors_of_the_bundles_own_rollout(bundle, data):
    with mld.Trajectories(data) as file:
        found = mld.evaluate(bundle, file, cases=[2], threads=1)
        truth = file.read(2, bundle.config.fields)  # the file is still open
    assert [one.name for one in found.results] == ["bundle", "bundle, head", "persistence"]
    movie = bundle.rollout(truth[0], 3, "meso", 900.0)
    for i, name in enumerate(bundle.config.fields):
        error = np.sqrt(np.mean((movie[:, i] - truth[1:, i]) ** 2))
        assert found.scores.fields[name] == pytest.approx(error, rel=1e-4)
    assert found.cases == (2,)
    assert found.to_dict()["results"][0]["scores"]["fields"] == found.scores.fields


def test_progress_begins_with_every_forecaster_and_names_each_case(bundle, data):
    seen = []
    mld.evaluate(bundle, data, cases="0-1", threads=1, report=lambda *now: seen.append(now))
    assert seen[:3] == [("bundle", 2, None), ("bundle", 2, 0), ("bundle", 2, 1)]
    assert seen[-1] == ("persistence", 2, 1)


def test_its_repr_has_a_line_for_each_forecaster(bundle, data):
    found = mld.evaluate(bundle, data, limit=1, threads=1)
    first, *rest = repr(found).splitlines()
    assert first == f"Evaluation on 1 cases of {data}, errors are RMSE"
    assert [line.split("  ")[1] for line in rest] == ["bundle", "bundle, head", "persistence"]
    assert f"T {found.scores.fields['temperature']:.3g} K" in rest[0]
    assert repr(found.scores).startswith("Scores(1 cases, RMSE: T ")


def test_what_cannot_be_judged_is_said(bundle, data):
    with pytest.raises(ConfigError, match=r"scale 'macro': choose meso \| micro"):
        mld.evaluate(bundle, data, scale="macro")
    with pytest.raises(ConfigError, match="holds cases 0 to 2"):
        mld.evaluate(bundle, data, cases=[3])
    with pytest.raises(ConfigError, match="case -1 is not in the file"):
        choose_cases([-1], 3)
    with pytest.raises(ConfigError, match="name no case"):
        choose_cases([], 3)
