"""Calibration of ensembles with a correct spread, too small a spread, and no spread."""

import numpy as np
import pytest

from mld_closure.metrics.calibration import EnsembleMoments, calibration


def draw(spread, members=40, size=20000):
    rng = np.random.default_rng(3)
    return spread * rng.normal(size=(members, size)), rng.normal(size=size)


def test_a_truth_that_is_one_more_member_gives_ratio_one_and_gaussian_coverage():
    result = calibration(*draw(1.0, members=400))
    assert result.spread_skill == pytest.approx(1.0, abs=0.01)
    assert result.coverage == pytest.approx(0.6827, abs=0.01)
    assert result.error == pytest.approx(np.sqrt(1 + 1 / 400), abs=0.01)


def test_few_members_keep_ratio_one():
    assert calibration(*draw(1.0, members=3)).spread_skill == pytest.approx(1.0, abs=0.01)


def test_an_ensemble_too_sure_of_itself_is_seen():
    result = calibration(*draw(0.25))
    assert result.spread_skill == pytest.approx(0.25, abs=0.01)
    assert result.coverage == pytest.approx(0.1974, abs=0.01)  # normal mass within a quarter sigma


def test_running_moments_equal_those_of_the_whole_array():
    members = 1e9 + np.random.default_rng(0).normal(size=(7, 3, 4))
    moments = EnsembleMoments()
    for member in members:
        moments.add(member)
    assert moments.mean == pytest.approx(members.mean(0))
    assert moments.std == pytest.approx(members.std(0, ddof=1))


def test_one_member_has_no_spread():
    moments = EnsembleMoments()
    moments.add(np.zeros(3))
    with pytest.raises(ValueError, match="two members, got 1"):
        _ = moments.std
    with pytest.raises(ValueError, match=r"shape \(4,\)"):
        moments.add(np.zeros(4))
