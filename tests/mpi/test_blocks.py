"""The macro solver on blocks: the bits of one rank on any number of them, and errors that all share."""

import json

import numpy as np
import pytest

from mld_closure.dns.solver import Boundaries
from mld_closure.grids import Grid
from mld_closure.macro.domain import Domain, best_layout

PROGRAM = "blocks:4"


@pytest.fixture(scope="module")
def folder(output):
    """Results of `programs/blocks.py` on 1 to 4 ranks."""
    return output


@pytest.mark.parametrize("ranks", [2, 3, 4])
def test_blocks_give_the_bits_of_one(folder, ranks):
    one, many = (np.load(folder / f"blocks-{n}.npz") for n in (1, ranks))
    assert len(one.files) == len(many.files) == 50
    for name in one.files:
        if name.endswith("totals"):
            np.testing.assert_allclose(many[name], one[name], rtol=1e-13, atol=1e-12 * one[name].max())
        else:
            assert np.array_equal(one[name], many[name]), name
    assert one["plane/burned_fraction"].max() > 0.1
    assert np.ptp(one["plane/velocity_y"]) > 1
    assert np.ptp(one["ring/pressure"]) > 1e9


@pytest.mark.parametrize("ranks", [2, 4])
def test_an_error_of_one_rank_is_that_of_all(folder, ranks):
    said = json.loads((folder / f"said-{ranks}.json").read_text())
    first = 37 * (ranks - 1) // ranks
    assert said == [said[0]] * ranks
    assert said[0]["closure"] == ["ValueError", f"rank {ranks - 1}: nothing known of cell {first}"]
    kind, text = said[0]["flow"]
    assert kind == "FloatingPointError"
    assert text.startswith(f"rank {ranks - 1}: no time step")


def test_blocks_share_the_fewest_edges():
    assert best_layout(Grid(1, 100, 1.0), 4) == (1, 4)
    assert best_layout(Grid(100, 100, 1.0), 4) == (2, 2)
    assert best_layout(Grid(40, 400, 1.0), 4) == (1, 4)
    assert best_layout(Grid(400, 100, 1.0), 6) == (6, 1)
    assert best_layout(Grid(90, 100, 1.0), 6) == (2, 3)
    assert best_layout(Grid(1, 5, 1.0), 4) == (1, 2)  # blocks need two cells each
    assert best_layout(Grid(1, 3, 1.0), 4) == (1, 1)


class Rank:
    def __init__(self, rank, size):
        self.rank, self.size = rank, size


def test_blocks_cover_the_grid_once():
    grid, sides = Grid(7, 9, 1.0), Boundaries("mirror", "copy", "periodic", "periodic")
    for layout, size in (((2, 3), 6), ((3, 1), 4), ((1, 4), 4)):
        seen = np.zeros(grid.shape, int)
        for rank in range(size):
            domain = Domain(grid, sides, Rank(rank, size), layout)
            seen[domain.part] += 1
            assert domain.cut(seen).shape == domain.shape
        assert (seen == 1).all()
    corner = Domain(grid, sides, Rank(0, 6), (2, 3))
    assert corner.neighbours == {"right": 1, "bottom": 3, "top": 3}
    assert corner.boundaries == Boundaries("mirror", "copy", "copy", "copy")
    with pytest.raises(ValueError, match="1 x 5 blocks do not fit 5 ranks and 7 x 9 cells"):
        Domain(grid, sides, Rank(0, 5), (1, 5))
