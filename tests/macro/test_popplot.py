"""Runs to detonation: their scaling with the curves' time, and the reference line."""

import numpy as np
import pytest

from mld_closure.macro.popplot import Run, hmx_run, run_to_detonation, slope
from mld_closure.macro.porous import detonation_speed, porous_shock
from mld_closure.macro.verification_points import example_curves


def test_slower_curves_on_larger_patches_are_the_same_flow():
    """The equations have no length but that of the curves' time."""
    one, two = (
        run_to_detonation(
            example_curves(25e-9 * s), 900.0, patches=np.zeros(30, int), patch_size=24e-6 * s, points=4
        )
        for s in (1, 2)
    )
    assert two.run == pytest.approx(2 * one.run, rel=0.02)
    assert two.patches == pytest.approx(one.patches, rel=0.02)
    assert one.input_pressure == pytest.approx(porous_shock(900.0, 0.1, example_curves().material).p)
    assert porous_shock(900.0, 0.1, example_curves().material).us < one.front_speed < one.detonation_speed
    assert one.detonation_speed == pytest.approx(detonation_speed(0.1, 5.5e6, example_curves().material))


def test_a_stronger_impact_runs_less_far():
    runs = [
        run_to_detonation(example_curves(), up, patches=np.zeros(30, int), points=4) for up in (700.0, 1000.0)
    ]
    assert runs[1].run < runs[0].run
    assert slope(runs) < -0.1


def test_a_slab_too_short_has_no_run():
    run = run_to_detonation(example_curves(200e-9), 700.0, patches=np.zeros(8, int), points=4)
    assert np.isnan(run.run)
    assert np.isnan(slope([run, run]))


def test_the_line_of_hmx_and_its_slope():
    assert hmx_run(10**1.18 * 1e9) == pytest.approx(1e-3)
    assert hmx_run(6e9) == pytest.approx(4.8e-3, rel=0.01)
    runs = [Run(0, p, hmx_run(p), 0, 0, 0, 0, 0) for p in (4e9, 5e9, 9e9)]
    assert slope(runs) == pytest.approx(-1 / 0.59)
