"""`validate` reports each fault of a file and its place."""

import h5py
import numpy as np
import pytest

from mld_closure.data.layout import TrajectorySpec
from mld_closure.data.store import write_trajectories
from mld_closure.data.validation import inspect, validate

SPEC = TrajectorySpec(2, (4, 5), 5e-8, (0.0, 1e-10, 2e-10))
T, V = "t0_fields/temperature", "t1_fields/velocity"


@pytest.fixture
def path(tmp_path):
    arrays = {n: np.zeros((3, 4, 5), np.float32) for n in SPEC.fields}
    arrays["temperature"] += 300
    return write_trajectories(tmp_path / "v.h5", SPEC, [(i, arrays, {"porosity": 0.1}, {}) for i in range(2)])


def test_a_good_file_has_no_faults(path):
    assert validate(path) == []


def put(where, index, value):
    def change(file):
        file[where][index] = value

    return change


def remove(where):
    def change(file):
        del file[where]

    return change


def attribute(name, value):
    def change(file):
        file.attrs[name] = value

    return change


def reshape(file):
    del file[T]
    file[T] = np.full((2, 2, 4, 5), 300, np.float32)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (attribute("format_version", 9), "format version 9, this package reads version 1"),
        (remove(T), "t0_fields/temperature is listed but missing"),
        (remove("dimensions/time"), "dimensions/time is missing"),
        (lambda file: file.attrs.__delitem__("pixel"), "attribute pixel is missing"),
        (reshape, "t0_fields/temperature: expected shape (2, 3, 4, 5), got (2, 2, 4, 5)"),
        (attribute("frame_times", [0.0, 2e-10, 1e-10]), "time must increase, but frame 2 is at 1e-10 s"),
        (put("dimensions/time", 1, 5e-9), "dimensions/time differs from the attribute frame_times"),
        (put("scalars/porosity", 1, np.nan), "scalars/porosity: nan in case 1"),
        (
            put(T, (1, 2, 3, 4), np.nan),
            "case 1, frame 2, temperature: value nan is not finite (1 pixels, the worst at y 3, x 4)",
        ),
        (
            put("t0_fields/microstructure", (0, 1, 2, 0), 1.5),
            "case 0, frame 1, microstructure: value 1.5 1 is outside -1e-06 to 1 (1 pixels, "
            "the worst at y 2, x 0)",
        ),
        (put(V, (1, 0, 1, 2, 1), -5e4), "case 1, frame 0, velocity_x: value -50000 m/s is outside"),
        (put(V, (1, 0, 1, 2, 0), np.inf), "case 1, frame 0, velocity_y: value inf is not finite"),
    ],
)
def test_each_fault_is_named_with_its_place(path, change, fault):
    with h5py.File(path, "a") as file:
        change(file)
    found = validate(path)
    assert any(fault in sentence for sentence in found), found


def test_the_worst_pixel_is_shown_and_other_fields_are_still_checked(path):
    with h5py.File(path, "a") as file:
        file[T][0, 0] = 1e5
        file[T][0, 0, 2, 2] = 3e5
        file["t0_fields/density"][0, 1, 0, 0] = -1
    assert validate(path) == [
        "case 0, frame 0, temperature: value 300000 K is outside 200 to 20000 "
        "(20 pixels, the worst at y 2, x 2)",
        "case 0, frame 1, density: value -1 kg/m3 is outside 0 to 10000 (1 pixels, the worst at y 0, x 0)",
    ]


def test_ranges_are_those_of_the_finite_values(path):
    with h5py.File(path, "a") as file:
        file[T][1, 2, 0, :3] = [250, 4321, np.nan]
        file[V][0, 0, 0, 0] = [-30, 40]
    seen = []
    found = inspect(path, seen.append)
    assert seen == [0, 1]
    assert found.ranges["temperature"] == (250, 4321)
    assert found.ranges["velocity_y"] == (-30, 0)
    assert found.ranges["velocity_x"] == (0, 40)
    assert set(found.ranges) == set(SPEC.fields)


@pytest.mark.parametrize("value", [7, 1.5, np.zeros(3), h5py.Empty("f4")])
def test_a_list_of_names_that_is_none_is_a_fault(path, value):
    with h5py.File(path, "a") as file:
        file["scalars"].attrs["field_names"] = value
    (fault,) = [f for f in validate(path) if "scalars" in f][:1]
    assert "\n" not in fault


def test_a_damaged_chunk_is_found(path):
    with h5py.File(path, "r") as file:
        chunk = file[T].id.get_chunk_info_by_coord((1, 1, 0, 0))
    content = bytearray(path.read_bytes())
    middle = chunk.byte_offset + chunk.size // 2
    content[middle] ^= 0xFF
    path.write_bytes(content)
    (fault,) = validate(path)
    assert "t0_fields/temperature, case 1, frame 1" in fault


def test_unreadable_files_are_one_fault(path, tmp_path):
    path.write_bytes(path.read_bytes()[:3000])
    assert "truncated" in validate(path)[0]
    (tmp_path / "x.h5").write_text("no")
    assert "not a readable trajectory file" in validate(tmp_path / "x.h5")[0]
    assert "no such trajectory file" in validate(tmp_path / "y.h5")[0]


@pytest.mark.parametrize("kind", ["c16", "S4", "?"])
def test_scalars_that_are_no_real_numbers_are_one_fault(path, kind):
    with h5py.File(path, "a") as file:
        del file["scalars/porosity"]
        file["scalars/porosity"] = np.zeros(2, kind)
    (fault,) = validate(path)
    assert "scalars/porosity holds" in fault
    assert "not real numbers" in fault


def test_what_hdf5_raises_beside_its_documented_errors_is_one_fault(path, monkeypatch):
    def broken(*_):
        raise RuntimeError("Can't get deprecated info for object (bad heap free list)")

    monkeypatch.setattr(h5py.Group, "__contains__", broken)
    (fault,) = validate(path)
    assert "damaged trajectory file (Can't get deprecated info" in fault
