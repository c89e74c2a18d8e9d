"""The law of a given rate: its exact solution, and constants that make no sense."""

import numpy as np
import pytest

from mld_closure.macro.laws import GivenRate


def test_given_rate_is_exact_and_starts_at_its_pressure():
    F, rate = GivenRate(2e8, p_start=1e9).advance(
        np.array([0.0, 0.3, 0.3]), np.array([1e9, 2e9, 0.9e9]), 3e-9
    )
    exact = [1 - np.exp(-0.6), 1 - 0.7 * np.exp(-0.6), 0.3]
    assert pytest.approx(exact, rel=1e-14) == F
    assert rate == pytest.approx([2e8 * (1 - exact[0]), 2e8 * (1 - exact[1]), 0.0], rel=1e-14)


def test_wrong_constants_are_named():
    with pytest.raises(ValueError, match="must not be negative"):
        GivenRate(-1.0)
