"""The demo's slab with the shipped surrogate on 1 to 4 ranks: the same bits, with one thread or two."""

import json

import numpy as np
import pytest

PROGRAM = "demo_case:4"


@pytest.fixture(scope="module")
def found(output):
    """Results of `programs/demo_case.py` by number of ranks."""
    return {ranks: dict(np.load(output / f"demo-{ranks}.npz")) for ranks in (1, 2, 3, 4)}


@pytest.mark.system
def test_two_cells_react(found):
    one, outputs = found[1], list(found[1]["outputs"])
    burned = one["same_closure"][-1, outputs.index("burned_fraction")]
    assert (burned > 0).sum() == 2
    assert np.ptp(burned[burned > 0]) > 1e-4
    assert np.isfinite(one["same_limits"][:, 1]).any()


@pytest.mark.system
@pytest.mark.parametrize(("mode", "ranks"), [("same", 2), ("same", 3), ("same", 4), ("bf16", 3)])
def test_closure_and_flow_have_the_bits_of_one_rank(found, mode, ranks):
    for part in ("closure", "flow", "limits"):
        one, many = found[1][f"{mode}_{part}"], found[ranks][f"{mode}_{part}"]
        assert np.array_equal(many, one, equal_nan=True), part


@pytest.mark.system
def test_without_reproducible_mode_all_agree_to_single_precision(found):
    for part in ("closure", "flow"):
        one, many = found[1][f"same_{part}"], found[4][f"loose_{part}"]
        assert many.shape == one.shape
        largest = np.nanmax(np.abs(one), axis=(0, *range(2, one.ndim)), keepdims=True)
        assert np.nanmax(np.abs(many - one) / np.maximum(largest, 1e-300)) <= 1e-6


@pytest.mark.system
def test_the_command_runs_on_ranks_and_tells_one_error(mpi, kit, tmp_path):
    bundle = kit.bundle(evolve_logvar=False)
    bundle.horizon = 2
    bundle.extras["loading"] = kit.table().to_extra()
    bundle.save(tmp_path / "bundle")
    words = ["-m", "mld_closure", "demo", "--slab", "--bundle", tmp_path / "bundle", "--cells", 8]
    words += ["--out", tmp_path / "d"]
    mpi(2, *words, timeout=300)
    summary = json.loads((tmp_path / "d" / "summary.json").read_text())
    assert (summary["ranks"], summary["cells"]) == (2, 8)
    assert sum(summary["closure_status"].values()) == 8
    assert summary["mean_burned_fraction"] > 0
    again = mpi(2, *words, check=False, timeout=300)
    assert again.returncode == 2
    ours = [line for line in again.stderr.splitlines() if line.startswith("mld-closure:")]
    assert len(ours) == 1
    assert "holds a run already" in ours[0]
