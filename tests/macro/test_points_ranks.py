"""Points on blocks: the bits of one rank on any number of them."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Results of `programs/points.py` on 1 to 4 ranks."""
    pytest.importorskip("mpi4py")
    spec = importlib.util.spec_from_file_location("launching", HERE.parent / "mpi/conftest.py")
    launching = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(launching)
    folder = tmp_path_factory.mktemp("points")
    launching.launch(4, HERE / "programs/points.py", folder)
    return folder


@pytest.mark.parametrize("ranks", [2, 3, 4])
def test_points_give_the_bits_of_one_rank(folder, ranks):
    one, many = (np.load(folder / f"points-{n}.npz") for n in (1, ranks))
    assert len(one.files) == len(many.files) == 42
    for name in one.files:
        if name.endswith(("totals", "ledger")):  # sums over the ranks
            np.testing.assert_allclose(
                many[name], one[name], rtol=1e-13, atol=1e-13 * np.abs(one[name]).max()
            )
        else:
            assert np.array_equal(one[name], many[name]), name


def test_the_runs_burn_and_move(folder):
    one = np.load(folder / "points-1.npz")
    for run in ("line", "plane", "ring"):
        assert one[f"{run}/burned"].max() > 0.2, run
    assert np.ptp(one["plane/velocity_y"]) > 100
    assert one["plane/ledger"].sum() == pytest.approx(one["plane/totals"][4], rel=1e-13)
