"""Resolved strips: the same numbers as a wall frame, interruptions that change nothing, and their file."""

from dataclasses import replace

import numpy as np
import pytest

from mld_closure.dns import strip as module
from mld_closure.dns.cases import CaseConfig
from mld_closure.dns.kinetics import paced
from mld_closure.dns.strip import StripConfig, simulate_strip
from mld_closure.dns.strip_file import CURVES, Strip
from mld_closure.dns.wall import WallFrame, record_wall, wall_solver

MATERIAL, KINETICS = paced("K4")
FRAME = CaseConfig(
    "wall", (32, 64), frames=3, frame_interval=1e-9, up=(500.0, 1600.0), pixel=200e-9,
    material=MATERIAL, kinetics=KINETICS, wall=WallFrame(halo=16, tail=16, parts=4),
)  # fmt: skip
SHORT = StripConfig(1400.0, 0.1, 1.2e-6, 3, patches=2, end=7e-9, tail=16, frame=FRAME)


@pytest.fixture(scope="module")
def strip():
    return simulate_strip(SHORT)


def test_the_shock_crosses_part_after_part_and_something_burns(strip):
    arrival = strip.arrival.ravel()
    assert np.isfinite(arrival).all()
    assert (np.diff(arrival) > 0).all()
    burned = strip.curves["burned_share"]
    assert 0 < burned[-1, 1].max() < 1
    assert burned[-1, 0].mean() > burned[-1, 1].mean() > 0
    assert strip.curves["kept_share"][-1] == pytest.approx(1, abs=1e-6)


def test_a_strip_of_one_patch_is_a_wall_frame():
    one = replace(SHORT, patches=1, end=3e-9)
    times = one.times()
    found = simulate_strip(one)
    run = wall_solver(one.solid(), one.up, FRAME.pixel, MATERIAL, KINETICS)
    frame = replace(FRAME.wall, samples=1, fine=module.FINE)
    expected = record_wall(run, frame, tuple(times))
    for name in ("burned_share", "mean_pressure", "hot_temperature"):
        np.testing.assert_array_equal(found.curves[name][:, 0], expected[name][:, 1:])
    np.testing.assert_allclose(found.arrival[0], expected["arrival"][1:], rtol=1e-6)


def test_an_interrupted_strip_goes_on_to_the_same_bits(strip, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "KEEP", 4)
    checkpoint = tmp_path / "strip.part"

    def stop(i, n):
        if i == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate_strip(SHORT, checkpoint=checkpoint, done=stop)
    with pytest.raises(ValueError, match="another strip"):
        simulate_strip(replace(SHORT, seed=4), checkpoint=checkpoint)
    counted = []
    again = simulate_strip(SHORT, checkpoint=checkpoint, done=lambda i, n: counted.append(i))
    assert counted[0] == 9
    assert not checkpoint.exists()
    np.testing.assert_array_equal(again.arrival, strip.arrival)
    for name in CURVES:
        np.testing.assert_array_equal(again.curves[name], strip.curves[name])


def test_the_file_gives_back_what_was_written(strip, tmp_path):
    strip.save(tmp_path / "strip.npz")
    again = Strip.load(tmp_path / "strip.npz")
    assert (again.up, again.pixel, again.facts) == (strip.up, strip.pixel, strip.facts)
    np.testing.assert_array_equal(again.solid, strip.solid)
    np.testing.assert_allclose(again.arrival, strip.arrival, rtol=1e-6)
    np.testing.assert_array_equal(again.curves["burned_share"], strip.curves["burned_share"])
    (tmp_path / "cut.npz").write_bytes((tmp_path / "strip.npz").read_bytes()[:-400])
    for name in ("cut.npz", "text.npz"):
        (tmp_path / "text.npz").write_text("no archive")
        with pytest.raises(ValueError, match="no file of a strip"):
            Strip.load(tmp_path / name)


def test_image_and_porosity_are_those_of_a_patch_and_its_halo(strip):
    mu = SHORT.solid()
    assert strip.image(1).shape == FRAME.shape
    np.testing.assert_allclose(strip.image(1), mu[:, 48:112], atol=0.5 / 255)
    by_part = 1 - mu[:, 16:112].reshape(32, 2, 4, 12).mean(axis=(0, 3))
    np.testing.assert_allclose(strip.porosity(4), by_part, atol=2e-3)
    np.testing.assert_allclose(strip.porosity()[:, 0], by_part.mean(axis=1), atol=2e-3)


def test_measurements_are_dense_while_the_shock_crosses():
    times = StripConfig(1000.0, 0.1, 1.2e-6, 0).times()
    assert times[0] == 0
    assert times[-1] == 400e-9
    assert (np.diff(times) > 0).all()
    assert (np.diff(times[times < 55e-9]) < 0.51e-9).all()


def test_a_strip_needs_a_wall_frame_and_patches():
    with pytest.raises(ValueError, match="patches"):
        replace(SHORT, patches=0)
