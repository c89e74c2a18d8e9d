"""Generated specimens: independent of the order of requests; porosity, gap and sizes as requested."""

import tracemalloc

import numpy as np
import pytest

from mld_closure.patches.specimen import Specimen
from mld_closure.patches.voids import VoidPlane, VoidRules

PIXEL = 50e-9


def outline(void, points=720):
    t = np.linspace(0, 2 * np.pi, points, endpoint=False)
    u, v = void[2] * np.cos(t), void[3] * np.sin(t)
    c, s = np.cos(void[4]), np.sin(void[4])
    return np.stack([void[0] + c * u - s * v, void[1] + s * u + c * v], axis=1)


def block(plane, n):
    return np.concatenate([plane.tile_voids(i, j) for j in range(-1, n) for i in range(-1, n)])


@pytest.mark.parametrize("porosity", [0.05, 0.10, 0.15])
def test_porosity_is_met_tile_by_tile_and_in_the_image(porosity):
    plane = VoidPlane(3, porosity)
    rules = plane.rules
    for i, j in ((0, 0), (1, 0), (0, 1), (1, 1), (-7, 12)):
        voids = plane.tile_voids(i, j)
        area = np.pi * (voids[:, 2] * voids[:, 3]).sum()
        least = np.pi / 4 * rules.smallest**2
        assert abs(area - porosity * rules.tile**2) <= 0.5 * least * (1 + 1e-9)
        assert (np.floor(voids[:, :2] / rules.tile) == (i, j)).all()
    mu = Specimen.generate((3000, 4000), PIXEL, 3, porosity=porosity).window(0, 0, 4000, 3000)
    assert 1 - mu.mean(dtype=float) == pytest.approx(porosity, abs=0.003)
    assert mu.min() == 0
    assert mu.max() == 1


def test_voids_keep_their_gap_across_tile_borders():
    plane = VoidPlane(11, 0.15)
    voids = block(plane, 4)
    lines = [outline(v) for v in voids]
    closest = np.inf
    for a in range(len(voids)):
        far = np.hypot(*(voids[:a, :2] - voids[a, :2]).T) > voids[a, 2] + voids[:a, 2] + plane.rules.gap
        for b in np.flatnonzero(~far):
            gap = np.sqrt(((lines[a][:, None] - lines[b][None]) ** 2).sum(axis=2).min())
            closest = min(closest, gap)
    assert closest >= plane.rules.gap
    assert closest < 1.05 * plane.rules.gap
    tile = plane.rules.tile
    crossing = (np.floor((voids[:, 0] - voids[:, 2]) / tile) != np.floor(voids[:, 0] / tile)).sum()
    assert crossing > 10


def test_sizes_are_lognormal_within_their_bounds():
    voids = block(VoidPlane(5, 0.10), 6)
    rules = VoidRules()
    d, aspect = 2 * np.sqrt(voids[:, 2] * voids[:, 3]), voids[:, 3] / voids[:, 2]
    assert d.min() >= rules.smallest * (1 - 1e-12)
    assert d.max() <= rules.largest * (1 + 1e-12)
    assert np.median(d) == pytest.approx(rules.median, rel=0.03)
    assert np.log(d).std() == pytest.approx(rules.sigma, rel=0.05)
    assert (aspect.min(), aspect.max()) == pytest.approx((0.6, 1.0), abs=0.01)
    assert aspect.mean() == pytest.approx(0.8, abs=0.01)
    assert voids[:, 4].mean() == pytest.approx(np.pi / 2, rel=0.03)


def test_a_tile_does_not_depend_on_what_was_asked_for_before():
    first, second = VoidPlane(7, 0.15), VoidPlane(7, 0.15)
    tiles = [(i, j) for i in range(-2, 3) for j in range(-2, 3)]
    forth = {t: first.tile_voids(*t) for t in tiles}
    back = {t: second.tile_voids(*t) for t in reversed(tiles)}
    for t in tiles:
        np.testing.assert_array_equal(forth[t], back[t])
    other = VoidPlane(8, 0.15)
    assert not any(np.array_equal(other.tile_voids(*t), forth[t]) for t in tiles)
    local = [forth[t][:, :2] - np.array(t) * first.rules.tile for t in tiles]
    assert len({v[0, 0] for v in local}) == len(tiles)


def test_voids_of_a_seed_stay_what_they_were():
    voids = VoidPlane(1, 0.10).tile_voids(0, 0) * [1e6, 1e6, 1e6, 1e6, 1]
    assert len(voids) == 24
    expected = [12.3981348842, 18.0025927309, 1.1950189865, 0.7822697773, 0.3227142467]
    np.testing.assert_allclose(voids[0], expected, rtol=1e-8)


def test_any_window_shows_the_same_image():
    whole = Specimen.generate((900, 1300), PIXEL, 2, porosity=0.12).window(0, 0, 1300, 900)
    fresh = Specimen.generate((900, 1300), PIXEL, 2, porosity=0.12)
    strips = [(378, 0, 9, 900), (390, 0, 9, 900), (0, 768, 1300, 9), (0, 390, 1300, 9)]  # tiles are 390 wide
    for x, y, nx, ny in (*strips, (700, 100, 480, 320), (0, 0, 1, 900), (1299, 899, 1, 1)):
        np.testing.assert_array_equal(fresh.window(x, y, nx, ny), whole[y : y + ny, x : x + nx])
    larger = Specimen.generate((2000, 5000), PIXEL, 2, porosity=0.12)
    np.testing.assert_array_equal(larger.window(0, 0, 1300, 900), whole)
    assert whole.tobytes() != Specimen.generate((900, 1300), PIXEL, 3).window(0, 0, 1300, 900).tobytes()


def test_coarser_pixels_see_the_same_voids():
    fine = Specimen.generate((1024, 1024), PIXEL, 4).window(0, 0, 1024, 1024)
    coarse = Specimen.generate((256, 256), 4 * PIXEL, 4).window(0, 0, 256, 256)
    means = fine.reshape(256, 4, 256, 4).mean(axis=(1, 3))
    assert np.abs(means - coarse).max() < 0.25
    assert np.abs(means - coarse).mean() < 2e-3


def test_the_image_of_a_void_has_its_area_and_place():
    plane = VoidPlane(9, 0.05)
    void = next(v for v in plane.tile_voids(1, 1) if v[2] > 1.2 * v[3])
    x0, y0 = (np.floor(void[:2] / PIXEL) - 40).astype(int)
    hole = 1 - plane.solid_fraction(x0, y0, 80, 80, PIXEL)
    y, x = np.mgrid[:80, :80] + 0.5
    u, v = (x + x0) * PIXEL - void[0], (y + y0) * PIXEL - void[1]
    hole[np.hypot(u, v) > void[2] + 3 * PIXEL] = 0
    assert hole.sum() * PIXEL**2 == pytest.approx(np.pi * void[2] * void[3], rel=0.01)
    assert (hole * u).sum() / hole.sum() == pytest.approx(0, abs=0.1 * PIXEL)
    along = np.cos(void[4]) * u + np.sin(void[4]) * v
    assert (hole * along**2).sum() / hole.sum() == pytest.approx(void[2] ** 2 / 4, rel=0.05)


def test_a_sample_of_ten_millimetres_needs_little_memory():
    Specimen.generate((500, 500), PIXEL, 6).window(0, 0, 256, 160)
    tracemalloc.start()
    sample = Specimen.generate((40_000, 200_000), PIXEL, 6)
    assert sample.extent == pytest.approx((2e-3, 1e-2))
    for x in range(0, 200_000, 40_000):
        sample.window(x, 39_000, 480, 320)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4e6  # the whole image would take 32 GB


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: VoidPlane(-1, 0.1), "seed must be 0 or more"),
        (lambda: VoidPlane(1, 0.3), "at most 0.25"),
        (lambda: VoidPlane(1, 0.15, VoidRules(gap=3e-6)), "lower the porosity or the gap"),
        (lambda: VoidRules(smallest=2e-6), "smallest <= median"),
        (lambda: VoidRules(aspect=(0.0, 1.0)), "0 < aspect"),
        (lambda: VoidRules(largest=3e-5), "too large"),
    ],
)
def test_wrong_rules_are_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
