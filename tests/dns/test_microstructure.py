"""Voids: areas, gaps, porosity and reproducibility."""

import math

import numpy as np
import pytest

from mld_closure.dns.microstructure import (
    Ellipse,
    MicrostructureError,
    PackRules,
    from_image,
    gap,
    pack,
    solid_fraction,
)

SHAPE = (320, 480)


@pytest.mark.parametrize(
    "void", [Ellipse(50, 40, 30), Ellipse(60, 50, 40, 0.6, 0.7), Ellipse(45.3, 41.8, 13, 0.8, 2)]
)
def test_void_area_and_place(void):
    hole = 1 - solid_fraction((96, 112), [void])
    y, x = np.mgrid[:96, :112] + 0.5
    assert hole.sum() == pytest.approx(void.area, rel=5e-3)
    assert (hole * x).sum() / hole.sum() == pytest.approx(void.x, abs=0.05)
    assert (hole * y).sum() / hole.sum() == pytest.approx(void.y, abs=0.05)


def test_void_across_an_edge_keeps_what_is_inside():
    assert 1 - solid_fraction((64, 64), [Ellipse(0, 32, 20)]).mean() == pytest.approx(
        math.pi * 50 / 64**2, rel=0.01
    )


def test_gap_between_circles_and_overlaps():
    assert gap(Ellipse(0, 0, 20), Ellipse(33, 0, 20)) == pytest.approx(13, abs=0.1)
    assert gap(Ellipse(0, 0, 20), Ellipse(15, 0, 20)) == 0
    assert gap(Ellipse(0, 0, 40), Ellipse(2, 0, 10)) == 0


@pytest.mark.parametrize("porosity", [0.05, 0.10, 0.15])
def test_pack_meets_porosity_gap_and_frame(porosity):
    rules = PackRules()
    voids = pack(SHAPE, porosity, np.random.default_rng(3), rules)
    assert sum(v.area for v in voids) / (SHAPE[0] * SHAPE[1]) == pytest.approx(porosity, abs=4e-4)
    assert 1 - solid_fraction(SHAPE, voids).mean() == pytest.approx(porosity, abs=1e-3)
    for i, v in enumerate(voids):
        wx, wy = v.half_extent
        assert rules.smallest - 1e-9 <= v.diameter <= rules.largest
        assert v.x - wx >= rules.first_column
        assert v.x + wx <= SHAPE[1] - 3
        assert v.y - wy >= 3
        assert v.y + wy <= SHAPE[0] - 3
        assert all(gap(v, w) >= rules.gap for w in voids[:i])


def test_same_seed_same_bits():
    a, b = (solid_fraction(SHAPE, pack(SHAPE, 0.1, np.random.default_rng(5))) for _ in range(2))
    assert np.array_equal(a, b)
    assert not np.array_equal(a, solid_fraction(SHAPE, pack(SHAPE, 0.1, np.random.default_rng(6))))


def test_impossible_porosity_says_what_was_reached():
    with pytest.raises(MicrostructureError, match=r"porosity 0\.700 cannot be met .* reached 0\."):
        pack((160, 160), 0.7, np.random.default_rng(0))


def test_images_are_checked():
    assert np.array_equal(from_image(np.ones((4, 5)), (4, 5)), np.ones((4, 5)))
    with pytest.raises(MicrostructureError, match="crop or pad"):
        from_image(np.ones((4, 4)), (4, 5))
    with pytest.raises(MicrostructureError, match="between 0 and 1"):
        from_image(np.full((4, 5), 1.5), (4, 5))
