"""Increments and the ledger of what has burned; reading back; facts that a host asks for."""

import dataclasses

import numpy as np
import pytest

import mld_closure as mld
from mld_closure.errors import ClosureError

PEAKS = np.array([6e9, 7e9, 8e9, 9e9, 10e9])
TIMES = np.linspace(0, 3e-9, 13)
MASS = np.array([1.0, 2.0, 3.0, 4.0, 5.0]) * 1e-6


def shock(t):
    return PEAKS * np.clip(t / 0.5e-9, 0, 1)


def go(closure, first=0, last=12, mass=MASS):
    """Steps first..last; the responses."""
    out = []
    for t0, t1 in zip(TIMES[first:last], TIMES[first + 1 : last + 1], strict=True):
        closure.begin_step(t0, t1 - t0)
        out.append(closure.advance(pressure=shock(t1), mass=mass))
        closure.commit()
    return out


def test_increments_add_up_to_the_burned_fraction_and_its_mass(kit):
    closure = kit.make()
    every = go(closure)
    burned = every[-1].burned_fraction
    assert burned.min() > 0.01
    np.testing.assert_allclose(sum(r.burned_increment for r in every), burned, rtol=1e-13)
    ledger = closure.ledger()
    assert ledger.burned_mass == pytest.approx(MASS @ burned, rel=1e-13)
    assert ledger.step_burned_mass == pytest.approx(MASS @ every[-1].burned_increment, rel=1e-12)
    np.testing.assert_allclose(closure.read().burned_mass, MASS * burned, rtol=1e-13)


def test_a_point_without_a_mass_counts_as_one_kilogram(kit):
    closure = kit.make()
    every = go(closure, mass=None)
    assert closure.ledger().burned_mass == pytest.approx(every[-1].burned_fraction.sum(), rel=1e-13)


def test_the_ledger_of_a_step_follows_its_last_calls_and_a_rollback(kit):
    closure = kit.make()
    go(closure, last=8)
    before = closure.ledger()
    closure.begin_step(TIMES[8], 0.25e-9)
    closure.advance(pressure=shock(TIMES[9]), mass=100 * MASS)
    out = closure.advance(pressure=shock(TIMES[9]), mass=MASS)  # the last call counts
    found = closure.ledger()
    assert found.burned_mass == before.burned_mass
    assert found.step_burned_mass == pytest.approx(MASS @ out.burned_increment, rel=1e-12)
    closure.rollback()
    after = closure.ledger()
    assert (after.burned_mass, after.step_burned_mass) == (before.burned_mass, before.step_burned_mass)


def test_points_that_are_gone_stay_in_the_ledger(kit):
    closure = kit.make()
    go(closure)
    before = closure.ledger().burned_mass
    closure.unregister(closure.ids[:2])
    assert closure.ledger().burned_mass == pytest.approx(before, rel=1e-14)


def test_the_ledger_goes_on_after_a_restart_and_points_can_be_read_back(kit, tmp_path):
    whole, saved, restored = kit.make(), kit.make(), kit.make()
    go(whole)
    last = go(saved, last=7)[-1]
    saved.save(tmp_path / "r")
    restored.restore(tmp_path / "r")
    back = restored.read()
    for name in ("burned_fraction", "hotspot_temperature", "mean_temperature", "porosity", "status"):
        np.testing.assert_array_equal(getattr(back, name), getattr(last, name), err_msg=name)
    assert np.isnan(back.burn_rate).all()
    assert (
        restored.read(restored.ids[3:1:-1]).burned_fraction.tolist() == back.burned_fraction[3:1:-1].tolist()
    )
    go(restored, first=7)
    assert restored.ledger().burned_mass == whole.ledger().burned_mass


def test_a_point_at_rest_reads_back_as_material_at_rest(kit):
    closure = kit.make()
    closure.begin_step(0.0, 1e-9)
    out = closure.advance(pressure=np.full(5, 1e5))
    closure.commit()
    back = closure.read()
    for name in ("burned_fraction", "hotspot_temperature", "mean_temperature", "mean_pressure", "porosity"):
        np.testing.assert_array_equal(getattr(back, name), getattr(out, name), err_msg=name)
    with pytest.raises(ClosureError, match="unknown cell 7"):
        closure.read([7])


@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf])
def test_a_mass_that_is_none_is_refused(kit, bad):
    closure = kit.make()
    closure.begin_step(0.0, 1e-9)
    with pytest.raises(ClosureError, match="mass of cell 102 is not finite or is negative") as caught:
        closure.advance(pressure=PEAKS, mass=np.where(np.arange(5) == 2, bad, 1.0))
    assert caught.value.ids.tolist() == [102]


def test_heat_is_that_of_the_training_data(kit):
    bundle = dataclasses.replace(kit.bundle())
    case = {"kinetics": {"Q": 4e6}}
    bundle.provenance = {"data": {"meso": {"shape": [320, 480], "origin": {"configuration": {"case": case}}}}}
    closure = kit.make(given=bundle)
    every = go(closure)
    assert closure.facts["heat"] == 4e6
    assert (closure.facts["frame.ny"], closure.facts["frame.nx"]) == (320, 480)
    ledger = closure.ledger()
    assert ledger.heat == pytest.approx(4e6 * ledger.burned_mass, rel=1e-14)
    np.testing.assert_allclose(every[-1].heat_increment, 4e6 * every[-1].burned_increment, rtol=1e-14)


def test_facts_say_what_a_host_must_know_before_it_registers(kit):
    closure = kit.make(0)
    facts = closure.facts
    table = kit.table()
    low, high = closure.bundle.load_range
    assert facts["patch.least_nx"] >= max(table.entry, 32)
    assert facts["patch.least_nx"] % facts["patch.multiple"] == 0
    assert facts["pixel"] == kit.PIXEL
    assert (facts["load.low"], facts["load.high"]) == (low, high)
    assert facts["p_arrival"] == kit.PLAIN["load"]["p_arrival"]
    by_default = mld.open(kit.bundle(), device="cpu", threads=1, load_table=kit.table()).facts
    assert by_default["p_arrival"] == pytest.approx(by_default["pressure.low"] / 5)
    assert facts["horizon"] > facts["model_step"] > 0
    assert np.isnan(facts["heat"])  # these networks were trained on nothing
    least = tuple(int(facts[f"patch.least_{side}"]) for side in ("ny", "nx"))
    closure.register([1], patches=np.ones((1, *least), np.float32))
    assert (closure.facts["patch.ny"], closure.facts["patch.nx"]) == least
