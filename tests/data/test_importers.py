"""Import of arrays of other codes: exact values, one case in memory at a time, clear messages."""

import tracemalloc

import numpy as np
import pytest

from mld_closure import fields
from mld_closure.config import ConfigError
from mld_closure.data.importers import (
    PARC_FIELDS,
    REFERENCE_BOUNDS,
    import_arrays,
    parc_source,
    reference_source,
)
from mld_closure.data.trajectories import Trajectories
from mld_closure.data.validation import validate

GRID = {"pixel": 5e-8, "frame_interval": 1.72e-10}


def physical(names, shape=(2, 4, 6, 5), seed=0):
    """Random SI values (sample, time, field, y, x) within the scaling range of each field."""
    n, t, y, x = shape
    unit = np.random.default_rng(seed).random((n, t, len(names), y, x))
    return np.stack([fields.get(f).unscale(unit[:, :, i]) for i, f in enumerate(names)], axis=2)


def test_reference_arrays_round_trip(tmp_path):
    truth = physical(fields.MODEL_FIELDS)
    scaled = np.stack([fields.get(f).scale(truth[:, :, i]) for i, f in enumerate(fields.MODEL_FIELDS)])
    np.save(tmp_path / "data.npy", scaled.transpose(1, 3, 4, 0, 2))  # (sample, y, x, field, time)
    names = fields.MODEL_FIELDS
    bounds = {n: REFERENCE_BOUNDS[n] for n in names}
    out = import_arrays(reference_source(tmp_path / "data.npy"), tmp_path / "d.h5", bounds=bounds, **GRID)
    assert validate(out) == []
    with Trajectories(out) as data:
        assert data.n_cases == 2
        np.testing.assert_allclose(data.times, [0, 1.72e-10, 3.44e-10, 5.16e-10], rtol=1e-12)
        for i in range(2):
            np.testing.assert_allclose(data.read(i, names), truth[i], rtol=3e-7, atol=1e-6 * 300)
        assert data.description(1) == {"source": "sample 1"}
        assert data.provenance["configuration"]["imported"]["bounds"]["temperature"] == [300, 5000]


def test_other_bounds_and_field_order(tmp_path):
    array = np.zeros((1, 2, 2, 3, 1), np.float32)
    array[..., 0, :], array[..., 1, :], array[..., 2, :] = 0.25, 0.5, 1.0
    np.save(tmp_path / "a.npy", array)
    source = reference_source(tmp_path / "a.npy", ("microstructure", "temperature", "pressure"))
    bounds = {"microstructure": (1.0, 0.0), "temperature": (300.0, 4000.0), "pressure": (0.0, 1e9)}
    with Trajectories(import_arrays(source, tmp_path / "a.h5", bounds=bounds, **GRID)) as data:
        values = data.read(0, ("microstructure", "temperature", "pressure"))[0, :, 0, 0]
    np.testing.assert_array_equal(values, np.float32([0.75, 2150.0, 1e9]))


def test_parc_folders_round_trip_exactly(tmp_path):
    truth = physical(PARC_FIELDS, (5, 3, 6, 4), seed=3).astype(np.float32)
    for i in (3, 0, 4, 1, 2):
        np.save(tmp_path / f"run{i}.npy", truth[i])
    out = import_arrays(parc_source(tmp_path), tmp_path / "p.h5", bounds={}, **GRID)
    assert validate(out) == []
    with Trajectories(out) as data:
        for i in range(5):
            assert data.description(i) == {"source": f"run{i}.npy"}
            np.testing.assert_array_equal(data.read(i, PARC_FIELDS), truth[i])


def test_an_import_holds_one_case_in_memory(tmp_path):
    array = np.random.default_rng(0).random((12, 64, 64, 3, 8), dtype=np.float32)  # 4.7 MB
    np.save(tmp_path / "a.npy", array)
    source = reference_source(tmp_path / "a.npy")
    tracemalloc.start()
    import_arrays(source, tmp_path / "a.h5", bounds={}, **GRID)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * array[0].nbytes


def test_an_interrupted_import_goes_on(tmp_path):
    np.save(tmp_path / "a.npy", np.random.default_rng(0).random((3, 4, 4, 3, 2)))
    source = reference_source(tmp_path / "a.npy")

    def stop(case):
        if case == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_arrays(source, tmp_path / "a.h5", bounds={}, on_case=stop, **GRID)
    shards = sorted((tmp_path / "a.h5.parts").glob("case_*.h5"))
    written = [s.stat().st_mtime_ns for s in shards]
    assert len(written) == 2
    seen = []

    def note(case):
        seen.append([s.stat().st_mtime_ns for s in shards])

    with Trajectories(import_arrays(source, tmp_path / "a.h5", bounds={}, on_case=note, **GRID)) as data:
        assert seen == [written] * 3
        np.testing.assert_array_equal(data.read(2), source.read(2).astype(np.float32))


def saved(tmp_path, shape):
    np.save(tmp_path / "a.npy", np.zeros(shape))
    return tmp_path / "a.npy"


def test_wrong_arrays_are_refused_by_name(tmp_path):
    with pytest.raises(ConfigError, match=r"expected 5 axes .* got shape \(2, 3, 4\)"):
        reference_source(saved(tmp_path, (2, 3, 4)))
    with pytest.raises(ConfigError, match="has 4 fields; name them in their order, got 3"):
        reference_source(saved(tmp_path, (2, 3, 4, 4, 2)))
    with pytest.raises(ConfigError, match=r"expected 4 axes"):
        parc_source(saved(tmp_path, (2, 3, 4)).parent)
    saved(tmp_path, (2, 5, 4, 4))
    np.save(tmp_path / "b.npy", np.zeros((3, 5, 4, 4)))
    with pytest.raises(ConfigError, match=r"b.npy has shape \(3, 5, 4, 4\), a.npy has \(2, 5, 4, 4\)"):
        parc_source(tmp_path)
    (tmp_path / "c.npy").write_text("no array")
    with pytest.raises(ConfigError, match="not a readable"):
        reference_source(tmp_path / "c.npy")
    np.save(tmp_path / "d.npy", np.array([{}], dtype=object))
    with pytest.raises(ConfigError, match="not a readable"):
        reference_source(tmp_path / "d.npy")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="one array per case"):
        parc_source(tmp_path / "empty")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"bounds": {"density": (0.0, 1.0)}}, "bounds for 'density', but the fields are temperature"),
        ({"bounds": {"pressure": (1.0, 1.0)}}, "need two different numbers"),
        ({"frame_interval": 0.0}, "frame interval must be positive, got 0.0 s"),
        ({"pixel": -1.0}, "pixel size must be positive"),
    ],
)
def test_wrong_numbers_are_refused(tmp_path, change, text):
    source = reference_source(saved(tmp_path, (1, 4, 4, 3, 2)))
    with pytest.raises(ConfigError, match=text):
        import_arrays(source, tmp_path / "o.h5", **{**GRID, "bounds": {}, **change})
