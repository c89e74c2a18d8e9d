"""Curves beside the fields: exact round trip, refusals at the door, and faults of files by place."""

import json

import h5py
import numpy as np
import pytest

from mld_closure.config import ConfigError
from mld_closure.data.curves import CURVES
from mld_closure.data.layout import TrajectorySpec
from mld_closure.data.store import CaseStore, write_trajectories
from mld_closure.data.trajectories import Trajectories
from mld_closure.data.validation import validate
from mld_closure.metrics.hotspots import THRESHOLD

SPEC = TrajectorySpec(
    2, (4, 5), 5e-8, (0.0, 1e-10, 2e-10), curve_times=(0.0, 0.5e-10, 1e-10, 1.5e-10, 2e-10), parts=3
)


def case_arrays(index, spec=SPEC):
    rng = np.random.default_rng(index)
    arrays = {n: np.full((3, 4, 5), 300 if n == "temperature" else 0, np.float32) for n in spec.fields}
    for name in CURVES:
        shape = (4,) if name == "arrival" else (5, 4)
        arrays[name] = rng.uniform(0, 1, shape).astype(np.float32)
    arrays["arrival"] = np.array([1e-10, 5e-11, np.nan, 2e-10], np.float32)
    return arrays


@pytest.fixture
def path(tmp_path):
    cases = [(i, case_arrays(i), {"porosity": 0.1, "halo": 64}, {}) for i in (1, 0)]
    return write_trajectories(tmp_path / "c.h5", SPEC, cases)


def test_round_trip_is_exact(path):
    assert validate(path) == []
    with Trajectories(path) as data:
        assert data.spec == SPEC
        assert data.parts == 3
        assert tuple(data.curve_times) == SPEC.curve_times
        assert data.scalars["halo"].tolist() == [64, 64]
        for i in range(2):
            curves = data.curves(i)
            assert set(curves) == set(CURVES)
            for name, values in curves.items():
                assert values.dtype == np.float32
                np.testing.assert_array_equal(values, case_arrays(i)[name])
        with pytest.raises(ValueError, match="holds cases 0 to 1, got 2"):
            data.curves(2)


def test_curves_carry_units_and_say_what_varies(path):
    with h5py.File(path) as file:
        assert set(file["curves"].attrs["field_names"]) == set(CURVES)
        assert file["curves/time"].attrs["units"] == "s"
        assert file["curves/mean_pressure"].attrs["units"] == "Pa"
        assert file["curves/mean_pressure"].attrs["time_varying"]
        assert not file["curves/arrival"].attrs["time_varying"]
        assert file["curves/burned_share"].attrs["sample_varying"]


def test_a_file_without_curves_has_none_and_is_as_before(tmp_path):
    spec = TrajectorySpec(1, (4, 5), 5e-8, (0.0, 1e-10, 2e-10))
    arrays = {n: v for n, v in case_arrays(0).items() if n in spec.fields}
    path = write_trajectories(tmp_path / "n.h5", spec, [(0, arrays, {}, {})])
    with h5py.File(path) as file:
        assert "curves" not in file
    with Trajectories(path) as data:
        assert data.curves(0) == {}
        assert data.spec == spec
    assert validate(path) == []


def test_a_campaign_begun_before_there_were_curves_goes_on(tmp_path):
    spec = TrajectorySpec(1, (4, 5), 5e-8, (0.0, 1e-10, 2e-10))
    store = CaseStore(tmp_path / "o.h5", spec)
    old = {k: v for k, v in json.loads(spec.to_json()).items() if k not in ("curve_times", "parts")}
    (store.parts / "spec.json").write_text(json.dumps(old))
    assert CaseStore(tmp_path / "o.h5", spec).done() == set()


def test_the_well_still_opens_the_file(path):
    well = pytest.importorskip("the_well.data")
    dataset = well.WellDataset(
        path=str(path.parent), n_steps_input=1, n_steps_output=1, use_normalization=False
    )
    assert len(dataset) == 2 * 2
    assert "burned_share" not in str(dataset.metadata.field_names)


@pytest.mark.parametrize(
    ("name", "values", "text"),
    [
        ("burned_share", np.zeros((4, 4), np.float32), r"expected float32 \(5, 4\), got float32 \(4, 4\)"),
        ("arrival", np.zeros(4), r"expected float32 \(4,\), got float64"),
        ("burned_share", np.full((5, 4), 1.1, np.float32), r"burned_share: value 1\.1 1 is outside"),
        ("mean_pressure", np.full((5, 4), np.nan, np.float32), r"value nan Pa .*curve time 0, part 0"),
        ("arrival", np.array([0, 0, -1e-9, 0], np.float32), r"value -1e-09 s is outside 0 to 1 \(part 2\)"),
        ("arrival", np.array([0, np.inf, 0, 0], np.float32), r"value inf s .*part 1"),
    ],
)
def test_wrong_curves_are_refused(tmp_path, name, values, text):
    with pytest.raises(ValueError, match=text):
        CaseStore(tmp_path / "r.h5", SPEC).write(0, {**case_arrays(0), name: values}, {}, {})


def test_a_missing_curve_is_refused(tmp_path):
    arrays = case_arrays(0)
    del arrays["kept_share"]
    with pytest.raises(ValueError, match="kept_share"):
        CaseStore(tmp_path / "r.h5", SPEC).write(0, arrays, {}, {})


@pytest.mark.parametrize(
    ("where", "index", "value", "fault"),
    [
        ("burned_share", (1, 3, 2), 2.0, "case 1, curve burned_share: value 2 1 is outside -1e-06 to 1"),
        ("hot_temperature", (0, 4, 0), np.nan, "case 0, curve hot_temperature: value nan K is outside"),
        ("arrival", (1, 3), -1.0, "case 1, curve arrival: value -1 s is outside 0 to 1 (part 3)"),
        ("time", 2, 0.1e-10, "curves/time must increase, but time 2 is 1e-11 s"),
    ],
)
def test_faults_of_curves_are_named_with_their_place(path, where, index, value, fault):
    with h5py.File(path, "a") as file:
        file[f"curves/{where}"][index] = value
    assert any(fault in sentence for sentence in validate(path)), validate(path)


def test_missing_and_misshapen_curves_are_named(path):
    with h5py.File(path, "a") as file:
        del file["curves/kept_share"]
    assert "curves/kept_share is listed but missing" in validate(path)
    with h5py.File(path, "a") as file:
        file["curves/kept_share"] = np.ones((2, 5, 3), "f4")
    (fault,) = validate(path)
    assert "curves/kept_share: expected shape (2, 5, 4), got (2, 5, 3)" in fault


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"curve_times": (0.0, 0.0)}, "curve times must increase, got 0.0 s at time 1"),
        ({"curve_times": (), "parts": 4}, "4 parts without curve times"),
    ],
)
def test_a_spec_that_cannot_be_stored_is_refused(change, text):
    with pytest.raises(ConfigError, match=text):
        TrajectorySpec(**{"n_cases": 1, "shape": (4, 4), "pixel": 1e-8, "times": (0.0, 1e-9), **change})


def test_hot_means_the_same_in_curves_and_in_scores():
    from mld_closure.dns.curves import HOT

    assert HOT == THRESHOLD
