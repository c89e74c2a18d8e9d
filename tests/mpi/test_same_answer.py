"""One closure on 1, 2, 3 and 4 ranks: the same bits, even shares."""

import numpy as np
import pytest

PROGRAM = "same_answer:4"

SCENARIOS = ("blocks", "last", "specimen", "few", "logvar", "growing", "migrated", "together")


@pytest.fixture(scope="module")
def answers(output):
    """Results of `programs/same_answer.py` by number of ranks."""
    return {ranks: dict(np.load(output / f"same-{ranks}.npz")) for ranks in (1, 2, 3, 4)}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_any_number_of_ranks_gives_the_same_bits(answers, scenario):
    one = answers[1][scenario]
    burned = one[..., 0, :]
    assert burned.max() > 0.02
    assert (burned > 0).sum() > 10
    for ranks in (2, 3, 4):
        assert np.array_equal(answers[ranks][scenario], one, equal_nan=True), ranks


def test_the_step_limit_is_that_of_all_ranks(answers):
    for ranks in (2, 3, 4):
        for kind in ("blocks", "last"):
            assert np.array_equal(answers[ranks][f"{kind}_dt"], answers[1]["blocks_dt"])
    assert np.isfinite(answers[1]["blocks_dt"]).sum() > 4


def test_who_owns_a_cell_changes_nothing(answers):
    for kind in ("last", "few"):
        assert np.array_equal(answers[3][kind], answers[3]["blocks"], equal_nan=True)


def test_batches_of_other_sizes_agree_to_single_precision(answers):
    """Without reproducible mode nothing is padded to full batches, and every output still agrees to 1e-6."""
    one, exact = answers[1]["loose"], answers[1]["logvar"]
    for other in (exact, *(answers[ranks]["loose"] for ranks in (2, 3, 4))):
        for quantity in range(one.shape[1]):
            scale = np.abs(one[:, quantity]).max()
            assert np.abs(other[:, quantity] - one[:, quantity]).max() <= 1e-6 * scale


def test_all_ranks_serve_the_cells_of_one(answers):
    for ranks in (2, 3, 4):
        served = answers[ranks]["last_served"]
        assert served.sum() == 13
        assert served.max() - served.min() <= 1
