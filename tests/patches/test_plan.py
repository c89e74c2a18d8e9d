"""Gather and scatter: equal to plain numpy indexing, transposes of each other, without allocation."""

import tracemalloc

import numpy as np
import pytest

from mld_closure.patches.edges import EDGES, runs, source_indices
from mld_closure.patches.plan import PatchPlan
from mld_closure.patches.specimen import Specimen

SHAPE, PATCH = (23, 31), (7, 11)
CORNERS = [(0, 0), (20, 16), (5, 9), (-10, 3), (30, 22), (-4, -6), (21, 17), (13, -1), (5, 9)]


def padded_patches(image, edge, corners=CORNERS, patch=PATCH):
    h, w = patch
    wide = np.pad(image, [(h, h), (w, w)], mode=edge)
    return np.stack([wide[y + h : y + 2 * h, x + w : x + 2 * w] for x, y in corners])


@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8, bool])
def test_patches_are_those_of_the_padded_image(edge, dtype):
    image = np.random.default_rng(1).integers(0, 200, SHAPE).astype(dtype)
    plan = PatchPlan(SHAPE, CORNERS, PATCH, edge)
    expected = padded_patches(image, edge)
    got = plan.gather(image)
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, expected)
    cells = [8, 0, 3]
    np.testing.assert_array_equal(plan.gather(image, cells=cells), expected[cells])
    np.testing.assert_array_equal(plan.gather(np.asfortranarray(image)), expected)
    assert plan.interior.tolist() == [True, True, True, False, False, False, False, False, True]


def test_wrapped_places_may_lie_anywhere():
    image = np.random.default_rng(2).random(SHAPE)
    far = [(x + 31 * a, y + 23 * b) for (x, y), a, b in zip(CORNERS, range(-4, 5), range(9), strict=True)]
    near, away = (PatchPlan(SHAPE, c, PATCH, "wrap").gather(image) for c in (CORNERS, far))
    np.testing.assert_array_equal(near, away)


@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize("shape", [(23, 31), (7, 11), (8, 12), (1, 40)])
@pytest.mark.parametrize("weighting", ["none", "shared", "each"])
def test_scatter_is_the_transpose_of_gather(edge, shape, weighting):
    rng = np.random.default_rng(3)
    patch = (min(7, shape[0]), 11)
    corners = np.stack([rng.integers(-10, shape[1], 40), rng.integers(1 - patch[0], shape[0], 40)], axis=1)
    plan = PatchPlan(shape, corners, patch, edge)
    cells = rng.permutation(40)[:25]
    x = rng.integers(-9, 9, shape).astype(np.float32)  # small whole numbers: every sum is exact
    y = rng.integers(-9, 9, (25, *patch)).astype(np.float32)
    weights = {
        "none": None,
        "shared": rng.integers(1, 4, patch).astype(np.float32),
        "each": rng.integers(1, 4, (40, *patch)).astype(np.float32),
    }[weighting]
    w = {"none": 1.0, "shared": weights, "each": None if weights is None else weights[cells % len(weights)]}
    image = plan.scatter_add(y, np.zeros(shape, np.float32), weights, cells)
    gathered = plan.gather(x, cells=cells)
    assert (gathered * w[weighting] * y).sum(dtype=float) == (x * image).sum(dtype=float)
    assert np.abs(image).sum() > 0


def test_the_transpose_holds_to_round_off_for_real_numbers():
    rng = np.random.default_rng(4)
    plan = PatchPlan((301, 407), rng.integers(-30, 300, (50, 2)), (33, 65))
    x, y = rng.standard_normal((301, 407)), rng.standard_normal((50, 33, 65))
    forth = (plan.gather(x, np.empty(y.shape)) * y).sum()
    back = (x * plan.scatter_add(y, np.zeros(x.shape))).sum()
    assert forth == pytest.approx(back, abs=1e-11 * np.abs(y).sum())


@pytest.mark.parametrize("edge", EDGES)
def test_partition_of_unity_restores_what_is_covered(edge):
    rng = np.random.default_rng(5)
    corners = [(x, y) for x in range(-3, 31, 6) for y in range(-2, 23, 5)]
    plan = PatchPlan(SHAPE, corners, PATCH, edge)
    image = rng.random(SHAPE).astype(np.float32)
    weights = plan.partition_of_unity(rng.random(PATCH) + 0.1)
    total = plan.scatter_add(np.ones_like(weights), np.zeros(SHAPE), weights)
    np.testing.assert_allclose(total, 1.0, atol=1e-6)
    back = plan.scatter_add(plan.gather(image), np.zeros(SHAPE, np.float32), weights)
    np.testing.assert_allclose(back, image, atol=1e-6)


def test_no_patches_at_all():
    image = np.ones(SHAPE, np.float32)
    for plan in (PatchPlan(SHAPE, [], PATCH), PatchPlan(SHAPE, np.zeros((0, 2)), PATCH)):
        assert len(plan) == 0
        assert plan.gather(image).shape == (0, *PATCH)
    plan = PatchPlan(SHAPE, CORNERS, PATCH)
    assert plan.gather(image, cells=[]).shape == (0, *PATCH)
    np.testing.assert_array_equal(
        plan.scatter_add(np.empty((0, *PATCH), np.float32), image.copy(), cells=[]), image
    )


def test_offsets_in_metres_go_to_the_nearest_pixel():
    metres = np.array([(0.0, 0.0), (5.02e-7, 2.49e-7)])
    plan = PatchPlan(SHAPE, metres, PATCH, pixel=5e-8)
    assert plan.offsets.tolist() == [[0, 0], [10, 5]]


def test_gather_from_specimens_and_memory_maps(tmp_path):
    mu = np.random.default_rng(6).random(SHAPE).astype(np.float32)
    np.save(tmp_path / "mu.npy", mu)
    mapped = np.load(tmp_path / "mu.npy", mmap_mode="r")
    for edge in EDGES:
        plan = PatchPlan(SHAPE, CORNERS, PATCH, edge, pixel=None)
        expected = padded_patches(mu, edge)
        np.testing.assert_array_equal(plan.gather(mapped), expected)
        np.testing.assert_array_equal(plan.gather(Specimen.from_array(mu, 5e-8)), expected)
        lazy = Specimen.from_array(mapped, 5e-8)
        assert lazy.array is None
        np.testing.assert_array_equal(plan.gather(lazy, cells=[5, 1]), expected[[5, 1]])


def test_sums_do_not_depend_on_the_order_in_which_cells_are_named():
    rng = np.random.default_rng(9)
    plan = PatchPlan(SHAPE, CORNERS, PATCH)
    patches = rng.random((len(CORNERS), *PATCH), dtype=np.float32)
    order = rng.permutation(len(CORNERS))
    one, other = (np.zeros(SHAPE, np.float32) for _ in range(2))
    plan.scatter_add(patches, one)
    plan.scatter_add(patches[order], other, cells=order)
    assert one.tobytes() == other.tobytes()


def test_hot_calls_do_not_allocate():
    rng = np.random.default_rng(7)
    plan = PatchPlan((512, 512), rng.integers(-60, 500, (64, 2)), (64, 96))
    image, out = rng.random((512, 512), dtype=np.float32), np.empty((64, 64, 96), np.float32)
    weights, cells = np.ones((64, 96), np.float32), np.arange(64)
    for _ in range(2):  # the first round compiles
        tracemalloc.start()
        plan.gather(image, out)
        plan.gather(image, out, cells)
        plan.scatter_add(out, image, weights, cells)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 4000


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: PatchPlan(SHAPE, CORNERS, (24, 11)), "23 x 31 pixels is smaller than a patch of 24 x 11"),
        (lambda: PatchPlan(SHAPE, CORNERS, PATCH, "mirror"), "unknown edge rule 'mirror'"),
        (lambda: PatchPlan(SHAPE, [(0, 0), (1.5, 0)], PATCH), "of cell 1 is not a whole number"),
        (lambda: PatchPlan(SHAPE, [(0, 0), (31, 0)], PATCH), "cell 1 .* lies outside"),
        (lambda: PatchPlan(SHAPE, [(-11, 0)], PATCH), "cell 0 .* lies outside"),
        (lambda: PatchPlan(SHAPE, [(0, np.nan)], PATCH), "cell 0 is not finite"),
        (lambda: PatchPlan(SHAPE, [1, 2, 3], PATCH), r"\(n, 2\)"),
        (lambda: PatchPlan(SHAPE, CORNERS, PATCH).gather(np.ones((31, 23))), "the plan was made for"),
        (lambda: PatchPlan(SHAPE, CORNERS, PATCH).gather(np.ones(SHAPE, complex)), "image holds complex"),
        (lambda: PatchPlan(SHAPE, CORNERS, PATCH).gather(np.ones(SHAPE, ">f4")), "non-native byte order"),
        (lambda: PatchPlan(SHAPE, CORNERS, PATCH).gather(np.ones(SHAPE), cells=[0, 9]), "cell 9 at place 1"),
        (lambda: PatchPlan(SHAPE, CORNERS, PATCH).gather(np.ones(SHAPE), cells=[-1]), "cell -1 at place 0"),
        (lambda: PatchPlan(SHAPE, CORNERS, PATCH).gather(np.ones(SHAPE), cells=[0.5]), "integers"),
        (lambda: PatchPlan(SHAPE, CORNERS, PATCH).gather(np.ones(SHAPE), np.ones((9, 7, 10))), "out must be"),
        (
            lambda: PatchPlan(SHAPE, [], PATCH).gather(Specimen.from_array(np.ones((9, 40)), 1.0)),
            "specimen is",
        ),
        (
            lambda: PatchPlan(SHAPE, [], PATCH, pixel=1.0).gather(
                Specimen.from_array(np.ones(SHAPE), 1.0011)
            ),
            "more than 0.1 %",
        ),
    ],
)
def test_wrong_input_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()


@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize("n", [1, 2, 5])
def test_runs_say_the_same_as_indices(edge, n):
    for start in range(-13, 14):
        pieces = [
            (first + np.arange(length))[:: -1 if turned else 1]
            for _, first, length, turned in runs(start, 9, n, edge)
        ]
        np.testing.assert_array_equal(np.concatenate(pieces), source_indices(start, 9, n, edge))
