"""The place where a shock becomes a detonation, for fronts made for the test."""

import numpy as np
import pytest

from mld_closure.metrics.waves import front_speed, run_to_detonation

INERT, DETONATION, SPAN = 4000.0, 7000.0, 0.1e-3


def found(slow, fast):
    """Result for a front that runs `slow` m as an inert shock and then `fast` m as a detonation."""
    times = np.linspace(0.0, slow / INERT + fast / DETONATION, 400)
    distance = np.where(times * INERT < slow, times * INERT, slow + (times - slow / INERT) * DETONATION)
    speed = front_speed(times, distance, SPAN)
    return run_to_detonation(times, distance, speed, INERT, DETONATION, SPAN)


def test_a_turn_in_the_middle_is_where_it_is():
    turned, unresolved = found(1e-3, 4e-3)  # a detonation during most of the record
    assert turned == pytest.approx((1e-3 / INERT, 1e-3), rel=0.03)
    assert unresolved is None


def test_a_detonation_from_the_start_began_before_its_speed_was_known():
    turned, unresolved = found(0.0, 4e-3)
    assert turned is None
    assert unresolved == pytest.approx(SPAN / 2, rel=0.3)


def test_a_shock_that_burns_nothing_is_none():
    assert found(2e-3, 0.0) == (None, None)
    assert found(2e-3, 0.5 * SPAN) == (None, None)  # faster only at the very end
