"""`mld-closure bench mpi`: the parts of a step add up, and what goes between ranks is small."""

import json
import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from mld_closure.benchmarks.mpi import PARTS
from mld_closure.cli.bench_mpi import _lines, command


@pytest.fixture(scope="module")
def found():
    pytest.importorskip("mpi4py")
    words = ["-m", "mld_closure", "bench", "mpi", "--frame", "32", "96", "--cells", "4", "--json"]
    environment = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", **os.environ}
    environment["OMPI_MCA_mpi_yield_when_idle"] = "1"
    run = subprocess.run(
        [sys.executable, *words], env=environment, capture_output=True, text=True, timeout=900
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)["results"]


@pytest.mark.system
def test_parts_add_up_to_the_step(found):
    assert [(r["kind"], r["ranks"], r["rows"]) for r in found] == [
        ("strong", 1, 2), ("strong", 2, 2), ("weak", 1, 1), ("weak", 2, 2),
    ]  # fmt: skip
    for r in found:
        assert set(r["seconds"]) == set(PARTS)
        assert 0.5 * r["wall"] < sum(r["seconds"].values()) < 1.02 * r["wall"]
        assert r["imbalance"] >= 0
    for kind in ("strong", "weak"):
        one, two = (r for r in found if r["kind"] == kind)
        assert one["efficiency"] == 1
        assert two["efficiency"] == pytest.approx(one["wall"] / two["wall"] / (2 if kind == "strong" else 1))


@pytest.mark.system
def test_one_rank_sends_nothing_and_two_send_scalars(found):
    for r in found:
        assert (r["seconds"]["exchange"] == r["bytes_a_row"] == 0) == (r["ranks"] == 1)
        assert r["bytes_a_row"] < 300  # a latent of this size takes 4,608


@pytest.mark.system
def test_the_table_has_a_column_a_run(found):
    lines = _lines(found)
    assert all(len(line) == 5 for line in lines)
    assert [line[0] for line in lines][-1] == "bytes per request"


@pytest.mark.system  # one rank is measured first
def test_without_mpirun_it_says_so(monkeypatch):
    monkeypatch.setenv("PATH", "")
    result = CliRunner().invoke(command, [])
    assert isinstance(result.exception, ValueError)
    assert "no mpirun" in str(result.exception)
