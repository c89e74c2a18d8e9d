"""What a captured shock rises to: exact for logistic curves, nothing foreseen where it cannot be."""

import numpy as np
import pytest

from mld_closure.closure.captured import FARTHEST, plateau
from mld_closure.closure.guards import Status


def logistic(t, top=900.0, middle=5.0, width=1.3):
    return top / (1.0 + np.exp(-(t - middle) / width))


@pytest.mark.parametrize("first", [4.0, 5.0, 7.0])
def test_three_equal_intervals_of_a_logistic_tell_its_plateau(first):
    t = np.array([[first, first + 1.5, first + 3.0]])
    assert plateau(t, logistic(t))[0] == pytest.approx(900.0, rel=1e-12)


@pytest.mark.parametrize("share", [0.3, 0.7])
def test_unequal_intervals_tell_it_closely(share):
    t = np.array([[6.0, 6.0 + 2.0 * share, 8.0]])
    assert logistic(8.0) < 0.92 * 900.0
    assert plateau(t, logistic(t))[0] == pytest.approx(900.0, rel=0.03)


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
    assert plateau(np.array([times], float), np.array([values], float))[0] == values[2]


def test_nothing_far_beyond_the_last_value_is_foreseen():
    found = plateau(np.array([[0.0, 1.0, 2.0]]), np.array([[10.0, 12.0, 13.99]]))
    assert found[0] == pytest.approx(FARTHEST * 13.99)


@pytest.mark.parametrize("step", [0.1e-9, 0.37e-9])
def test_a_cell_takes_a_shock_that_still_rises_for_what_it_becomes(kit, step):
    """Where its window ends the flow has brought four fifths of the load, and two thirds of its pressure."""
    closure = kit.scripted(kit.curve(np.linspace(0, 0.3, 13)), p_ignite=None, capture_window=1.6e-9)
    times = step * np.arange(round(6e-9 / step))

    def load(t):
        return logistic(t, 900.0, 2.5e-9, 0.5e-9)

    out = kit.run(closure, times, lambda t: kit.shock_pressure(load(t)))
    first = int(np.argmax([r.status[0] & Status.ACTIVE for r in out]))
    assert load(times[first + 1]) < 0.86 * 900.0
    record = closure.cells.record[0]
    assert record["up"] == pytest.approx(900.0, rel=0.04)
    assert record["peak"] == pytest.approx(kit.shock_pressure(record["up"]), rel=1e-6)
