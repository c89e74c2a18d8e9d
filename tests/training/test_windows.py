"""Splits by simulation, windows inside one simulation, samples that depend only on their number."""

import numpy as np
import pytest
import torch

from mld_closure.data.windows import Split, Windows, noise, place_crop, sample_rng, split_cases


def test_a_split_keeps_every_case_whole_and_once():
    split = split_cases(10, 3, seed=5)
    assert sorted(split.train + split.validation) == list(range(10))
    assert len(split.validation) == 3
    assert split == split_cases(10, 3, seed=5)
    assert len({split_cases(10, 3, seed=s).validation for s in range(20)}) > 5
    with pytest.raises(ValueError, match=r"cases \[1\] are in training and in validation"):
        Split((0, 1), (1, 2))
    with pytest.raises(ValueError, match="leave at least one"):
        split_cases(3, 3, seed=0)


def test_windows_are_all_windows_and_never_leave_their_simulation():
    windows = Windows((4, 1), n_frames=6, horizon=2)
    every = [windows[i] for i in range(len(windows))]
    assert every == [(case, t) for case in (4, 1) for t in range(4)]
    assert all(t + 2 < 6 for _, t in every)
    with pytest.raises(IndexError):
        windows[len(windows)]
    with pytest.raises(ValueError, match="5 frames hold no window of 5 steps"):
        Windows((0,), 5, 5)


def test_training_never_draws_from_validation_cases():
    split = split_cases(6, 2, seed=1)
    windows = Windows(split.train, 7, 3)
    drawn = {windows.sample(k, seed=9)[0] for k in range(500)}
    assert drawn == set(split.train)
    assert not drawn & set(split.validation)


def test_an_epoch_of_samples_meets_every_window_once_in_a_new_order():
    windows = Windows((0, 1, 2), 6, 1)
    epochs = [[windows.sample(k, 3) for k in range(e * 15, e * 15 + 15)] for e in range(3)]
    for epoch in epochs:
        assert sorted(epoch) == sorted(windows[i] for i in range(15))
    assert epochs[0] != epochs[1] != epochs[2]
    assert windows.sample(31, 3) == epochs[2][1]


def test_noise_belongs_to_the_sample_not_to_the_batch():
    both = noise((2, 3), [4, 9], seed=1)
    assert torch.equal(both, torch.cat([noise((2, 3), [4], 1), noise((2, 3), [9], 1)]))
    assert not torch.equal(both[0], both[1])
    assert not torch.equal(both, noise((2, 3), [4, 9], seed=2))
    many = noise((1000,), range(20), seed=3)
    assert abs(float(many.mean())) < 0.03
    assert abs(float(many.std()) - 1) < 0.03


def test_crops_are_centred_on_the_weight_and_stay_inside():
    weight = np.zeros((20, 30))
    weight[12, 7] = 1.0
    corners = [place_crop(weight, (4, 6), sample_rng(0, k), centred=1.0) for k in range(20)]
    assert set(corners) == {(10, 4)}
    weight[12, 7], weight[0, 29] = 0.0, 1.0
    assert place_crop(weight, (4, 6), sample_rng(0, 1), centred=1.0) == (0, 24)
    anywhere = [place_crop(weight, (4, 6), sample_rng(0, k), centred=0.0) for k in range(2000)]
    assert {y for y, _ in anywhere} == set(range(17))
    assert {x for _, x in anywhere} == set(range(25))
    flat = {place_crop(np.zeros((20, 30)), (4, 6), sample_rng(0, k), centred=1.0) for k in range(50)}
    assert len(flat) > 10
    aligned = [place_crop(weight, (4, 8), sample_rng(0, k), centred=0.5, align=4) for k in range(50)]
    assert all(y % 4 == 0 and x % 4 == 0 for y, x in aligned)
    with pytest.raises(ValueError, match="does not fit"):
        place_crop(weight, (21, 6), sample_rng(0, 0), centred=0.0)


def test_crop_centres_follow_the_weight_in_proportion():
    weight = np.zeros((8, 40))
    weight[4, 5], weight[4, 30] = 3.0, 1.0
    left = [place_crop(weight, (3, 3), sample_rng(2, k), centred=1.0)[1] < 20 for k in range(2000)]
    assert np.mean(left) == pytest.approx(0.75, abs=0.03)
