"""Front speeds and transitions of paths that are known exactly."""

import numpy as np
import pytest

from mld_closure.metrics.waves import front_speed, transition


def test_a_steady_front_has_its_speed_also_where_it_moves_in_jerks():
    t = np.linspace(0.0, 300e-9, 601)
    x = 4000.0 * t
    x[:20] = np.nan
    assert np.nanmax(np.abs(front_speed(t, x, 100e-6) / 4000.0 - 1)) < 1e-9
    jerks = x + 3e-6 * np.sin(2 * np.pi * x / 24e-6)
    assert np.nanmax(np.abs(front_speed(t, jerks, 144e-6) / 4000.0 - 1)) < 0.07
    assert np.nanmax(np.abs(front_speed(t, jerks, 24e-6) / 4000.0 - 1)) > 0.2


def test_there_is_no_speed_without_a_span_of_path():
    t = np.linspace(0.0, 1.0, 11)
    v = front_speed(t, t, 0.4)
    assert np.isnan(v[[0, 1, 9, 10]]).all()
    assert v[2:9] == pytest.approx(1.0)
    assert np.isnan(front_speed(t, np.full(11, np.nan), 0.4)).all()
    with pytest.raises(ValueError, match=r"\(3,\) and \(2,\)"):
        front_speed([0, 1, 2], [0, 1], 0.5)


def test_a_transition_is_found_where_the_speed_passes_the_level():
    t = np.linspace(0.0, 2.0, 201)
    x = np.where(t < 1, t, 1 + 3 * (t - 1))
    found = transition(t, x, front_speed(t, x, 0.1), 2.0)
    assert found == pytest.approx((1.0, 1.0), abs=0.03)
    assert transition(t, x, np.full(201, 3.0), 2.0) is None
    assert transition(t, x, np.full(201, 1.0), 2.0) is None


def test_a_jerk_is_no_transition():
    """A front that is fast only for a while has no transition; one that stays fast later has it there."""
    t = np.linspace(0.0, 4.0, 401)
    jerk = np.where((t > 1) & (t < 1.5), 3.0, 1.0)
    assert transition(t, np.cumsum(jerk) * 0.01, jerk, 2.0) is None
    speed = np.where(t > 3, 3.0, jerk)
    x = np.cumsum(speed) * 0.01
    assert transition(t, x, speed, 2.0)[0] == pytest.approx(3.0, abs=0.02)
    assert transition(t, x, speed, 2.0, hold=2.5) is not None
    assert transition(t, x, speed, 2.0, hold=3.5) is None  # only 3 of the path remain
