"""Strips on the Lagrangian hydrocode: points where the material is, and a strip made by it met by itself."""

import numpy as np
import pytest

from mld_closure.dns.eos import Material
from mld_closure.dns.strip_file import CURVES, Strip
from mld_closure.macro.curves import BurnCurves, load_of
from mld_closure.macro.mixture import solid_entropy
from mld_closure.macro.porous import porous_shock
from mld_closure.macro.strip import run_strip, strip_points, strip_slab
from mld_closure.macro.strip_curves import frame_curves, part_curves
from mld_closure.macro.strip_score import run_shares, score
from mld_closure.macro.tabulated import TabulatedClosure

M = Material()
UP, END, AFTER = 900.0, 60e-9, (10e-9, 25e-9)
CELL, PATCHES, PARTS = 1e-6, 3, 4
TAU = np.linspace(0.0, 80e-9, 161)


def blank(solid, up=UP):
    """A strip whose curves are yet to be filled: 4 columns of halo, 12 a patch, 12 of tail."""
    times = np.linspace(0.0, END, 121)
    shape = (len(times), PATCHES, PARTS)
    curves = {name: np.zeros(shape, np.float32) for name in CURVES}
    return Strip(up, CELL, 4, 12, times, np.zeros(shape[1:]), solid, curves)


def image():
    rng = np.random.default_rng(5)
    solid = np.full((16, 4 + 12 * PATCHES + 12), 255, np.uint8)
    solid[rng.random(solid.shape) < 0.1] = 0
    return solid


def given_curves(porosity):
    """Curves of one patch at two loads, faster at the higher one."""
    burned = np.array([1 - np.exp(-((TAU / t) ** 1.5)) for t in (90e-9, 40e-9)])
    return BurnCurves(np.array([800.0, 1000.0]), TAU, burned[None], np.array([porosity]))


@pytest.fixture(scope="module")
def made():
    """A strip that the hydrocode itself made, and the run."""
    empty = blank(image())
    points = strip_points(empty, PARTS)
    closure = TabulatedClosure(given_curves(float(empty.porosity().mean())))
    closure.register(points.ids[: points.reacting])
    run = run_strip(strip_slab(empty, points, closure), END)
    curves = dict(empty.curves)
    for name, values in (("burned_share", run.burned), ("mean_pressure", run.pressure)):
        own = points.by_patch(values)
        flat = own.reshape(len(own), -1)
        curves[name] = np.stack(
            [np.interp(empty.times, run.times, v) for v in flat.T], axis=1
        ).reshape(len(empty.times), PATCHES, PARTS).astype(np.float32)  # fmt: skip
    arrival = points.by_patch(run.arrival)
    return Strip(UP, CELL, 4, 12, empty.times, arrival, empty.solid, curves), points, run


@pytest.mark.parametrize("by_part", [True, False])
@pytest.mark.parametrize("points", [2, 4, 8])
def test_points_hold_the_mass_of_the_image(points, by_part):
    strip = blank(image())
    there = strip_points(strip, points, by_part=by_part)
    n = there.reacting
    mass = (there.density * np.diff(there.x))[:n].sum()
    assert there.x[n] == pytest.approx(strip.solid.shape[1] * CELL)
    assert mass == pytest.approx(M.rho0 * (strip.solid / 255).mean() * there.x[n], rel=1e-3)
    assert there.by_patch(there.patch).tolist() == [[k] * points for k in range(PATCHES)]
    assert there.by_patch(there.part)[1].tolist() == [i * PARTS // points for i in range(points)]
    assert there.patch[n - 1] == PATCHES


def test_points_that_do_not_fit_the_parts_are_refused():
    with pytest.raises(ValueError, match="do not divide each other"):
        strip_points(blank(image()), 3)


def test_no_wave_comes_back_from_the_far_end():
    strip = blank(np.full((4, 52), 230, np.uint8))
    points = strip_points(strip, PARTS)
    run = run_strip(strip_slab(strip, points, None), END)
    p = porous_shock(UP, float(strip.porosity().mean()), M).p
    assert run.pressure[-1, points.first : points.reacting] == pytest.approx(p, rel=0.02)
    assert run.pressure[-1, -1] < 0.5 * p  # the end itself is free


def test_the_strips_own_curves_give_the_strip_again(made):
    strip, points, run = made
    assert run.burned[-1, points.first] > 0.2
    closure = TabulatedClosure(part_curves([strip], step=0.25e-9), exponent=0.5)
    own = slice(points.reacting)
    row = np.minimum(points.patch[own], PATCHES - 1) * PARTS + points.part[own]
    closure.register(points.ids[own], patch=row)
    again = run_strip(strip_slab(strip, points, closure), END)
    found = score(strip, points, again, AFTER)
    assert np.abs(found.error).max() < 0.02
    assert found.worst(0) < 0.02
    assert np.abs(found.arrival).max() < 0.05e-9
    assert np.abs(found.pressure).max() < 0.02


def test_a_score_is_zero_for_the_run_itself_and_tells_half_from_whole(made):
    strip, points, run = made
    same = score(strip, points, run, AFTER)
    assert np.abs(same.error).max() < 0.01
    arrival, burned = run_shares(points, run)
    assert arrival == pytest.approx(strip.arrival.mean(axis=1))
    halved = type(run)(run.times, 0.5 * run.burned, run.pressure, run.arrival + 1e-9)
    found = score(strip, points, halved, (0.0, *AFTER))
    assert found.arrival == pytest.approx(1e-9)
    assert found.worst() > 0.3
    assert run_shares(points, halved)[1] == pytest.approx(0.5 * burned)


def test_records_that_end_go_on_at_their_last_rate(made):
    strip, _, _ = made
    curves = part_curves([strip], step=1e-9, until=200e-9)
    rest = 1 - curves.burned[0, 0]
    late = int(END / 1e-9)
    rates = -np.diff(np.log(rest))
    assert rates[late:] == pytest.approx(rates[-1], rel=1e-3)
    assert rates[-1] == pytest.approx(rates[late - 10 : late - 2].mean(), rel=0.1)


def test_strips_of_one_table_must_be_the_same_material(made):
    strip = made[0]
    with pytest.raises(ValueError, match="same microstructure"):
        part_curves([strip, blank(255 - image())])


def test_loads_are_read_by_the_frames_own_entropy():
    hugoniot = given_curves(0.1)
    own = np.array([[np.interp(up, hugoniot.load, hugoniot.entropy[0]) for up in (880.0, 1080.0)]])
    curves = BurnCurves(hugoniot.up, TAU, hugoniot.burned, hugoniot.porosity, frame_entropy=own)
    for A, up in zip(own[0], (800.0, 1000.0), strict=True):
        assert load_of(A, curves.entropy[0], curves.load) == pytest.approx(up, abs=2.0)
        assert load_of(A, hugoniot.entropy[0], hugoniot.load) > up + 20 or up == 1000.0
    with pytest.raises(ValueError, match="frame entropies must be positive"):
        BurnCurves(hugoniot.up, TAU, hugoniot.burned, hugoniot.porosity, frame_entropy=-own)


def test_curves_of_frames_keep_patches_and_their_entropies_apart():
    frames = []
    for k in range(2):
        of_patch = []
        for j, up in enumerate((800.0, 1000.0)):
            shock = porous_shock(up + 20 * k, 0.1, M)
            times = np.linspace(0.0, END, 61)
            c = {name: np.zeros((61, 1, PARTS), np.float32) for name in CURVES}
            c["burned_share"][:] = (0.01 * (1 + k + 2 * j) * times / END)[:, None, None]
            c["mean_pressure"][:], c["mean_density"][:], c["mean_energy"][:] = shock.p, shock.rho, shock.e
            solid = np.full((4, 28), 230, np.uint8)
            of_patch.append(Strip(up, CELL, 4, 12, times, np.full((1, PARTS), 5e-9), solid, c))
        frames.append(of_patch)
    curves = frame_curves(frames, until=40e-9)
    assert curves.patches == 2 * PARTS
    burned = curves.burned[:, :, -1] / (0.01 * 40e-9 / END)
    assert burned == pytest.approx(np.repeat([[1.0, 3.0], [2.0, 4.0]], PARTS, axis=0), rel=1e-2)
    A = porous_shock(820.0, 0.1, M)
    second = float(solid_entropy(np.float64(A.rho), np.float64(A.e), M))
    assert load_of(second, curves.entropy[PARTS], curves.load) == pytest.approx(800, abs=2)


def test_points_that_share_a_load_take_that_of_their_mean_entropy():
    curves = given_curves(0.1)
    A = [float(np.interp(up, curves.load, curves.entropy[0])) for up in (820.0, 960.0)]
    closure = TabulatedClosure(curves, share_load=True, exponent=0.0)
    closure.register(np.arange(3), group=np.array([0, 0, 1]))
    for k in range(3):
        closure.begin_step(k * 1e-9, 1e-9)
        closure.advance(
            np.arange(3), pressure=np.full(3, 6e9), velocity=np.zeros(3),
            entropy=np.array([*A, A[0]]), viscous_pressure=np.zeros(3),
        )  # fmt: skip
        closure.commit()
    shared = closure._taken(np.arange(3))
    mean = load_of(np.mean(A), curves.entropy[0], curves.load)
    assert shared == pytest.approx([mean, mean, 820.0], rel=1e-3)
