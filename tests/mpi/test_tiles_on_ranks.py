"""Rollout by tiles: the same bits on any number of ranks, and the model itself where one tile is all."""

import numpy as np
import torch

from mld_closure.surrogate.tiled import TiledRollout

PROGRAM = "tiles:3"


def test_any_number_of_ranks_gives_the_same_bits(output):
    one = np.load(output / "tiles-1.npz")
    assert one["tiles"] == 3
    for ranks in (2, 3):
        assert np.array_equal(np.load(output / f"tiles-{ranks}.npz")["frames"], one["frames"])


def whole_rollout(model, frame, steps, load):
    scaled = torch.tensor([model.config.scale_load(load)], dtype=torch.float32)
    with torch.inference_mode():
        return model.trajectory(torch.from_numpy(frame[None]), steps, load=scaled)[0].numpy()


def test_one_tile_is_the_model(kit):
    model, frame = (
        kit.bundle(**kit.PAPER).meso,
        np.random.default_rng(1).random((3, 32, 64)).astype(np.float32),
    )
    tiled = TiledRollout(model, (32, 64), (32, 64), 0).rollout(frame, 3, 900.0)
    np.testing.assert_allclose(tiled, whole_rollout(model, frame, 3, 900.0), rtol=0, atol=1e-6)


def test_more_overlap_comes_closer_to_the_whole_frame(kit):
    model, frame = (
        kit.bundle(**kit.PAPER).meso,
        np.random.default_rng(2).random((3, 32, 256)).astype(np.float32),
    )
    wanted = whole_rollout(model, frame, 2, 900.0)
    errors = []
    for overlap in (0, 64, 120):
        tiled = TiledRollout(model, (32, 256), (32, 128), overlap)
        errors.append(float(np.abs(tiled.rollout(frame, 2, 900.0) - wanted).max()))
    assert errors[2] < errors[1] < 0.5 * errors[0]


def test_what_leaves_one_tile_enters_the_next(kit):
    model, frame = kit.bundle(**kit.PAPER).meso, np.full((3, 32, 160), 0.5, np.float32)
    poked = frame.copy()
    poked[:, :, :8] = 0.9
    tiled = TiledRollout(model, (32, 160), (32, 64), 16)
    change = np.abs(tiled.rollout(poked, 4, 900.0) - tiled.rollout(frame, 4, 900.0)).max(axis=(1, 2))
    last_tile_only = slice(tiled.pixels.columns[-2] + 64, None)
    assert change[0, last_tile_only].max() == 0  # the poke has not come so far
    assert change[-1, last_tile_only].max() > 0
