"""`predict` and `rollout` give what the bundle's own rollout gives, frame 0 first, and can be stored."""

import numpy as np
import pytest

import mld_closure as mld
from mld_closure.errors import ConfigError

FIELDS = ("temperature", "pressure", "microstructure")


@pytest.fixture
def frame0(data):
    with mld.Trajectories(data) as file:
        return file.read(1, FIELDS, slice(0, 1))[0]


def test_a_rollout_is_frame_0_and_what_the_bundle_makes_of_it(bundle, frame0):
    made = mld.rollout(bundle, frame0, 3, load=800.0, threads=1)
    np.testing.assert_array_equal(made.movie[0], frame0)
    np.testing.assert_array_equal(made.movie[1:], bundle.rollout(frame0, 3, "meso", 800.0))
    np.testing.assert_allclose(made.times, bundle.meso_step * np.arange(4))
    np.testing.assert_array_equal(made["pressure"], made.movie[:, 1])
    by_name = dict(zip(FIELDS, frame0, strict=True))
    reordered = {name: by_name[name] for name in reversed(FIELDS)}
    again = mld.rollout(bundle, reordered, 3, load=800.0, threads=1)
    np.testing.assert_array_equal(again.movie, made.movie)
    micro = mld.rollout(bundle, frame0, 1, load=800.0, scale="micro", threads=1)
    assert micro.times[1] == bundle.micro_step


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: f[:2], r"shape \(2, 32, 64\); expected \(3, y, x\)"),
        (lambda f: f[None], r"shape \(1, 3, 32, 64\)"),
        (lambda f: {"temperature": f[0], "pressure": f[1]}, "lacks the field 'microstructure'"),
        (lambda f: np.where(f > 1e9, np.nan, f), "not finite"),
    ],
)
def test_a_frame_that_does_not_fit_is_named(bundle, frame0, change, words):
    with pytest.raises(ValueError, match=words):
        mld.rollout(bundle, change(frame0), 1, load=800.0, threads=1)


def test_a_load_that_is_needed_is_asked_for(bundle, frame0):
    with pytest.raises(ValueError, match="needs the scaled load"):
        mld.rollout(bundle, frame0, 1, threads=1)


def test_a_prediction_of_a_case_is_its_rollout_and_goes_into_a_file(bundle, data, frame0, tmp_path):
    made = mld.predict(bundle, data, 1, frames=3, threads=1)
    expected = mld.rollout(bundle, frame0, 2, load=800.0, threads=1)
    np.testing.assert_allclose(made.movie, expected.movie, rtol=1e-5)
    assert made.latents["pressure"].shape == (3, 4, 4, 8)
    path = made.save(tmp_path / "made.h5")
    with mld.Trajectories(path) as file:
        np.testing.assert_array_equal(file.read(0, ["temperature"])[:, 0], made["temperature"])
        assert file.scalars["piston_speed"] == [800.0]
        np.testing.assert_allclose(file.times, made.times)
    with pytest.raises(FileExistsError, match="exists already"):
        made.save(path)
    with pytest.raises(ConfigError, match="at least 2 frames"):
        mld.predict(bundle, data, frames=1)
    with pytest.raises(KeyError, match="no field 'density'"):
        made["density"]


def test_its_repr_names_surrogate_times_and_the_range_of_each_field(bundle, frame0):
    first, *rest = repr(mld.rollout(bundle, frame0, 2, load=800.0, threads=1)).splitlines()
    assert first == "Prediction by bundle (meso): 3 frames of 32 x 64 pixels, 0 to 0.688 ns"
    assert [line.split(":")[0].strip() for line in rest] == list(FIELDS)
    assert "greatest 700 -> " in rest[0]
    assert rest[0].endswith(" K")
