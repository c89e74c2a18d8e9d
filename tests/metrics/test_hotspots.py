"""Hot-spot statistics compared with the reference implementation and with small movies computed by hand."""

from pathlib import Path

import numpy as np
import pytest

from mld_closure.metrics.hotspots import burned_fraction, hot_fraction, hotspot_curves, hotspot_errors

PARITY = Path(__file__).parents[1] / "data" / "parity_metrics.npz"
PIXEL, INTERVAL = 50e-9, 0.344e-9  # the reference's numbers are in um2 and ns
SI = {"area": 1e-12, "temperature": 1.0, "area_rate": 1e-3, "temperature_rate": 1e9}
NAMES = {"area": "A", "temperature": "T", "area_rate": "A_dot", "temperature_rate": "T_dot"}


@pytest.fixture
def parity():
    with np.load(PARITY) as z:
        return dict(z)


def curves(parity, which):
    movie = np.moveaxis(parity[f"metric_T_{which}"], -1, 1)  # (sample, y, x, time) -> (sample, time, y, x)
    return hotspot_curves(movie, PIXEL, INTERVAL)


@pytest.mark.parametrize("quantity", NAMES)
def test_curves_and_errors_reproduce_the_reference(parity, quantity):
    truth, prediction = curves(parity, "true"), curves(parity, "pred")
    key, unit = NAMES[quantity], SI[quantity]
    assert getattr(truth, quantity) / unit == pytest.approx(parity[f"metric_true_{key}"], rel=1e-5)
    total = hotspot_errors(prediction, truth)[quantity] / unit
    assert total == pytest.approx(parity[f"metric_rmse_{key}"][0], rel=1e-5)
    per_time = hotspot_errors(prediction, truth, per_time=True)[quantity] / unit
    assert per_time == pytest.approx(parity[f"metric_rmse_per_time_{key}"], rel=1e-5)


def movie(*frames):
    """A movie (time, 2, 2) of cold frames with the given hot temperatures."""
    out = np.full((len(frames), 2, 2), 300.0)
    for t, hot in enumerate(frames):
        out[t].flat[: len(hot)] = hot
    return out


def test_curves_of_a_movie_done_by_hand():
    c = hotspot_curves(movie([], [1000.0], [1000.0, 2000.0, 875.0]), 2.0, 0.5)
    assert c.area.tolist() == [0, 4, 8]  # 875 K itself is not hot
    assert c.temperature.tolist() == [0, 1000, 1500]
    assert c.area_rate.tolist() == [8, 8]
    assert c.temperature_rate.tolist() == [2000, 1000]
    assert c.occupied.tolist() == [False, True, True]


def test_empty_masks_are_left_out_only_on_request():
    truth = hotspot_curves(movie([], [1000.0], [1200.0]), 1.0, 1.0)
    late = hotspot_curves(movie([], [], [1300.0]), 1.0, 1.0)
    assert hotspot_errors(late, truth)["temperature"] == pytest.approx(np.sqrt((1000**2 + 100**2) / 3))
    kept = hotspot_errors(late, truth, empty="left out")
    assert kept["temperature"] == pytest.approx(100.0)
    assert np.isnan(kept["temperature_rate"])  # no interval with both ends hot in both movies
    assert kept["area"] == pytest.approx(np.sqrt(1 / 3))
    with pytest.raises(ValueError, match="nothing"):
        hotspot_errors(late, truth, empty="nothing")


def test_burned_fraction_weighs_by_mass_where_density_is_there():
    progress = np.array([[[1.0, 0.0], [0.0, 0.0]], [[0.5, 0.5], [0.0, 1.0]]])
    density = np.array([[[3.0, 1.0], [1.0, 1.0]], [[1.0, 1.0], [2.0, 0.0]]])
    assert burned_fraction(progress).tolist() == [0.25, 0.5]
    assert burned_fraction(progress, density).tolist() == [0.5, 0.25]
    assert hot_fraction(movie([900.0], [900.0, 900.0, 870.0])).tolist() == [0.25, 0.5]
    with pytest.raises(ValueError, match="density has shape"):
        burned_fraction(progress, density[:1])
