"""Trajectory files: exact values, lazy reading, and reading by the unmodified reader of The Well."""

import pickle
import tracemalloc
from pathlib import Path

import h5py
import numpy as np
import pytest

from mld_closure import __version__, fields
from mld_closure.config import ConfigError
from mld_closure.data.layout import TrajectorySpec
from mld_closure.data.store import write_trajectories
from mld_closure.data.trajectories import Trajectories

SPEC = TrajectorySpec(
    n_cases=3,
    shape=(6, 10),
    pixel=5e-8,
    times=(0.0, 1.72e-10, 3.44e-10, 5.2e-10),
    configuration={"load": {"piston_speed": [500.0, 900.0]}, "seed": 7},
)


def case_arrays(index, spec=SPEC):
    """Random values within the valid range of each field, different for each case."""
    rng = np.random.default_rng(100 + index)
    out = {}
    for name in spec.fields:
        low, high = fields.get(name).low, fields.get(name).high
        out[name] = rng.uniform(low, high, (spec.n_frames, *spec.shape)).astype(np.float32)
    return out


def case(index, spec=SPEC):
    scalars = {"piston_speed": 500.0 + index, "seed": 2**40 + index, "porosity": 0.1}
    return index, case_arrays(index, spec), scalars, {"voids": [{"x": 1e-6 * index}]}


@pytest.fixture
def path(tmp_path):
    return write_trajectories(tmp_path / "data.h5", SPEC, [case(i) for i in (2, 0, 1)])


def test_round_trip_is_exact(path):
    with Trajectories(path) as data:
        assert (data.n_cases, data.shape, data.pixel) == (3, (6, 10), 5e-8)
        assert tuple(data.times) == SPEC.times
        assert data.fields == SPEC.fields == tuple(fields.FIELDS)
        assert data.spec == SPEC
        assert data.cases.tolist() == [0, 1, 2]
        assert data.scalars["piston_speed"].tolist() == [500.0, 501.0, 502.0]
        assert data.scalars["seed"].tolist() == [2**40, 2**40 + 1, 2**40 + 2]
        assert data.description(2) == {"voids": [{"x": 2e-6}]}
        assert data.failures == []
        assert data.provenance["version"] == __version__
        assert data.provenance["configuration"] == SPEC.configuration
        for i in range(3):
            expected = np.stack([case_arrays(i)[n] for n in data.fields], axis=1)
            values = data.read(i)
            assert values.dtype == np.float32
            np.testing.assert_array_equal(values, expected)


def test_reads_the_fields_and_frames_asked_for_in_that_order(path):
    with Trajectories(path) as data:
        names = ("velocity_x", "temperature", "velocity_y")
        expected = np.stack([case_arrays(1)[n] for n in names], axis=1)
        np.testing.assert_array_equal(data.read(1, names, slice(1, 3)), expected[1:3])
        np.testing.assert_array_equal(data.read(1, names, [3, 0]), expected[[3, 0]])
        np.testing.assert_array_equal(data.read(1, ["velocity_x"], slice(None, None, -2)), expected[::-2, :1])


def test_a_copy_in_another_process_opens_the_file_anew(path):
    with Trajectories(path) as data:
        copy = pickle.loads(pickle.dumps(data))
        data.close()
        with copy:
            np.testing.assert_array_equal(copy.read(0, ["density"])[:, 0], case_arrays(0)["density"])


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ((3,), ValueError, "holds cases 0 to 2, got 3"),
        ((-1,), ValueError, "holds cases 0 to 2, got -1"),
        ((0, ["density", "heat"]), KeyError, "has no field 'heat'; it holds temperature"),
        ((0, None, [4]), ValueError, "holds frames 0 to 3, got 4"),
    ],
)
def test_bad_requests_name_the_limit(path, arguments, error, text):
    with Trajectories(path) as data, pytest.raises(error, match=text):
        data.read(*arguments)


def test_files_that_cannot_be_read_say_why(path, tmp_path):
    with pytest.raises(FileNotFoundError, match="no such trajectory file"):
        Trajectories(tmp_path / "none.h5")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="truncated"):
        Trajectories(path)
    path.write_text("temperature\n300\n")
    with pytest.raises(ValueError, match="no HDF5 file"):
        Trajectories(path)
    path.write_bytes(whole)
    with h5py.File(path, "a") as file:
        file.attrs["format_version"] = 2
    with pytest.raises(ValueError, match="format version 2, this package reads version 1"):
        Trajectories(path)
    with h5py.File(path, "w") as file:
        file["x"] = 1
    with pytest.raises(ValueError, match="not a trajectory file"):
        Trajectories(path)


def test_imported_data_may_lack_fields(tmp_path):
    spec = TrajectorySpec(1, (4, 4), 1e-7, (0.0, 1e-9), fields=("pressure", "microstructure", "temperature"))
    index, arrays, _, _ = case(0, spec)
    with Trajectories(write_trajectories(tmp_path / "p.h5", spec, [(index, arrays, {}, {})])) as data:
        assert data.fields == fields.MODEL_FIELDS
        assert list(data.scalars) == ["case"]
        np.testing.assert_array_equal(data.read(0)[:, 1], arrays["pressure"])


def test_the_well_opens_the_file_unchanged(path):
    well = pytest.importorskip("the_well.data")
    dataset = well.WellDataset(
        path=str(path.parent), n_steps_input=1, n_steps_output=2, use_normalization=False
    )
    assert dataset.metadata.spatial_resolution == (6, 10)
    assert dataset.metadata.n_trajectories_per_file == [3]
    assert dataset.metadata.field_names[1] == ["velocity_y", "velocity_x"]
    assert set(dataset.metadata.boundary_condition_types) == {"wall", "open"}
    assert len(dataset) == 3 * 2  # windows of three frames among four
    sample = dataset[3]  # case 1, frame 1
    names = [n for order in (0, 1) for n in dataset.metadata.field_names[order]]
    arrays = case_arrays(1)
    window = np.concatenate([sample["input_fields"], sample["output_fields"]])  # (time, y, x, field)
    assert window.shape[-1] == len(SPEC.fields)
    for channel, name in enumerate(names):
        np.testing.assert_array_equal(window[..., channel], arrays[name][1:4])
    constants = dict(zip(dataset.metadata.constant_scalar_names, sample["constant_scalars"], strict=True))
    assert float(constants["piston_speed"]) == 501.0
    times = np.concatenate([sample["input_time_grid"], sample["output_time_grid"]])
    np.testing.assert_allclose(times, np.array(SPEC.times[1:]) - SPEC.times[1], rtol=1e-5)
    grid = sample["space_grid"].numpy()
    np.testing.assert_allclose(grid[2, 3], [2.5 * 5e-8, 3.5 * 5e-8], rtol=1e-6)
    assert sample["boundary_conditions"].tolist() == [[0, 0], [1, 1]]  # walls across y, open across x


def bytes_read():
    return int(Path("/proc/self/io").read_text().split()[1])


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="counts bytes with /proc/self/io")
def test_a_window_costs_its_own_frames(tmp_path):
    spec = TrajectorySpec(8, (64, 96), 5e-8, tuple(1e-10 * t for t in range(12)))
    path = write_trajectories(tmp_path / "d.h5", spec, [case(i, spec) for i in range(8)])
    frame = 64 * 96 * 4  # random mantissas hardly compress
    assert path.stat().st_size > 8 * 12 * 7 * frame * 0.8
    before = bytes_read()
    with Trajectories(path) as data:
        header = bytes_read() - before
        data.read(5, ["temperature", "pressure"], slice(4, 7))
        window = bytes_read() - before - header
    assert window < 6 * frame + 50_000
    assert header < 50_000


def test_a_huge_file_opens_at_once(path):
    """A file enlarged to 1.7 TB of unwritten chunks; reading the written frame does not touch the rest."""
    n, shape = 100_000, (1024, 1024)
    with h5py.File(path, "a") as file:
        del (
            file["t0_fields/temperature"],
            file["t1_fields/velocity"],
            file["dimensions/y"],
            file["dimensions/x"],
        )
        file["t0_fields"].attrs["field_names"] = ["temperature"]
        file["t1_fields"].attrs["field_names"] = np.array([], dtype=h5py.string_dtype())
        file["dimensions/y"] = file["dimensions/x"] = np.zeros(1024, "f4")
        file.attrs["n_trajectories"] = n
        for name in list(file["scalars"]):
            del file["scalars"][name]
            file["scalars"].create_dataset(name, (n,), "f4")
        del file["descriptions"]
        file.create_dataset("descriptions", (n,), h5py.string_dtype())
        huge = file.create_dataset("t0_fields/temperature", (n, 4, *shape), "f4", chunks=(1, 1, *shape))
        huge[99_999, 3] = 777.0
        assert huge.nbytes > 1.6e12
    tracemalloc.start()
    with Trajectories(path) as data:
        values = data.read(99_999, frames=[3])
        peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert values.shape == (1, 1, *shape)
    assert (values == 777.0).all()
    assert peak < 3 * values.nbytes


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"n_cases": 0}, "at least one case, got 0"),
        ({"shape": (0, 4)}, "at least one pixel"),
        ({"pixel": -1e-9}, "pixel size must be positive, got -1e-09 m"),
        ({"times": (0.0, 2e-9, 2e-9)}, "must increase, got 2e-09 s at frame 2"),
        ({"fields": ("temperature", "pressure")}, "field 'microstructure' is missing"),
        ({"fields": (*fields.MODEL_FIELDS, "velocity_x")}, "velocity needs both components"),
        ({"fields": (*fields.MODEL_FIELDS, "heat")}, "unknown field 'heat'"),
        ({"boundaries": ("wall", "glass")}, "two of wall, open, periodic"),
    ],
)
def test_a_spec_that_cannot_be_stored_is_refused(change, text):
    with pytest.raises(ConfigError, match=text):
        TrajectorySpec(**{"n_cases": 1, "shape": (4, 4), "pixel": 1e-8, "times": (0.0, 1e-9), **change})
