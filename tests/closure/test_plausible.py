"""Numbers that look like another unit are warned of once, and the run goes on."""

import logging

import numpy as np
import pytest

DT = 1e-9


@pytest.fixture
def said(caplog):
    caplog.set_level(logging.WARNING, logger="mld_closure")
    return lambda: [r.getMessage() for r in caplog.records if r.name == "mld_closure"]


def step(closure, t, dt, pressure):
    closure.begin_step(t, dt)
    closure.advance(pressure=np.full(5, pressure))
    closure.commit()


@pytest.mark.parametrize("pressure", [0.07, 5.0, 40.0])
def test_pressures_like_gpa_are_warned_of_once(kit, said, pressure):
    closure = kit.make()
    for k in range(3):
        step(closure, k * DT, DT, pressure)
    (text,) = said()
    assert f"{pressure:g} Pa, which looks like GPa or Mbar; pressures are in Pa" in text
    assert closure.warnings == 1


def test_a_step_of_a_millisecond_is_warned_of_once(kit, said):
    closure = kit.make()
    for k in range(2):
        step(closure, k * 1e-3, 1e-3, 0.0)
    (text,) = said()
    assert "a step of 0.001 s" in text
    assert "times are in s" in text


def test_a_gap_of_fifty_steps_is_warned_of_once(kit, said):
    closure = kit.make()
    for t in (0.0, 51 * DT, 102 * DT):
        step(closure, t, DT, 0.0)
    (text,) = said()
    assert "begins 50 steps after the last one ended at 1e-09 s" in text


def test_ordinary_numbers_are_not_warned_of(kit, said):
    closure = kit.make()
    for t, dt, p in ((0.0, DT, 0.0), (DT, DT, 1e5), (2 * DT, 0.01 * DT, 6e9), (2.1 * DT, 10 * DT, 6e9)):
        step(closure, t, dt, p)
    assert said() == []
    assert closure.warnings == 0
