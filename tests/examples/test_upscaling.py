"""The strips that come with the upscaling example: they can be read and the hydrocode meets them."""

import runpy
from pathlib import Path

import numpy as np
import pytest

from mld_closure.dns.strip import StripConfig, frame_at
from mld_closure.dns.strip_file import Strip
from mld_closure.macro.strip import run_strip, strip_points, strip_slab
from mld_closure.macro.strip_score import score

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = runpy.run_path(str(ROOT / "examples" / "03_upscaling.py"))
STRIPS = sorted(EXAMPLE["DATA"].glob("*-*0.npz"))


@pytest.mark.parametrize("path", STRIPS, ids=lambda p: p.stem)
def test_a_strip_is_small_and_whole(path):
    assert path.stat().st_size < 1e6
    strip = Strip.load(path)
    assert strip.patches >= 8
    assert np.isfinite(strip.arrival).all()
    assert (np.diff(strip.arrival.ravel()) > 0).all()
    burned = strip.curves["burned_share"]
    assert burned[0].max() == 0
    assert burned[-1].mean(axis=1).min() > 0


def test_the_shock_of_a_strip_arrives_in_time():
    strip = Strip.load(EXAMPLE["DATA"] / "fine-1150.npz")
    points = strip_points(strip, until=60e-9)
    run = run_strip(strip_slab(strip, points, EXAMPLE["replay"](strip, points)), 60e-9)
    found = score(strip, points, run, (5e-9,))
    assert np.abs(found.arrival).max() < 0.6e-9
    assert np.abs(found.pressure).max() < 0.15


@pytest.mark.parametrize("pixel", [400e-9, 1e-9 * 400.0])
@pytest.mark.parametrize("path", STRIPS, ids=lambda p: p.stem)
def test_the_pack_of_a_strip_is_drawn_again(path, pixel):
    strip = Strip.load(path)
    frame, facts = frame_at(pixel), strip.facts
    config = StripConfig(
        strip.up, facts["porosity"], facts["median"], facts["seed"], strip.patches, strip.times[-1],
        strip.tail,
        frame=frame,
    )  # fmt: skip
    assert (frame.wall.halo, frame.shape) == (strip.halo, (32, strip.halo + strip.width))
    assert np.abs(np.rint(255 * config.solid()) - strip.solid).max() <= 1
    assert config.times() == pytest.approx(strip.times)
