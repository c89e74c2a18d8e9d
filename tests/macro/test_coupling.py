"""How a closure's burned fraction acts on flowing material."""

import numpy as np
import pytest

from mld_closure.macro.coupling import burned_share, checked_fraction
from mld_closure.macro.rates import Burned


def test_shares_of_successive_steps_make_up_the_whole():
    F = np.array([0.0, 0.1, 0.15, 0.6, 0.99])
    unburned = np.cumprod(1 - burned_share(F[:-1], F[1:]))
    assert unburned == pytest.approx(1 - F[1:], rel=1e-13)


def test_a_burned_out_cell_burns_what_flows_in():
    assert burned_share(np.array([0.5, 0.9991, 1.0]), np.array([0.9995, 0.9991, 1.0])).tolist() == [1, 1, 1]
    assert burned_share(np.array([0.998]), np.array([0.998])).tolist() == [0]


def test_a_fraction_that_falls_by_round_off_burns_nothing():
    before, ids = np.full((1, 2), 0.5), np.array([[4, 9]])
    out = Burned(np.array([0.5 - 1e-12, 0.5]), np.zeros(2), 1.0)
    assert burned_share(before, checked_fraction(out, before, ids)).tolist() == [[0, 0]]
    with pytest.raises(FloatingPointError, match=r"0\.4 after 0\.5 in cell 9 \(1 cells\)"):
        checked_fraction(Burned(np.array([0.5, 0.4]), np.zeros(2), 1.0), before, ids)
    with pytest.raises(ValueError, match="3 burned fractions for 2 cells"):
        checked_fraction(Burned(np.zeros(3), np.zeros(3), 1.0), before, ids)
