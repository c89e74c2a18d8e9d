"""A burn law behind the step protocol: repeated calls, rollback, limits, errors that change nothing."""

import numpy as np
import pytest

from mld_closure.closure.fallback.ignition_growth import PressureIgnitionGrowth
from mld_closure.macro.laws import GivenRate
from mld_closure.macro.rates import RateClosure

IDS = np.array([70, 3, 12])
P = np.array([5e9, 8e9, 3e9])
V = np.zeros(3)
LAW = PressureIgnitionGrowth().law()


def opened(law=None, **options):
    closure = RateClosure(law or LAW, **options)
    closure.register(IDS)
    return closure


def one_step(closure, t=0.0, dt=2e-9, ids=IDS, p=P):
    closure.begin_step(t, dt)
    return closure.advance(ids, pressure=p, velocity=V[: len(ids)])


def test_advance_starts_from_the_committed_state_each_time():
    closure = opened()
    first = one_step(closure)
    again = closure.advance(IDS, pressure=P, velocity=V)
    assert first.burned_fraction.tolist() == again.burned_fraction.tolist()
    assert first.burned_fraction.min() > 0
    closure.commit()
    later = one_step(closure, 2e-9).burned_fraction
    both = LAW.advance(first.burned_fraction, P, 2e-9)[0]
    assert later.tolist() == both.tolist()


def test_rollback_restores_exactly():
    closure = opened()
    first = one_step(closure).burned_fraction.tolist()
    closure.rollback()
    assert closure.state()["burned"].tolist() == [0.0, 0.0, 0.0]
    assert one_step(closure).burned_fraction.tolist() == first
    closure.rollback()
    closure.begin_step(0.0, 1e-9)
    closure.commit()  # a step in which no cell was advanced keeps nothing of the one rolled back
    assert closure.state()["burned"].tolist() == [0.0, 0.0, 0.0]


def test_cells_are_found_by_id_in_any_order_and_in_parts():
    whole, parts = opened(), opened()
    one_step(whole)
    order = np.array([12, 70])
    one_step(parts, ids=order, p=np.array([3e9, 5e9]))
    parts.advance(np.array([3]), pressure=np.array([8e9]), velocity=V[:1])
    whole.commit()
    parts.commit()
    assert whole.state()["burned"].tolist() == parts.state()["burned"].tolist()
    assert whole.state()["ids"].tolist() == [3, 12, 70]


def test_a_step_of_dt_max_burns_no_more_than_max_change():
    rate = 1e8
    closure = opened(GivenRate(rate), max_change=0.05)
    out = one_step(closure, dt=1e-12)
    assert out.dt_max == pytest.approx(0.05 / rate, rel=1e-3)
    closure.rollback()
    assert one_step(closure, dt=out.dt_max).burned_fraction.max() <= 0.05
    closure.rollback()
    burned_up = one_step(closure, dt=100 / rate)  # its rate has died down, but it burned everything
    assert burned_up.dt_max == pytest.approx(0.05 * 100 / rate, rel=1e-9)


def test_nothing_burning_sets_no_limit():
    assert one_step(opened(), p=np.zeros(3)).dt_max == np.inf


def test_state_and_restore_give_the_same_bits():
    closure, other = opened(), RateClosure(LAW)
    one_step(closure)
    closure.commit()
    other.restore(closure.state())
    a, b = one_step(closure, 2e-9), one_step(other, 2e-9)
    assert a.burned_fraction.tolist() == b.burned_fraction.tolist()
    other.rollback()
    with pytest.raises(ValueError, match="backwards"):
        other.begin_step(1e-9, 1e-9)


@pytest.mark.parametrize(
    ("ids", "p", "words"),
    [
        (IDS, [5e9, np.nan, 3e9], "nan Pa in cell 3"),
        (IDS, [5e9, 8e9, -1.0], "-1.0 Pa in cell 12"),
        (IDS, [np.inf, 8e9, 1.0], "inf Pa in cell 70"),
        (np.array([70, 4, 12]), P, "not registered, the first is 4"),
        (IDS, [5e9, 8e9], "both must be"),
    ],
)
def test_bad_inputs_are_named_and_change_nothing(ids, p, words):
    closure = opened()
    good = one_step(closure).burned_fraction.tolist()
    with pytest.raises(ValueError, match=words):
        closure.advance(ids, pressure=np.array(p), velocity=V)
    assert closure.advance(IDS, pressure=P, velocity=V).burned_fraction.tolist() == good
    closure.commit()
    assert closure.state()["burned"].tolist() == [good[1], good[2], good[0]]  # by rising id


def test_the_order_of_calls_is_enforced():
    closure = opened()
    for call in (closure.commit, closure.rollback):
        with pytest.raises(RuntimeError, match="outside a step"):
            call()
    with pytest.raises(RuntimeError, match="outside a step"):
        closure.advance(IDS, pressure=P, velocity=V)
    closure.begin_step(0.0, 1e-9)
    with pytest.raises(RuntimeError, match="is open"):
        closure.begin_step(0.0, 1e-9)
    with pytest.raises(RuntimeError, match="between steps"):
        closure.register(np.array([9]))
    closure.commit()
    with pytest.raises(ValueError, match="given twice, the first is 3"):
        closure.register(np.array([9, 3]))
    with pytest.raises(ValueError, match="must be positive"):
        closure.begin_step(1e-9, 0.0)
