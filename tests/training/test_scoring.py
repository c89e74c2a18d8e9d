"""Scores of forecasts with known errors, with simple replacements of a data file and a model."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mld_closure import fields
from mld_closure.metrics.hotspots import burned_fraction, hotspot_curves, hotspot_errors
from mld_closure.training.baselines import MeanCurves, persistence
from mld_closure.training.forecasts import Forecast, rollout, truth_curves
from mld_closure.training.scoring import score, score_rollouts

NAMES = ("temperature", "pressure", "microstructure")
INTERVAL, PIXEL = 0.344e-9, 50e-9


class Data:
    """Movies in memory with the reading interface of a trajectory file."""

    def __init__(self, movies, names=NAMES, speeds=None):
        self.movies, self.fields, self.pixel = movies.astype(np.float32), tuple(names), PIXEL
        self.n_cases, self.shape = len(movies), movies.shape[-2:]
        self.times = np.arange(movies.shape[1]) * INTERVAL
        self.scalars = {} if speeds is None else {"piston_speed": np.asarray(speeds, float)}

    def read(self, case, names=None, frames=slice(None)):
        index = [self.fields.index(n) for n in names or self.fields]
        return self.movies[case][frames][:, index]


def movies(hot, nx=96, ny=32):
    """Movies (case, time, field, y, x): a front moves right; hot[case, time] pixels have 2000 K."""
    cases, times = np.shape(hot)
    out = np.zeros((cases, times, 3, ny, nx))
    out[:, :, 0] = 400.0
    for case in range(cases):
        for t in range(times):
            out[case, t, 0].flat[: int(hot[case][t])] = 2000.0
            out[case, t, 1] = 8e9 * np.clip(0.5 - (np.arange(nx) + 0.5 - 20 - 8 * t) / 6, 0, 1)
    out[:, :, 2] = 1.0
    return out


TRUTH = movies([[0, 0, 64, 192, 300], [0, 32, 96, 160, 340]])


def shown(array):
    return lambda case: Forecast(movie=array[case].astype(np.float32))


def test_the_truth_scores_zero():
    scores = score(shown(TRUTH), Data(TRUTH), [0, 1], NAMES)
    assert set(scores.fields.values()) == {0.0}
    assert set(scores.hotspots.values()) == set(scores.hotspots_left_out.values()) == {0.0}
    assert (scores.final_area_bias, scores.arrival_bias, scores.arrival_reached) == (0, pytest.approx(0), 1)
    assert scores.burned == {"area proxy": 0.0}
    assert scores.selection == 0.0
    assert scores.truth["area"] == pytest.approx(320 * PIXEL**2)
    assert scores.truth["hot temperature"] == pytest.approx(2000)


def test_a_movie_one_frame_late_is_scored_as_such():
    late = np.concatenate([TRUTH[:, :1], TRUTH[:, :-1]], axis=1)
    scores = score(shown(late), Data(TRUTH), [0, 1], NAMES)
    assert scores.arrival_bias == pytest.approx(1.0)
    for i, name in enumerate(NAMES):
        expected = np.sqrt(np.mean((late - TRUTH)[:, 1:, i] ** 2))
        assert scores.fields[name] == pytest.approx(expected, rel=1e-6)
    curves = [hotspot_curves(movie[:, :, 0], PIXEL, INTERVAL) for movie in (late, TRUTH)]
    for name, value in hotspot_errors(*curves).items():
        assert scores.hotspots[name] == pytest.approx(value)
    assert scores.hotspots_left_out["temperature"] == 0.0  # hot pixels have one temperature
    assert scores.final_area_bias == pytest.approx((192 + 160 - 300 - 340) / 2 * PIXEL**2)
    shares = {row.quantity: row.share for row in scores.rows()}
    assert shares["final hot area, bias"] == pytest.approx(-0.45)
    assert shares["hot area"] == pytest.approx(scores.hotspots["area"] / (320 * PIXEL**2))
    assert scores.selection == pytest.approx(shares["hot area"] + shares["T"])


def test_burned_fraction_is_judged_by_mass_where_the_file_tells_it():
    extended = np.concatenate([TRUTH, TRUTH[:, :, :1] / 4000, 1000 + TRUTH[:, :, :1]], axis=2)
    data = Data(extended, (*NAMES, "reaction_progress", "density"))
    _, burned = truth_curves(data, 1)
    movie = data.movies[1]
    assert burned == pytest.approx(burned_fraction(movie[:, 3], movie[:, 4]))
    told = score(lambda case: Forecast(movie=data.movies[case, :, :3], burned=burned), data, [1], NAMES)
    assert told.burned["direct"] == 0.0
    assert told.burned["area proxy"] > 0.05


def test_persistence_holds_frame_zero():
    scores = score(persistence(Data(TRUTH), NAMES), Data(TRUTH), [0], NAMES)
    assert scores.fields["temperature"] == pytest.approx(
        np.sqrt(np.mean((TRUTH[0, 1:, 0] - TRUTH[0, 0, 0]) ** 2))
    )
    assert scores.arrival_reached == 0.0
    text = json.dumps(scores.to_dict(), allow_nan=False)
    assert json.loads(text)["arrival_bias"] is None


def test_mean_curves_follow_the_load():
    speeds = [600, 800, 1000, 1400]
    ramp = np.arange(5) ** 2
    train = Data(movies([(s - 500) / 10 * ramp // 4 for s in speeds]), speeds=speeds)
    asked = Data(movies([(1100 - 500) / 10 * ramp // 4]), speeds=[1100])
    scores = score(MeanCurves(train, [0, 1, 2, 3]).forecaster(asked), asked, [0], NAMES)
    assert scores.hotspots["area"] < 0.6 * PIXEL**2  # rounding to whole pixels
    assert scores.hotspots["temperature"] == pytest.approx(0)
    assert scores.burned["area proxy"] == pytest.approx(scores.burned["direct"], abs=1e-6)
    assert scores.fields == {}
    assert not any("front" in row.quantity for row in scores.rows())
    below = MeanCurves(train, [0, 1]).forecaster(Data(TRUTH[:1], speeds=[100]))(0)
    assert below.curves.area.min() == 0.0  # never negative far below the trained loads
    with pytest.raises(ValueError, match="do not cover the 5 frames"):
        MeanCurves(Data(train.movies[:, :3], speeds=speeds), [0]).forecaster(asked)


class Toy(torch.nn.Module):
    """A model that heats by 0.1 (scaled) per frame and a tenth of the load; samples add noise of 0.05."""

    def __init__(self, load_conditioning=False, evolve_logvar=True):
        super().__init__()
        self.parameter = torch.nn.Parameter(torch.zeros(()))
        self.config = SimpleNamespace(
            fields=NAMES,
            load_conditioning=load_conditioning,
            evolve_logvar=evolve_logvar,
            scale_load=lambda speed: (speed - 500) / 1000,
        )

    def encode(self, x):
        assert x.shape[0] == 1
        assert not self.training
        return x

    def advance(self, x, load=None):
        return x + 0.1 + (0 if load is None else 0.1 * load.view(-1, 1, 1, 1))

    def decode(self, x, fields=None, generator=None):
        return x if generator is None else x + 0.05 * torch.randn(x.shape, generator=generator)


@pytest.mark.parametrize(("conditioned", "step"), [(False, 0.1), (True, 0.15)])
def test_a_rollout_starts_from_frame_zero_and_knows_the_load(conditioned, step):
    data = Data(TRUTH, speeds=[700, 1000])
    model = Toy(conditioned).train()
    movie = rollout(model, data)(1).movie
    assert model.training
    for i, name in enumerate(NAMES):
        field = fields.get(name)
        expected = field.unscale(field.scale(TRUTH[1, :1, i]) + step * np.arange(5)[:, None, None])
        np.testing.assert_allclose(movie[:, i], expected, rtol=1e-5, atol=1e-3 * (field.high - field.low))
    with pytest.raises(ValueError, match="piston speed of case 0"):
        score_rollouts(Toy(True), Data(TRUTH), [0])


@pytest.mark.parametrize("restart", [0, 1, 3])
def test_the_truth_can_stand_in_every_few_frames(restart):
    data = Data(TRUTH)
    movie = rollout(Toy(), data, restart=restart)(0).movie
    for frame in range(1, 5):
        steps = 0 if restart == 0 else (frame - 1) % restart + 1
        for i, name in enumerate(NAMES):
            field = fields.get(name)
            expected = field.unscale(field.scale(TRUTH[0, frame - steps, i]) + 0.1 * steps)
            np.testing.assert_allclose(
                movie[frame, i], expected, rtol=1e-5, atol=1e-3 * (field.high - field.low)
            )


def test_an_ensemble_right_about_its_spread_is_called_so():
    rng = np.random.default_rng(0)
    toy, data = Toy(), Data(TRUTH)
    expected = np.stack([rollout(toy, data)(case).movie for case in (0, 1)])
    scale = np.array([fields.get(n).high - fields.get(n).low for n in NAMES])[:, None, None]
    data.movies = (expected + 0.05 * scale * rng.normal(size=expected.shape)).astype(np.float32)
    data.movies[:, 0] = TRUTH[:, 0]
    scores = score_rollouts(toy, data, [0, 1], members=20)
    assert set(scores.calibration) == set(NAMES)
    for result in scores.calibration.values():
        assert result.spread_skill == pytest.approx(1, abs=0.03)
        assert result.coverage == pytest.approx(0.66, abs=0.02)
    assert score_rollouts(toy, data, [0, 1], members=20).to_dict() == scores.to_dict()
    plain = score_rollouts(toy, data, [0, 1])
    assert replace(scores, calibration={}).to_dict() == plain.to_dict()


def test_what_cannot_be_scored_is_refused():
    data = Data(TRUTH)
    with pytest.raises(ValueError, match="no ensemble"):
        score_rollouts(Toy(evolve_logvar=False), data, [0], members=4)
    with pytest.raises(ValueError, match="at least 2 members, got 1"):
        score_rollouts(Toy(), data, [0], members=1)
    with pytest.raises(ValueError, match="no case"):
        score_rollouts(Toy(), data, [])
    with pytest.raises(ValueError, match="'microstructure'"):
        score_rollouts(Toy(), Data(TRUTH[:, :, :2], NAMES[:2]), [0])
    data.times = np.array([0, 1, 2, 3, 9]) * INTERVAL
    with pytest.raises(ValueError, match="evenly spaced"):
        score_rollouts(Toy(), data, [0])
