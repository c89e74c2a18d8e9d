"""Cases: read from TOML, refused with a reason, and the same answer in one and two dimensions."""

import numpy as np
import pytest

from mld_closure import config
from mld_closure.closure.fallback.ignition_growth import PressureIgnitionGrowth
from mld_closure.dns.eos import Material
from mld_closure.dns.exact import hugoniot_pressure
from mld_closure.dns.loading import shock_front
from mld_closure.macro.problems import Block, MacroCase, start
from mld_closure.macro.rates import RateClosure

CASE = """
cells = 40
rows = 4
cell_size = 2.4e-5
piston_speed = 800
porosity = 0.12
end_time = 1e-7
sides = "periodic"

[[blocks]]
x = 2.4e-4
y = 0.0
width = 4.8e-5
height = 4.8e-5
porosity = 0.4
"""


def burning(case):
    """The solver of a case whose cells burn by ignition and growth."""
    closure = RateClosure(PressureIgnitionGrowth().law())
    closure.register(case.ids.ravel())
    return start(case, closure)


def test_a_case_comes_back_from_toml(tmp_path):
    file = tmp_path / "case.toml"
    file.write_text(CASE)
    case = config.load(MacroCase, file)
    assert config.from_dict(MacroCase, config.to_dict(case)) == case
    expected = np.full((4, 40), 0.12)
    expected[:2, 10:12] = 0.4
    assert case.porosities().tolist() == expected.tolist()
    run = start(case)
    assert run.fields()["density"] == pytest.approx(1900 * (1 - expected))
    assert run.closure is None
    assert case.length == pytest.approx(9.6e-4)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"porosty": 0.1}, "did you mean 'porosity'"),
        ({"porosity": 0.7}, "below 0.645"),
        ({"piston_speed": 0}, "piston speed must be positive"),
        ({"cells": 1}, "at least 4 cells"),
        ({"drive": "gun"}, "must be one of 'wall', 'inflow'"),
        ({"cfl": 0.9}, "at most 0.5"),
        ({"blocks": [{"x": 1, "y": 0, "width": 1, "height": 1, "porosity": 0}]}, "covers no cell"),
    ],
)
def test_cases_that_cannot_run_are_refused(data, words):
    with pytest.raises(config.ConfigError, match=words):
        config.from_dict(MacroCase, data)


@pytest.mark.parametrize("sides", ["mirror", "periodic"])
def test_a_plane_slab_is_the_same_in_two_dimensions(sides):
    line = burning(MacroCase(cells=30))
    slab = burning(MacroCase(cells=30, rows=3, sides=sides))
    for run in (line, slab):
        run.run(40e-9)
    for name, field in line.fields().items():
        assert slab.fields()[name] == pytest.approx(np.repeat(field, 3, axis=0), rel=1e-9, abs=1e-6), name
    assert line.burned.max() > 0.9


def test_blocks_mirrored_about_the_middle_stay_so():
    low = Block(120e-6, 24e-6, 72e-6, 24e-6, 0.5)
    high = Block(120e-6, 96e-6, 72e-6, 24e-6, 0.5)
    case = MacroCase(cells=24, rows=6, blocks=(low, high))
    run = burning(case)
    run.run(30e-9)
    p = run.fields()["pressure"]
    assert np.abs(p - p[::-1]).max() < 1e-9 * p.max()
    assert np.ptp(p, axis=0).max() > 0.1 * p.max()  # and the blocks are felt


def test_an_impact_grows_into_the_detonation_of_the_porous_slab():
    """The steady front obeys Chapman-Jouguet at the porous density, in the frame of the unburned slab."""
    case = MacroCase(cells=80)
    run, fronts, times = burning(case), [], np.array([150e-9, 300e-9])
    for t in times:
        run.run(t)
        fronts.append(shock_front(run.fields()["pressure"][0], 5e9) * case.cell_size)
    m, rho00 = Material(), 1900.0 * 0.9
    speeds = [
        np.sqrt(hugoniot_pressure(r, m, rho00, 0.0, case.heat) / (1 - rho00 / r) / rho00)
        for r in np.linspace(1.02, 1.6, 4000) * rho00
    ]
    measured = np.diff(fronts)[0] / np.diff(times)[0] + case.piston_speed
    assert measured == pytest.approx(min(speeds), rel=0.02)
    assert np.abs(run.burned - run.flow.primitive()[4]).max() < 0.1  # cells in place, material hardly moved


def test_two_phases_are_a_choice_of_the_case(tmp_path):
    """Inert they are one material; where a cell is partly burned they press harder."""
    runs = {}
    for kind in ("none", "ignition-growth"):
        for two in (False, True):
            case = MacroCase(cells=30, two_phases=two)
            run = burning(case) if kind == "ignition-growth" else start(case)
            run.run(9e-9)
            runs[kind, two] = run.fields()
    inert, same = runs["none", False]["pressure"], runs["none", True]["pressure"]
    assert same == pytest.approx(inert, rel=1e-9, abs=1.0)
    one, two = runs["ignition-growth", False], runs["ignition-growth", True]
    assert 0.1 < one["burned_fraction"].max() < 0.6
    assert two["pressure"].max() > 1.03 * one["pressure"].max()


def test_inflow_and_wall_are_one_problem_in_two_frames():
    p = []
    for drive in ("wall", "inflow"):
        case = MacroCase(cells=60, drive=drive)
        run = start(case)
        seen = run.fields()["velocity_x"][0, -1] - run.velocity_ahead[0]
        assert seen == 0
        run.run(120e-9)
        p.append(float(np.median(run.fields()["pressure"][0, 4:12])))
    assert p[0] == pytest.approx(p[1], rel=5e-3)
