"""Front position and arrival bias of fronts at known positions."""

import numpy as np
import pytest

from mld_closure.metrics.arrival import arrival_bias, arrival_times, front_position, shock_pressure

TIMES = np.arange(8) * 0.344e-9
P = 10e9


def front(position, nx=120, width=6.0):
    """Pressure movie (time, 4, nx): a ramp from P to 0 whose middle is at `position` (pixels)."""
    x = np.arange(nx) + 0.5
    ramp = P * np.clip(0.5 - (x - np.asarray(position)[:, None]) / width, 0, 1)
    return np.repeat(ramp[:, None, :], 4, axis=1)


def test_position_of_a_ramp_is_exact():
    where = np.linspace(20.2, 95.7, 8)
    assert shock_pressure(front(where)) == pytest.approx(P)
    assert front_position(front(where), P / 2) == pytest.approx(where, abs=1e-9)


def test_a_quiet_frame_or_a_front_that_left_has_no_position():
    movie = front([20.0, 60.0, 300.0])
    movie[0] = 0.0
    assert np.isnan(front_position(movie, P / 2)).tolist() == [True, False, True]


def test_pressure_behind_the_front_does_not_move_it():
    movie = front([50.0])
    movie[:, :, 10:20] *= 0.1  # a rarefaction around collapsing voids
    assert front_position(movie, P / 2) == pytest.approx([50.0])


def test_arrivals_are_interpolated_along_the_path():
    at = arrival_times(
        [10.0, 30.0, 25.0, 50.0, np.nan], [0.0, 1.0, 2.0, 3.0, 4.0], [5.0, 20.0, 30.0, 40.0, 60.0]
    )
    assert at[1:4] == pytest.approx([0.5, 1.0, 2.5])  # kept at 30 while the front seems to move back
    assert np.isnan(at[[0, 4]]).all()


def test_a_front_half_a_frame_late_is_seen_so():
    speed, late = 10.0, 0.5  # columns per frame, frames
    n = np.arange(8)
    bias, reached = arrival_bias(front(30 + speed * (n - late)), front(30 + speed * n), TIMES)
    assert bias == pytest.approx(late * 0.344e-9)
    assert reached == pytest.approx(8 / 9)  # the last column is beyond the late front
    early, all_reached = arrival_bias(front(30 + speed * (n + late)), front(30 + speed * n), TIMES)
    assert early == pytest.approx(-late * 0.344e-9)
    assert all_reached == 1.0


def test_a_prediction_without_front_reaches_nothing():
    bias, reached = arrival_bias(np.zeros((8, 4, 120)), front(30 + 10 * np.arange(8)), TIMES)
    assert np.isnan(bias)
    assert reached == 0.0


def test_a_front_that_waits_is_dated_from_the_end_of_its_wait():
    at = arrival_times([20.0, 20.0, 28.0], [0.0, 1.0, 2.0], [20.0, 24.0])
    assert at == pytest.approx([0.0, 1.5])
    assert np.isnan(arrival_times([20.0], [0.0], [19.0, 21.0])).all()
