"""A run that begins late is the run that begins at zero: clocks are relative to a cell's arrival."""

import numpy as np
import pytest

from mld_closure.errors import ClosureError

STEPS, DT = 14, 0.3e-9


def burned(kit, start):
    closure = kit.make()
    peaks = np.array([5e9, 6e9, 7e9, 8e9, 1.2e10])
    rows = []
    for k in range(STEPS):
        closure.begin_step(start + k * DT, DT)
        p = peaks * min(1.0, max(0.0, (k - 2) / 3.0))
        rows.append(closure.advance(pressure=p).burned_fraction)
        closure.commit()
    return np.array(rows)


@pytest.fixture(scope="module")
def early(kit):
    with kit.whole_frames():  # as in the tests: a fixture of the module is made before theirs
        return burned(kit, 0.0)


@pytest.mark.parametrize("start", [1e-3, 1.0, 1e3, 1e6])
def test_burned_fractions_do_not_depend_on_when_time_began(kit, early, start):
    np.testing.assert_allclose(burned(kit, start), early, rtol=0, atol=1e-12)
    assert early[-1].max() > 0


def test_time_that_goes_back_is_seen_late_too(kit):
    closure = kit.make()
    closure.begin_step(1e3, 1e-6)
    closure.commit()
    with pytest.raises(ClosureError, match="time goes back"):
        closure.begin_step(1e3 + 0.1e-6, 1e-6)  # 0.9 us back


@pytest.mark.parametrize("start", [0.0, 1e-6, 1.0, 1e3])
@pytest.mark.parametrize("summed", [True, False])
def test_hosts_may_sum_steps_or_multiply_them(kit, start, summed):
    closure = kit.make(n=0)
    t, dt = start, 1e-9 / 3
    for k in range(300):
        closure.begin_step(t if summed else start + k * dt, dt)
        closure.commit()
        t += dt
    assert closure.time == pytest.approx(start + 300 * dt, rel=1e-12)
