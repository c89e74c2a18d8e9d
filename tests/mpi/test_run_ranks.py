"""`mpirun mld-closure run`: the history of one rank on any number, restarts across numbers, killed ranks."""

import csv
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest

CASE = """
cells = 10
rows = 4
cell_size = 2.4e-6
piston_speed = 900
porosity = 0.1
end_time = 2.4e-9
[closure]
kind = "surrogate"
bundle = "{bundle}"
[closure.options]
engine.patch_shape = [32, 32]
engine.micro_batch = 8
seed = 3
device = "cpu"
threads = 1
engine.reproducible = true
[[blocks]]
x = 4.8e-6
y = 0.0
width = 2.4e-6
height = 4.8e-6
porosity = 0.0
"""
KILLED_WITHIN = 30  # seconds; it takes about one on an idle machine


@pytest.fixture(scope="module")
def case(kit, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    bundle = kit.bundle(evolve_logvar=False)
    bundle.extras["loading"] = kit.table().to_extra()
    bundle.save(folder / "bundle")
    (folder / "case.toml").write_text(CASE.format(bundle=folder / "bundle"))
    return folder / "case.toml"


@pytest.fixture(scope="module")
def whole(case, programs):
    """The run on one rank, started without MPI."""
    out = case.parent / "whole"
    words = [sys.executable, programs / "undrawn.py", "run", case, "--out", out]
    subprocess.run([str(w) for w in words], check=True, capture_output=True, timeout=240)
    return results(out)


def results(folder):
    """Everything that must not depend on ranks: histories, and steps without cost and sums over ranks."""
    with h5py.File(folder / "history.h5") as file:
        fields = {name: item[()] for name, item in file["fields"].items()}
    with open(folder / "steps.csv", newline="") as file:
        rows = [dict(r) for r in csv.DictReader(file)]
    released = [float(row.pop("released")) for row in rows]
    return fields, [{k: v for k, v in r.items() if not k.startswith("seconds")} for r in rows], released


def same(got, whole):
    assert got[1] == whole[1]
    np.testing.assert_allclose(got[2], whole[2], rtol=1e-13)
    assert got[0].keys() == whole[0].keys()
    return all(np.array_equal(got[0][n], whole[0][n], equal_nan=True) for n in whole[0])


def test_ranks_and_restarts_change_no_bit(mpi, programs, case, whole):
    cut, again = case.parent / "cut", case.parent / "again"
    mpi(3, programs / "undrawn.py", "run", case, "--out", cut, "--checkpoint-every", 5)
    assert same(results(cut), whole)
    assert whole[0]["burned_fraction"].max() > 0
    assert (whole[0]["status"] > 0).sum() > 4
    assert np.ptp(whole[0]["velocity_y"]) > 0
    last = sorted((cut / "checkpoints").iterdir())[-2]
    assert len(list((last / "closure").glob("state-*"))) == 3
    mpi(2, programs / "undrawn.py", "run", case, "--out", again, "--restart", last)
    assert same(results(again), whole)


def die(mpi, program, out, moment, nth, words):
    """Start the run on 3 ranks, of which one is killed; what was said, and what was left of a checkpoint."""
    mark = out.parent / f"killed-in-{moment}"
    run = mpi(3, program, moment, mark, nth, *words, check=False, timeout=300)
    assert time.time() - mark.stat().st_mtime < KILLED_WITHIN
    assert run.returncode != 0
    assert "signal 9" in run.stdout + run.stderr
    return [p for p in (out / "checkpoints").glob(".step-*") if list((p / "closure").glob("state-*"))]


@pytest.mark.system
def test_a_killed_rank_ends_the_job_and_the_last_checkpoint_is_whole(mpi, programs, case, whole):
    out, program = case.parent / "killed", programs / "killed.py"
    words = ["run", case, "--out", out, "--checkpoint-every", 2]
    assert die(mpi, program, out, "checkpoint", 3, words)  # half of the third
    done = sorted((out / "checkpoints").glob("step-*"))
    assert [path.name for path in done] == ["step-00000002", "step-00000004"]
    assert not die(mpi, program, out, "step", 6, [*words, "--restart", done[-1]])
    more = sorted((out / "checkpoints").glob("step-*"))
    assert more[: len(done)] == done
    assert len(more) > len(done)
    mpi(2, "-m", "mld_closure", *words[:-2], "--restart", more[-1])
    assert same(results(out), whole)
    assert not list((out / "checkpoints").glob(".step-*"))


def test_bad_input_ends_with_one_line(mpi, case, tmp_path):
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(case.read_text().replace("seed = 3", "horizn = 3"))
    run = mpi(2, "-m", "mld_closure", "run", wrong, "--out", tmp_path / "o", check=False, timeout=120)
    assert run.returncode == 2
    ours = [line for line in run.stderr.splitlines() if line.startswith("mld-closure:")]
    assert len(ours) == 1
    assert "horizn" in ours[0]
