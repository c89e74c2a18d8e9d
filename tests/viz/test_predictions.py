"""The picture of a prediction shows the right numbers in the right rows."""

import numpy as np

from mld_closure.viz.predictions import draw_prediction

TIMES = 1e-10 * np.arange(4)


def test_rows_show_truth_prediction_error_and_latents():
    rng = np.random.default_rng(0)
    truth = np.stack([300 + 500 * rng.random((3, 8, 16)), 1e9 * rng.random((3, 8, 16))], axis=1)
    predicted = np.concatenate([truth, truth[-1:]]) + np.array([50.0, 2e9])[:, None, None]
    z = np.arange(4 * 4 * 2 * 4, dtype=float).reshape(4, 4, 2, 4)
    figure = draw_prediction(
        predicted,
        TIMES,
        ["temperature", "pressure"],
        5e-8,
        truth=truth,
        latents={"temperature": z},
        n_frames=4,
        title="t",
    )
    panels = [a for a in figure.axes if a.get_label() != "<colorbar>"]
    assert len(panels) == 7 * 4  # no latents are given for the pressure
    assert [row.get_ylabel() for row in panels[::4]] == [
        *("truth", "prediction", "error", "latents"),
        *("truth", "prediction", "error"),
    ]
    np.testing.assert_allclose(panels[4 * 5].images[0].get_array(), predicted[0, 1] * 1e-9)
    np.testing.assert_allclose(panels[4 * 2].images[0].get_array(), 50.0)
    error = panels[4 * 6].images[0]
    np.testing.assert_allclose(error.get_array(), 2.0)  # GPa
    np.testing.assert_allclose(error.get_clim(), (-2.0, 2.0))
    assert panels[0].images[0].get_clim() == panels[4].images[0].get_clim()
    assert not panels[3].images  # the truth has only three frames
    assert panels[7].images
    tiles = panels[12].images[0].get_array()
    assert tiles.shape == (4, 8)
    assert tiles.min() == 0.0


def test_a_prediction_alone_has_one_row_a_field():
    figure = draw_prediction(np.ones((2, 1, 8, 8)), TIMES[:2], ["microstructure"], 5e-8)
    assert next(a.get_ylabel() for a in figure.axes if a.images) == "prediction"
    assert len([a for a in figure.axes if a.get_label() != "<colorbar>"]) == 2
