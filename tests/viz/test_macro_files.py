"""History files of macro runs return what was written; pictures show the values they are given."""

import json

import h5py
import numpy as np
import pytest

from mld_closure.viz.macro import draw_front, draw_profiles, draw_xt
from mld_closure.viz.vtk import write_history, write_vtkhdf

TIMES = np.array([0.0, 1e-9, 2.5e-9])
RNG = np.random.default_rng(1)
FIELDS = {n: RNG.random((3, 2, 5), np.float32) for n in ("pressure", "burned_fraction")}
UNITS = {"pressure": "Pa", "burned_fraction": "1", "front": "m"}


def test_a_history_comes_back(tmp_path):
    series = {"front": np.array([1e-5, 2e-5])}
    path = write_history(
        tmp_path / "h.h5", TIMES, np.arange(3), FIELDS, 2e-5, units=UNITS, series=series,
        configuration={"a": 1},
    )  # fmt: skip
    with h5py.File(path) as file:
        assert json.loads(file.attrs["configuration"]) == {"a": 1}
        assert np.array_equal(file["time"], TIMES)
        assert file["x"][:] == pytest.approx([1e-5, 3e-5, 5e-5, 7e-5, 9e-5])
        for name, values in FIELDS.items():
            assert np.array_equal(file[f"fields/{name}"], values)
            assert file[f"fields/{name}"].attrs["units"] == UNITS[name]
        assert np.array_equal(file["series/front"], series["front"])


def test_what_cannot_be_a_history_is_refused_and_leaves_the_old_file(tmp_path):
    path = tmp_path / "h.h5"
    path.write_text("old")
    with pytest.raises(ValueError, match="no units given for speed"):
        write_history(
            path, TIMES, np.arange(3), FIELDS, 1.0, units=UNITS, series={"speed": TIMES}, configuration={}
        )
    with pytest.raises(ValueError, match=r"one shape \(2, ny, nx\)"):
        write_vtkhdf(path, TIMES[:2], FIELDS, 1.0)
    with pytest.raises(ValueError, match="wide"):
        write_vtkhdf(path, TIMES, FIELDS, "wide")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_vtkhdf_has_the_layout_of_temporal_image_data(tmp_path):
    """Cell arrays are (time, z, y, x); along each axis there is one cell less than points in the extent."""
    with h5py.File(write_vtkhdf(tmp_path / "h.vtkhdf", TIMES, FIELDS, 2e-5)) as file:
        root = file["VTKHDF"]
        assert root.attrs["Type"] == b"ImageData"
        assert h5py.check_string_dtype(root.attrs.get_id("Type").dtype).encoding == "ascii"
        assert list(root.attrs["Version"]) == [2, 0]
        assert list(root.attrs["WholeExtent"]) == [0, 5, 0, 2, 0, 1]
        assert list(root.attrs["Spacing"]) == [2e-5] * 3
        assert root["Steps"].attrs["NSteps"] == 3
        assert np.array_equal(root["Steps/Values"], TIMES)
        for name, values in FIELDS.items():
            assert np.array_equal(root[f"CellData/{name}"], values[:, None])
            assert list(root[f"Steps/CellDataOffsets/{name}"]) == [0, 1, 2]


def test_an_xt_diagram_shows_cells_in_mm_and_ns():
    field = np.arange(12.0).reshape(3, 4) * 1e9
    figure = draw_xt({"pressure": field}, TIMES, 1e-3, front=np.array([np.nan, 1e-3, 2e-3]))
    (mesh,) = figure.axes[0].collections
    assert np.array_equal(mesh.get_array(), field / 1e9)
    corners = np.asarray(mesh.get_coordinates())
    x, t = corners[0, :, 0], corners[:, 0, 1]
    assert x == pytest.approx([0, 1, 2, 3, 4])
    assert t == pytest.approx([0, 0.5, 1.75, 2.5])
    (line,) = figure.axes[0].lines
    assert line.get_xydata()[1:] == pytest.approx(np.array([[1, 1], [2, 2.5]]))


def test_profiles_and_front_are_in_display_units():
    figure = draw_profiles({"velocity_x": np.full((3, 4), -900.0)}, TIMES, 1e-3, n_times=2)
    assert [line.get_label() for line in figure.axes[0].lines] == ["1 ns", "2 ns"]
    assert figure.axes[0].lines[0].get_xydata()[0] == pytest.approx([0.5, -0.9])
    figure = draw_front(TIMES, 4000 * TIMES, np.full(3, 4000.0), {"inert": 3500.0}, transition=(1e-9, 4e-6))
    assert figure.axes[1].lines[0].get_ydata() == pytest.approx([4.0] * 3)
    assert figure.axes[1].lines[1].get_ydata()[0] == pytest.approx(3.5)
    assert figure.axes[0].lines[0].get_xydata()[2] == pytest.approx([2.5, 0.01])
