"""Specimens from arrays and files: windows, edges, and messages that say what to do."""

import sys

import h5py
import numpy as np
import pytest
from PIL import Image

from mld_closure.patches.specimen import Specimen

MU = np.random.default_rng(0).random((41, 57)).astype(np.float32)


@pytest.fixture
def stored(tmp_path):
    with h5py.File(tmp_path / "mu.h5", "w") as f:
        f.attrs["pixel"] = 5e-8
        f.create_dataset("scan/mu", data=MU, chunks=(16, 16))
        f.create_dataset("counts", data=np.arange(3))
    return tmp_path / "mu.h5"


@pytest.mark.parametrize("edge", ["reflect", "wrap"])
def test_windows_of_arrays_and_files_follow_the_edge_rule(edge, stored):
    wide = np.pad(MU, 60, mode=edge)
    with Specimen.open(stored, edge=edge) as lazy:
        assert lazy.shape == MU.shape
        assert lazy.pixel == 5e-8
        assert lazy.extent == pytest.approx((41 * 5e-8, 57 * 5e-8))
        for x, y, nx, ny in ((3, 4, 20, 10), (-7, 30, 57, 41), (50, -30, 31, 40), (-60, 59, 57, 41)):
            expected = wide[y + 60 : y + 60 + ny, x + 60 : x + 60 + nx]
            for specimen in (lazy, Specimen.from_array(MU, 5e-8, edge=edge)):
                got = specimen.window(x, y, nx, ny)
                assert got.dtype == np.float32
                np.testing.assert_array_equal(got, expected)
    with pytest.raises(ValueError, match="was closed"):
        lazy.window(0, 0, 2, 2)


def test_pictures_and_npy_files(tmp_path):
    grey = np.array([[0, 255, 51], [255, 0, 102]], np.uint8)
    Image.fromarray(grey).save(tmp_path / "a.png")
    got = Specimen.open(tmp_path / "a.png", pixel=5e-8).window(0, 0, 3, 2)
    np.testing.assert_allclose(got, grey / 255, atol=1e-7)
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "b.png")
    np.testing.assert_allclose(Specimen.open(tmp_path / "b.png", pixel=5e-8).array, grey / 255, atol=1e-7)
    np.save(tmp_path / "c.npy", MU.astype(np.float16))
    np.testing.assert_array_equal(
        Specimen.open(tmp_path / "c.npy", pixel=5e-8).window(0, 0, 57, 41), MU.astype(np.float16)
    )


def test_files_that_are_no_specimens(tmp_path, stored):
    with h5py.File(tmp_path / "two.h5", "w") as f:
        f["a"], f["b"] = MU, 3 * MU
    np.save(tmp_path / "cube.npy", np.zeros((2, 2, 2)))
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "text.h5").write_text("no file")
    Image.new("RGB", (4, 4)).save(tmp_path / "colour.png")
    for name, options, words in (
        ("two.h5", {"pixel": 1.0}, r"2 images \(a, b\)"),
        ("two.h5", {"dataset": "c", "pixel": 1.0}, "no image 'c'; it has: a, b"),
        ("two.h5", {"dataset": "a"}, "give pixel="),
        ("mu.h5", {"pixel": 5.006e-8}, "more than 0.1 %"),
        ("mu.h5", {"dataset": "counts"}, "no image 'counts'"),
        ("cube.npy", {"pixel": 1.0}, "an image"),
        ("cube.npy", {}, "give pixel="),
        ("cube.npy", {"dataset": "a"}, "not an HDF5 file"),
        ("text.png", {"pixel": 1.0}, "not a picture"),
        ("text.h5", {"pixel": 1.0}, "cannot be read as HDF5"),
        ("colour.png", {"pixel": 1.0}, "save it in grey"),
    ):
        with pytest.raises(ValueError, match=words):
            Specimen.open(tmp_path / name, **options)
    with pytest.raises(FileNotFoundError, match="nothing"):
        Specimen.open(tmp_path / "nothing.h5")
    with (
        Specimen.open(tmp_path / "two.h5", "b", 1.0) as bad,
        pytest.raises(ValueError, match="between 0 and 1"),
    ):
        bad.window(0, 0, 57, 41)
    assert Specimen.open(stored, pixel=5.004e-8).pixel == 5e-8


def test_without_pillow_the_error_says_what_to_install(tmp_path, monkeypatch):
    Image.new("L", (4, 4)).save(tmp_path / "a.png")
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match="needs Pillow"):
        Specimen.open(tmp_path / "a.png", pixel=1.0)


def test_values_sizes_and_pixels_are_checked():
    with pytest.raises(ValueError, match=r"from 0.0 to 2.0"):
        Specimen.from_array([[0.0, 2.0]], 1.0)
    with pytest.raises(ValueError, match="nan"):
        Specimen.from_array([[0.0, np.nan]], 1.0)
    with pytest.raises(ValueError, match="pixel size must be positive"):
        Specimen.from_array(MU, 0.0)
    specimen = Specimen.from_array(MU, 5e-8)
    with pytest.raises(ValueError, match="41 x 57 pixels is too small for a patch of 42 x 10"):
        specimen.window(0, 0, 10, 42)
    with pytest.raises(ValueError, match="at least one pixel"):
        specimen.window(0, 0, 0, 4)


def test_the_package_offers_the_class():
    import mld_closure

    assert mld_closure.Specimen is Specimen
