"""Wall frames: own material by mass coordinate, arrivals, drawn pores, and what a case records."""

from dataclasses import replace

import numpy as np
import pytest

from mld_closure.config import from_dict, to_dict
from mld_closure.data.trajectories import Trajectories
from mld_closure.data.validation import validate
from mld_closure.dns.cases import PRESETS, CaseConfig, at_pace, at_pixel, simulate_case
from mld_closure.dns.curves import Arrivals, OwnMaterial
from mld_closure.dns.eos import Material
from mld_closure.dns.exact import porous_shock, shock_from_piston
from mld_closure.dns.kinetics import PACE, PACES, Kinetics, paced
from mld_closure.dns.microstructure import Ellipse, PackRules, Pores, gap, pack, solid_fraction
from mld_closure.dns.solver import Boundaries, Solver
from mld_closure.dns.wall import WallFrame, draw_pores, rounded, wall_solver
from mld_closure.dns.wall_problems import solid_arrivals
from mld_closure.grids import Grid
from mld_closure.simulation import simulate

PIXEL = 100e-9
MATERIAL, KINETICS = paced("K1")
INERT = Kinetics(Z=0.0)
SMALL = CaseConfig(
    "wall", (32, 96), frames=4, frame_interval=0.7e-9, up=(1300.0, 1400.0), pixel=PIXEL,
    material=MATERIAL, kinetics=KINETICS,
    wall=WallFrame(
        halo=32, tail=32, parts=4,
        pores=Pores(porosity=(0.1, 0.12), median=(0.7e-6, 0.9e-6), size=(0.5e-6, 6e-6)),
    ),
)  # fmt: skip


def test_own_material_is_followed_through_a_shift():
    """Carried without change, the parts report what they began with, wherever the columns have gone."""
    rng = np.random.default_rng(0)
    W = np.zeros((5, 4, 48))
    W[0] = 2300 + 20 * rng.random(48)
    W[1], W[3], W[4] = 500.0, 1e6, np.linspace(0, 1, 48)
    sides = Boundaries("copy", "copy", "mirror", "mirror")
    run = Solver(Grid(4, 48, PIXEL), W, kinetics=INERT, material=Material(kappa=0.0), boundaries=sides)
    own = OwnMaterial(run, (8, 32), 4)
    before = own.measure(run)
    shifted = run.interior.copy()
    run.interior[:, :, 0] = 0.5 * shifted[:, :, 0]  # half the mass beside the wall ...
    run.interior[:, :, 1:-1] = shifted[:, :, 1:-1]
    run.interior[:, :, 32] += 0.5 * shifted[:, :, 0]  # ... is beyond the patch: the patch lies further right
    after = own.measure(run)
    share = 0.5 * shifted[0, :, 0].sum() / shifted[0, :, 8].sum()  # of a column, by which the edges moved
    assert after["kept_share"] == pytest.approx(np.ones(5))
    assert before["burned_share"][1] == pytest.approx(W[4, 0, 8:14].mean(), rel=1e-3)
    moved = after["burned_share"][1] - before["burned_share"][1]
    assert moved == pytest.approx(share / 47, rel=0.02)


def test_parts_add_up_to_the_patch():
    mu = solid_fraction((32, 96), [Ellipse(40, 16, 12), Ellipse(60, 20, 9)])
    run = wall_solver(mu, 1400.0, PIXEL, MATERIAL, KINETICS)
    own = OwnMaterial(run, (24, 72), 6)
    run.run(2.5e-9)
    now, mass = own.measure(run), np.diff(own.edges)
    assert now["burned_share"][0] > 1e-3
    for name in ("burned_share", "mean_energy"):
        assert now[name][0] == pytest.approx((now[name][1:] * mass).sum() / mass.sum(), rel=1e-12)
    area = mass / now["mean_density"][1:]
    assert now["mean_pressure"][0] == pytest.approx((now["mean_pressure"][1:] * area).sum() / area.sum())
    assert now["hot_area"][0] == pytest.approx(now["hot_area"][1:].sum())
    hot = run.fields()["temperature"] > 875
    assert 0 < now["hot_area"][0] <= hot.sum() * PIXEL**2
    assert now["kept_share"] == pytest.approx(np.ones(7), rel=1e-12)


def test_burned_share_is_all_burned_mass_when_the_patch_is_everything():
    mu = solid_fraction((32, 64), [Ellipse(20, 16, 12)])
    run = wall_solver(mu, 1400.0, PIXEL, MATERIAL, KINETICS)
    own = OwnMaterial(run, (0, 64), 1)
    run.run(1.5e-9)
    burned = own.measure(run)["burned_share"][0] * own.edges[-1]
    assert burned == pytest.approx(run.totals()[4], rel=1e-9)  # what flowed in at the right has not reacted


def test_arrival_in_the_parts_of_a_solid():
    run = wall_solver(np.ones((2, 120)), 900.0, PIXEL, Material(kappa=0.0), INERT, ramp=0.0)
    own, arrivals = OwnMaterial(run, (20, 100), 4), Arrivals(2.5e9, 5)
    while not arrivals.complete and run.time < 3e-9:
        run.run(run.time + 0.02e-9)
        arrivals.add(run.time, own.measure(run)["mean_pressure"])
    exact = solid_arrivals(900.0, PIXEL, Material(), (20, 100), 4)
    assert np.abs(arrivals.times[1:] - exact).max() < 0.02e-9
    whole = solid_arrivals(900.0, PIXEL, Material(), (20, 100), 1)
    assert arrivals.times[0] == pytest.approx(whole[0], abs=0.02e-9)
    run.run(1.35 * run.time)
    shock = shock_from_piston(900.0, Material())
    assert own.measure(run)["mean_density"] == pytest.approx(shock.rho, rel=5e-3)


def test_pressure_stays_with_the_shock_that_has_left():
    """Long after, in inert porous material and after a blow has driven it out at the right."""
    up, rng = 1000.0, np.random.default_rng(2)
    rules = PackRules(median=8, sigma=0.3, smallest=5, largest=20, gap=3, first_column=2, gap_share=0.3)
    mu = solid_fraction((32, 128), pack((32, 128), 0.1, rng, rules))
    material = replace(MATERIAL, viscosity=1.0)
    p = porous_shock(up, material, float(mu.mean()))[1]
    run = wall_solver(mu, up, PIXEL, material, INERT)
    own = OwnMaterial(run, (8, 104), 4)
    run.run(12e-9)
    assert own.measure(run)["mean_pressure"][0] == pytest.approx(p, rel=0.05)
    run.interior[3] += run.interior[0] * 0.5e6
    run.refresh()
    assert own.measure(run)["mean_pressure"][0] > 1.1 * p
    run.run(30e-9)
    assert own.measure(run)["mean_pressure"] == pytest.approx(p, rel=0.05)
    assert np.abs(run.primitive()[1]).max() < 0.1 * up


def test_a_solid_at_the_wall_is_no_hotter_than_its_shock():
    """A sharp start leaves a layer there that burns."""
    up, material = 1600.0, replace(MATERIAL, viscosity=1.0)
    run = wall_solver(np.ones((2, 80)), up, 200e-9, material, INERT)
    run.run(20e-9)
    sharp = wall_solver(np.ones((2, 80)), up, 200e-9, material, INERT, ramp=0.0)
    sharp.run(20e-9)
    assert sharp.fields()["temperature"].max() > 1.3 * run.fields()["temperature"].max()
    assert run.fields()["temperature"].max() < 1.1 * shock_from_piston(up, material).T


def test_pores_of_the_presets_are_at_least_four_pixels_wide():
    for preset in ("wall", "wall-micro"):
        config = PRESETS[preset]
        for seed in range(3):
            voids, _ = draw_pores(config.wall, config.shape, config.pixel, np.random.default_rng(seed))
            assert min(v.diameter for v in voids) > 4 - 1e-9


def test_arrivals_interpolate_and_stay():
    arrivals = Arrivals(2.0, 3)
    for time, pressure in ((0.0, [0, 2.5, 0]), (1.0, [1, 0, 0]), (2.0, [5, 3, 1.9])):
        arrivals.add(time, np.array(pressure, float))
    assert arrivals.times[:2] == pytest.approx([1.25, 0.0])
    assert np.isnan(arrivals.times[2])
    assert not arrivals.complete


@pytest.mark.parametrize(("porosity", "median"), [(0.02, 0.8e-6), (0.25, 0.9e-6), (0.25, 6e-6), (0.02, 6e-6)])
def test_pores_of_every_size_and_porosity_can_be_drawn(porosity, median):
    config = at_pixel(PRESETS["wall"], PIXEL)
    pores = replace(config.wall.pores, porosity=(porosity, porosity), median=(median, median))
    voids, drawn = draw_pores(
        replace(config.wall, pores=pores), config.shape, PIXEL, np.random.default_rng(2)
    )
    ny, nx = config.shape[0], config.shape[1] + config.wall.tail
    least = 0.25 * np.pi * (0.8e-6 / PIXEL) ** 2
    assert sum(v.area for v in voids) == pytest.approx(porosity * ny * nx, abs=0.51 * least)
    assert all(v.diameter * PIXEL * (1 + 1e-9) >= 0.8e-6 and v.diameter * PIXEL <= 6.001e-6 for v in voids)
    assert drawn["pore_median"] == pytest.approx(median)
    for i, v in enumerate(voids[-40:], start=len(voids) - len(voids[-40:])):
        assert all(gap(v, w) >= min(3.0, 0.3 * v.diameter) for w in voids[:i])


def test_ranges_of_pores_are_covered():
    pores, rng = Pores(), np.random.default_rng(0)
    drawn = [pores.draw(rng, PIXEL) for _ in range(300)]
    porosity = np.array([p for p, _ in drawn])
    median = np.array([r.median * PIXEL for _, r in drawn])
    assert porosity.min() < 0.03
    assert porosity.max() > 0.24
    assert median.min() < 1.1e-6
    assert median.max() > 2.7e-6
    assert np.median(median) == pytest.approx(np.sqrt(1.0e-6 * 3e-6), rel=0.15)  # even in the logarithm


@pytest.mark.parametrize("bits", [1, 10, 23])
def test_rounding_keeps_the_bits_asked_for(bits):
    values = np.random.default_rng(1).uniform(-3e9, 9e9, 1000).astype(np.float32)
    out = rounded(values, bits)
    assert np.abs(out / values - 1).max() <= 2.0 ** -(bits + 1)
    assert not (out.view(np.uint32) & ((1 << (23 - bits)) - 1)).any()
    assert rounded(np.array([0.0, 1.0]), bits).tolist() == [0.0, 1.0]


def test_a_case_records_fields_and_curves(tmp_path):
    out = simulate("wall", 2, tmp_path / "wall.h5", seed=5, config=SMALL)
    assert validate(out) == []
    movie, scalars, _ = simulate_case(SMALL, 5, 1)
    with Trajectories(out) as data:
        assert data.shape == (32, 96)
        assert data.fields == SMALL.wall.fields
        assert data.scalars["halo"].tolist() == [32, 32]
        assert data.scalars["porosity"][1] == pytest.approx(scalars["porosity"])
        assert np.array_equal(data.read(1, ["pressure"])[:, 0], movie["pressure"])
        curves = data.curves(1)
        assert all(np.array_equal(curves[name], movie[name], equal_nan=True) for name in curves)
        assert len(data.curve_times) == 13
        assert data.curve_times[::4] == pytest.approx(data.times)
    assert curves["burned_share"].shape == (13, 5)
    assert np.all(np.diff(curves["burned_share"][:, 0]) > -1e-6)
    assert curves["burned_share"][-1, 0] > 0
    assert np.all(np.diff(curves["arrival"][1:3]) > 0)  # the shock meets the parts in order
    assert np.abs(movie["pressure"][0]).max() < 1e-3  # Pa, round-off of the kinetic energy


def test_own_density_at_the_start_is_that_of_the_pores():
    movie, scalars, _ = simulate_case(replace(SMALL, frames=2, frame_interval=0.05e-9), 5, 0)
    m = SMALL.material
    expected = m.rho0 * (1 - scalars["porosity"]) + m.rho_void * scalars["porosity"]
    assert movie["mean_density"][0, 0] == pytest.approx(expected, rel=1e-6)


def test_presets_at_another_pixel_and_pace():
    wall = PRESETS["wall"]
    fine = at_pixel(wall, 50e-9)
    assert (fine.shape, fine.wall.halo, fine.wall.tail) == ((256, 640), 160, 160)
    assert at_pixel(fine, 200e-9) == wall
    for preset, share in (("wall", 1.0), ("wall-micro", 0.5)):
        K1, K2 = (at_pace(PRESETS[preset], PACES[pace]) for pace in ("K1", "K2"))
        assert K1.frame_interval == pytest.approx(share * 1.4e-9)
        assert K2.frame_interval == pytest.approx(4 * K1.frame_interval)
        assert K2.material.kappa == pytest.approx(K1.material.kappa / 4)
        assert K2.kinetics.limit.k10 == pytest.approx(K1.kinetics.limit.k10 / 4)
        assert from_dict(CaseConfig, to_dict(K2)) == K2
        assert at_pace(PRESETS[preset], PACES[PACE]) == PRESETS[preset]
        assert (PRESETS[preset].material.viscosity, K1.material.viscosity) == (1.0, None)
    with pytest.raises(ValueError, match="constant rate limit"):
        at_pace(PRESETS["micro"], PACES["K1"])
    with pytest.raises(ValueError, match="measured in pixels"):
        at_pixel(PRESETS["meso"], 100e-9)


def test_wrong_frames_are_named():
    with pytest.raises(ValueError, match="no 5 equal parts"):
        replace(SMALL, wall=replace(SMALL.wall, parts=5))
    with pytest.raises(ValueError, match="wall cases need `wall`"):
        replace(SMALL, wall=None)
    with pytest.raises(ValueError, match="micro cases take no `wall`"):
        replace(PRESETS["micro"], wall=WallFrame())
    with pytest.raises(ValueError, match="unknown field 'heat'"):
        WallFrame(fields=("heat",))
    run = wall_solver(np.ones((2, 20)), 900.0, PIXEL, MATERIAL, INERT)
    with pytest.raises(ValueError, match="cannot be cut into 3"):
        OwnMaterial(run, (4, 14), 3)


def test_the_command_makes_wall_frames_at_the_pixel_and_pace_asked_for(tmp_path):
    from click.testing import CliRunner

    from mld_closure.cli.simulate import command

    out = tmp_path / "wall.h5"
    options = ["--cases", "1", "--pixel", "400", "--kinetics", "K2", "--frames", "2", "--seed", "2"]
    result = CliRunner().invoke(command, ["wall", *options, "--out", str(out)])
    assert result.exit_code == 0, result.output
    with Trajectories(out) as data:
        assert data.pixel == pytest.approx(400e-9)
        assert data.times == pytest.approx([0, 5.6e-9])
        assert data.provenance["configuration"]["case"]["kinetics"]["limit"]["k10"] == pytest.approx(1.5e8)
        assert data.curves(0)["mean_pressure"].shape == (5, 9)
    result = CliRunner().invoke(command, ["micro", "--cases", "1", "--pixel", "100"])
    assert result.exit_code == 2
    assert "for wall frames" in result.output


def test_what_flows_in_is_porous_and_sends_no_wave_back():
    """The last columns of a pack have no pores; what flows in behind them decides what the shock meets."""
    up, porosity = 1000.0, 0.1
    mu = np.full((4, 160), 1 - porosity)
    mu[:, -2:] = 1.0
    run = wall_solver(mu, up, 2 * PIXEL, MATERIAL, INERT)
    _, p, _, us = porous_shock(up, MATERIAL, float(mu.mean()))
    run.run(160 * 2 * PIXEL / us + 2.5e-9)
    near_end = run.fields()["pressure"][:, 120:155].mean()
    assert near_end == pytest.approx(p, rel=0.03)
