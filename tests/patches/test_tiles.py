"""Tiles cover a frame, their weights are smooth and sum to 1, and `blend` is the inverse of `split`."""

import itertools

import numpy as np
import pytest

from mld_closure.grids import FRAME_MULTIPLE
from mld_closure.patches.tiles import Tiles

CASES = [
    ((640, 960), (320, 480), 64, FRAME_MULTIPLE),
    ((320, 1376), (320, 480), 32, FRAME_MULTIPLE),
    ((96, 160), (64, 96), 32, FRAME_MULTIPLE),
    ((97, 131), (33, 41), 9, 1),
    ((64, 96), (64, 96), 0, 1),
    ((100, 100), (50, 25), 0, 1),
    ((50, 70), (20, 30), 17, 1),
]


@pytest.mark.parametrize(("frame", "tile", "overlap", "multiple"), CASES)
def test_weights_sum_to_one_and_blend_undoes_split(frame, tile, overlap, multiple):
    tiles = Tiles(frame, tile, overlap, multiple=multiple)
    total = tiles.plan.scatter_add(np.ones_like(tiles.weights), np.zeros(frame), tiles.weights)
    np.testing.assert_allclose(total, 1.0, atol=5e-7)
    assert tiles.weights.min() >= 0
    for begins, n, size in ((tiles.rows, frame[0], tile[0]), (tiles.columns, frame[1], tile[1])):
        assert begins[0] == 0
        assert begins[-1] + size == n
        assert all(b % multiple == 0 for b in begins)
        assert all(a + size - b >= overlap for a, b in itertools.pairwise(begins))
    x = np.random.default_rng(1).standard_normal((2, 3, *frame)).astype(np.float32)
    parts = tiles.split(x)
    assert parts.shape == (len(tiles), 2, 3, *tile)
    second = tiles.rows[-1], tiles.columns[-1]
    np.testing.assert_array_equal(parts[-1], x[..., second[0] :, second[1] :])
    np.testing.assert_allclose(tiles.blend(parts), x, atol=5e-6)


def test_the_fewest_tiles_are_used():
    assert Tiles((640, 960), (320, 480), 0).columns == [0, 480]
    assert Tiles((640, 960), (320, 480), 32, multiple=32).columns == [0, 224, 480]
    assert Tiles((320, 480), (320, 480), 64).columns == [0]


def test_ramps_are_smooth_and_rise_over_the_whole_overlap():
    tiles = Tiles((10, 160), (10, 100), 40)
    assert tiles.columns == [0, 60]
    left, right = tiles.weights[0, 0], tiles.weights[1, 0]
    np.testing.assert_array_equal(left[:60], 1)
    np.testing.assert_allclose(left[60:] + right[:40], 1, atol=1e-7)
    t = (np.arange(40) + 0.5) / 40
    np.testing.assert_allclose(right[:40], t**2 * (3 - 2 * t), atol=1e-7)
    assert np.abs(np.diff(left)).max() < 1.6 / 40


def test_disagreeing_tiles_blend_between_their_values():
    tiles = Tiles((32, 160), (32, 96), 32)
    parts = np.stack([np.zeros((32, 96)), np.ones((32, 96))])
    mean = tiles.blend(parts)
    np.testing.assert_allclose(mean[:, 79] + mean[:, 80], 1.0, atol=1e-6)
    assert (np.diff(mean[0]) >= 0).all()
    assert mean[0, 0] == 0
    assert mean[0, -1] == 1


def test_latents_tile_as_their_frame_does():
    tiles = Tiles((640, 960), (320, 480), 64, multiple=FRAME_MULTIPLE)
    coarse = tiles.coarsen(8)
    assert coarse.frame_shape == (80, 120)
    assert coarse.tile_shape == (40, 60)
    frame = np.random.default_rng(2).random((80, 120))
    fine = np.kron(frame, np.ones((8, 8)))
    np.testing.assert_array_equal(tiles.split(fine)[:, ::8, ::8], coarse.split(frame))
    np.testing.assert_allclose(coarse.blend(coarse.split(frame)), frame, atol=1e-6)


def test_results_go_to_the_array_given():
    tiles = Tiles((50, 70), (20, 30), 17)
    x = np.random.default_rng(3).random((50, 70))
    parts, frame = np.empty((len(tiles), 20, 30)), np.full((50, 70), np.nan)
    assert tiles.split(x, parts) is parts
    assert tiles.blend(parts, frame) is frame
    np.testing.assert_allclose(frame, x, atol=1e-6)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Tiles((64, 64), (96, 64), 0), "frame of 64 pixels is smaller than a tile of 96"),
        (lambda: Tiles((64, 64), (32, 32), 32), "overlap must be 0 to 31"),
        (lambda: Tiles((64, 100), (64, 64), 0, multiple=32), "pad the frame to 128"),
        (lambda: Tiles((97, 131), (33, 41), 9).coarsen(8), "do not divide by 8"),
        (lambda: Tiles((64, 64), (32, 32), 0).split(np.zeros((64, 65))), r"\(..., 64, 64\)"),
        (lambda: Tiles((64, 64), (32, 32), 0).blend(np.zeros((3, 32, 32))), "tiles must be"),
        (lambda: Tiles((64, 64), (32, 32), 0).split(np.zeros((64, 64)).T), "must be contiguous"),
    ],
)
def test_wrong_input_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
