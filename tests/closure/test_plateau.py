"""What a captured shock rises to: exact for logistic curves, nothing foreseen where it cannot be."""

import numpy as np
import pytest

from mld_closure.closure.arrival import FARTHEST, extrapolate_plateau
from mld_closure.closure.policies import Status


def logistic(t, top=900.0, middle=5.0, width=1.3):
    return top / (1.0 + np.exp(-(t - middle) / width))


@pytest.mark.parametrize("first", [4.0, 5.0, 7.0])
def test_three_equal_intervals_of_a_logistic_tell_its_plateau(first):
    t = np.array([[first, first + 1.5, first + 3.0]])
    assert extrapolate_plateau(t, logistic(t))[0] == pytest.approx(900.0, rel=1e-12)


@pytest.mark.parametrize("share", [0.3, 0.7])
def test_unequal_intervals_tell_it_closely(share):
    t = np.array([[6.0, 6.0 + 2.0 * share, 8.0]])
    assert logistic(8.0) < 0.92 * 900.0
    assert extrapolate_plateau(t, logistic(t))[0] == pytest.approx(900.0, rel=0.03)


@pytest.mark.parametrize(
    ("times", "values"),
    [
        ([0, 0, 1], [1, 1, 2]),  # two samples only
        ([0, 1, 2], [1, 2, 4]),  # before the middle
        ([0, 1, 2], [1, 2, 3]),  # a ramp
        ([0, 1, 2], [1, 2, 2]),  # it has risen
        ([0, 1, 2], [2, 1, 3]),
        ([0, 1, 2], [0, 2, 3]),
    ],
)
def test_where_nothing_is_foreseen_the_last_value_stands(times, values):
    assert extrapolate_plateau(np.array([times], float), np.array([values], float))[0] == values[2]


def test_nothing_far_beyond_the_last_value_is_foreseen():
    found = extrapolate_plateau(np.array([[0.0, 1.0, 2.0]]), np.array([[10.0, 12.0, 13.99]]))
    assert found[0] == pytest.approx(FARTHEST * 13.99)


@pytest.mark.parametrize("step", [0.1e-9, 0.37e-9])
def test_a_cell_takes_a_shock_that_still_rises_for_what_it_becomes(kit, step):
    """Where its window ends the flow has brought four fifths of the load, and two thirds of its pressure."""
    closure = kit.scripted(
        kit.curve(np.linspace(0, 0.3, 13)), p_arrival=None, on_weak_load="reset", window=1.6e-9
    )
    times = step * np.arange(round(6e-9 / step))

    def load(t):
        return logistic(t, 900.0, 2.5e-9, 0.5e-9)

    out = kit.run(closure, times, lambda t: kit.shock_pressure(load(t)))
    first = int(np.argmax([r.status[0] & Status.ACTIVE for r in out]))
    assert load(times[first + 1]) < 0.86 * 900.0
    record = closure.state.pack()[0]
    assert record["up"] == pytest.approx(900.0, rel=0.04)
    assert record["peak"] == pytest.approx(kit.shock_pressure(record["up"]), rel=1e-6)


def test_an_earlier_shock_that_was_too_weak_tells_nothing_of_the_next(kit):
    """The cell rests again; of a strong shock two samples are too few to foresee more than the last."""
    options = {"p_arrival": None, "on_weak_load": "reset", "window": 1e-9, "updates": 4}
    closure = kit.scripted(kit.curve(np.linspace(0, 0.3, 13)), **options)
    weak = kit.shock_pressure(300.0)
    kit.run(closure, np.linspace(0.0, 2.4e-9, 9), lambda t: weak * np.clip(t / 2e-9, 0.0, 1.0))
    assert closure.state.sample_load[0].min() > 0.0
    for until, speed in ((2.7e-9, 700.0), (3.0e-9, 780.0)):
        kit.run(closure, [until - 0.3e-9, until], lambda t, speed=speed: kit.shock_pressure(speed))
        assert closure.state.up[0] == pytest.approx(speed, rel=1e-6)
