"""Points of patches: the same bits on any number of ranks, after a migration, and from a restart of two."""

import numpy as np
import pytest

PROGRAM = "points:3"


@pytest.mark.parametrize("ranks", [2, 3])
def test_any_number_of_ranks_gives_the_same_bits(output, ranks):
    one, many = (np.load(output / f"points-{n}.npz") for n in (1, ranks))
    assert one["late"][-1].min() > 0
    for name in ("early", "late"):
        assert np.array_equal(many[name], one[name])


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_a_restart_of_two_ranks_goes_on_with_the_same_bits(output, ranks):
    restarted = np.load(output / f"restarted-{ranks}.npz")["late"]
    assert np.array_equal(restarted, np.load(output / "points-1.npz")["late"])
