"""Descriptors against images of which they are known."""

import numpy as np
import pytest

from mld_closure.patches.descriptors import DESCRIPTORS, NAMES, describe

PIXEL = 50e-9


def of(mu, first=0, pixel=PIXEL):
    return dict(zip(NAMES, describe(np.asarray(mu, np.float32)[None], pixel, first)[0].tolist(), strict=True))


def disc(radius, shape=(256, 256), samples=8):
    """A pore in the middle, grey at its edge."""
    ny, nx = shape
    y, x = ((np.arange(n * samples) + 0.5) / samples - n / 2 for n in shape)
    inside = (x[None] ** 2 + y[:, None] ** 2 < radius**2).astype(np.float32)
    return 1 - inside.reshape(ny, samples, nx, samples).mean(axis=(1, 3))


def test_stripes_across_x():
    mu = np.ones((64, 96))
    mu[:, (np.arange(96) // 8) % 2 == 1] = 0  # 12 stripes of 8 px, 11 boundaries
    found = of(mu)
    assert found["porosity"] == 0.5
    assert found["specific_surface"] == pytest.approx(0.25 * np.pi * 11 * 64 / (64 * 96 * PIXEL))
    chord_x, chord_y = 8, 64
    runs = 6 * 64 + 48
    assert found["pore_chord"] == pytest.approx(2 * 32 * 96 / runs * PIXEL)
    assert found["longest_chord"] == 64 * PIXEL
    assert found["elongation"] == pytest.approx(np.log(chord_x / chord_y))
    assert found["edge_width"] == 0


def test_a_disc():
    r = 40
    found = of(disc(r))
    assert found["porosity"] == pytest.approx(np.pi * r**2 / 256**2, rel=1e-3)
    assert found["specific_surface"] == pytest.approx(2 * np.pi * r / (256**2 * PIXEL), rel=0.03)
    assert found["pore_chord"] == pytest.approx(0.5 * np.pi * r * PIXEL, rel=0.03)
    assert found["pore_size"] == pytest.approx(16 / (3 * np.pi) * r * PIXEL, rel=0.03)  # E[l^2] / E[l]
    assert found["longest_chord"] == pytest.approx(2 * r * PIXEL, rel=0.03)
    assert found["elongation"] == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize("width", [4, 10, 20])
def test_the_width_of_a_ramp(width):
    x = np.arange(200) - 100 + 0.5
    mu = np.broadcast_to(np.clip(0.5 + x / width, 0, 1), (40, 200))
    assert of(mu)["edge_width"] == pytest.approx(
        4 / np.pi * width * PIXEL, rel=0.05
    )  # as surfaces along an axis


def test_noise_is_correlated_over_a_pixel_and_blocks_over_their_side():
    draw = np.random.default_rng(0)
    noise = (draw.random((256, 256)) < 0.8).astype(float)
    assert of(noise)["correlation_length"] == pytest.approx(0.5 * PIXEL, abs=0.6 * PIXEL)
    blocks = np.kron((draw.random((32, 32)) < 0.8).astype(float), np.ones((8, 8)))
    assert of(blocks)["correlation_length"] == pytest.approx(4 * PIXEL, rel=0.35)  # a triangle of side 8


def test_lengths_go_with_the_pixel():
    mu = disc(30)
    one, two = of(mu), of(mu, pixel=2 * PIXEL)
    for name, (unit, _) in DESCRIPTORS.items():
        factor = {"m": 2.0, "1/m": 0.5, "1": 1.0}[unit]
        assert two[name] == pytest.approx(factor * one[name], rel=1e-12), name


def test_turned_images_differ_by_elongation_alone():
    mu = disc(30, (128, 128))
    mu[:, :40] = 1
    a, b = of(mu), of(mu.T.copy())
    assert a["elongation"] == pytest.approx(-b["elongation"])
    assert abs(a["elongation"]) > 0.05
    for name in set(NAMES) - {"elongation"}:
        assert a[name] == pytest.approx(b[name], rel=1e-6), name


def test_columns_of_the_shock_are_left_out():
    mu = disc(30)
    spoiled = mu.copy()
    spoiled[:, :20] = 0
    assert of(spoiled, 20) == of(mu, 20)
    assert of(mu[:, 20:]) == pytest.approx(of(mu, 20))


@pytest.mark.parametrize("value", [0.0, 1.0, 0.7])
def test_without_a_boundary_only_the_porosity_is_known(value):
    found = of(np.full((64, 64), value))
    assert found["porosity"] == pytest.approx(1 - value)
    assert all(np.isnan(found[name]) for name in NAMES[1:])


def test_many_patches_and_any_layout():
    mu = np.stack([disc(r, (64, 96), 2) for r in (5, 10, 20)])
    together = describe(mu.astype(np.float32), PIXEL)
    for k in range(3):
        np.testing.assert_array_equal(together[k], describe(mu[k : k + 1], PIXEL)[0])
    turned = np.asfortranarray(mu.astype(np.float64))
    np.testing.assert_array_equal(describe(turned, PIXEL), together)
    with pytest.raises(ValueError, match="columns"):
        describe(mu, PIXEL, 96)
