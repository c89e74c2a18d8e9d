"""Pictures and movies show the right values, units and times, one colour scale per row, and all frames."""

import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from mld_closure.data.layout import TrajectorySpec
from mld_closure.data.store import write_trajectories
from mld_closure.data.trajectories import Trajectories
from mld_closure.fields import MODEL_FIELDS
from mld_closure.viz import movies, plots

TIMES = tuple(1.72e-10 * k for k in range(6))
SPEC = TrajectorySpec(2, (32, 48), 5e-8, TIMES, fields=MODEL_FIELDS)


def moving_front():
    """A step in temperature and pressure that moves right by 6 columns per frame, past one void."""
    x = np.arange(48)
    behind = (x[None, None] < 6 * (1 + np.arange(6))[:, None, None]) * np.ones((1, 32, 1))
    solid = np.ones((6, 32, 48))
    solid[:3, 10:20, 24:34] = 0
    values = {"temperature": 300 + 500 * behind, "pressure": 9e9 * behind, "microstructure": solid}
    return {n: v.astype(np.float32) for n, v in values.items()}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("viz") / "d.h5"
    cases = [(i, moving_front(), {"piston_speed": 900.0 + i}, {}) for i in range(2)]
    with Trajectories(write_trajectories(path, SPEC, cases)) as opened:
        yield opened


def test_a_picture_shows_values_units_times_and_the_load(data):
    figure = plots.draw_case(data, 1, n_frames=3)
    assert figure.get_suptitle() == "Case 1, piston speed 901 m/s"
    panels = [a for a in figure.axes if a.images]
    assert len(panels) == 9
    assert [a.get_title() for a in panels[:3]] == ["0.00 ns", "0.34 ns", "0.86 ns"]
    labels = [a.get_ylabel() for a in figure.axes if not a.images]
    assert labels == ["temperature [K]", "pressure [GPa]", "solid fraction"]
    truth = moving_front()
    for row, (name, factor, limits) in enumerate(
        [("temperature", 1, (300, 800)), ("pressure", 1e-9, (0, 9)), ("microstructure", 1, (0, 1))]
    ):
        for column, frame in enumerate((0, 2, 5)):
            image = panels[3 * row + column].images[0]
            np.testing.assert_allclose(image.get_array(), truth[name][frame] * factor, rtol=1e-6)
            assert image.get_clim() == pytest.approx(limits)
            assert image.get_extent() == pytest.approx((0, 2.4, 0, 1.6))  # micrometres
            assert image.origin == "lower"


def test_a_small_hot_spot_stays_on_the_scale_and_one_pixel_does_not_set_it():
    values = np.full((10, 100, 100), 500.0)
    values[9, :20, :10] = 3000.0  # 2 % of one frame of ten
    values[3, 0, 0] = 9000.0
    assert plots.colour_limits("temperature", values) == (500.0, 3000.0)
    velocity = np.zeros((2, 10, 10))
    velocity[1, :5] = -700.0
    velocity[1, 5:] = 300.0
    assert plots.colour_limits("velocity_y", velocity) == pytest.approx((-0.7, 0.7))
    low, high = plots.colour_limits("pressure", np.full((1, 4, 4), 2e9))
    assert low == pytest.approx(2.0)
    assert high > low


def test_frames_are_spread_from_first_to_last():
    assert plots.spread(20, 5) == [0, 5, 10, 14, 19]
    assert plots.spread(3, 5) == [0, 1, 2]
    assert plots.spread(7, 1) == [0]


def test_pictures_are_files_of_their_kind(data, tmp_path):
    figure = plots.draw_case(data, 0, ["temperature"], n_frames=2)
    with Image.open(plots.save(figure, tmp_path / "a.png", dpi=50)) as image:
        shown = np.asarray(image.convert("RGB"), dtype=int)
    colours = (mpl.colormaps["inferno"](v, bytes=True)[:3] for v in (0.0, 1.0))
    for colour in colours:  # both sides of the front are there
        assert (np.abs(shown - colour).max(axis=2) < 3).mean() > 0.02
    with pytest.raises(ValueError, match=r"a picture ends in .png"):
        plots.save(figure, tmp_path / "a.txt")


def brightness_centre(image):
    """Share of the width of the left panel (temperature) that is brighter than the colour of 300 K."""
    gray = np.asarray(image.convert("L"), dtype=float)
    middle = gray[gray.shape[0] // 2, : gray.shape[1] // 4]
    return (middle > 60).mean()


def test_a_gif_has_every_frame_in_order(data, tmp_path):
    path = movies.film_case(data, 0, tmp_path / "m.gif", fps=10)
    with Image.open(path) as film:
        assert film.n_frames == 6
        assert film.info["duration"] == 100  # ms
        fronts = []
        for k in range(6):
            film.seek(k)
            fronts.append(brightness_centre(film))
    assert fronts == sorted(fronts)
    assert len(set(fronts)) == 6
    path = movies.film_case(data, 0, tmp_path / "n.gif", ["microstructure"], n_frames=3)
    with Image.open(path) as film:
        assert film.n_frames == 3


def test_an_mp4_has_every_frame_and_leaves_settings_alone(data, tmp_path):
    reader = pytest.importorskip("imageio_ffmpeg")
    before = mpl.rcParams["animation.ffmpeg_path"]
    path = movies.film_case(data, 0, tmp_path / "m.mp4", fps=4)
    assert mpl.rcParams["animation.ffmpeg_path"] == before
    frames, seconds = reader.count_frames_and_secs(str(path))
    assert frames == 6
    assert seconds == pytest.approx(1.5)


def test_movies_that_cannot_be_made_say_why(data, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"a movie ends in .gif or .mp4"):
        movies.film_case(data, 0, tmp_path / "m.avi")
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(ImportError, match=r"pip install 'mld_closure\[movie\]'"):
        movies.film_case(data, 0, tmp_path / "m.mp4")


def test_drawing_leaves_pyplot_alone():
    code = "import sys; import mld_closure.viz.movies; print('matplotlib.pyplot' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "False"
