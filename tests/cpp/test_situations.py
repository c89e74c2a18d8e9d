"""Hosts in unusual situations, on several ranks: shared errors, killed ranks, memory over many openings."""

import os
import re
import shutil
import subprocess

import pytest


@pytest.fixture(scope="module")
def program(build):
    return build / "cpp_bridge/tests/situations"


@pytest.mark.parametrize("ranks", [2, 3])
def test_one_ranks_mistake_is_every_ranks_error(launch, program, bundle, ranks):
    run = launch(ranks, program, bundle, "one_rank_errs")
    assert run.returncode == 0, run.stderr
    assert "as promised" in run.stdout


def test_a_killed_rank_ends_the_run(launch, program, bundle):
    run = launch(2, program, bundle, "killed_rank", timeout=120)
    assert run.returncode != 0
    assert "rank 1" in run.stderr
    assert "signal 9" in run.stderr


def cycles(program, bundle, number):
    if not program.exists():
        pytest.skip("situations was not built: no MPI compiler")
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    run = subprocess.run(
        [program, bundle, "cycles", str(number)], capture_output=True, text=True, env=env, timeout=6000
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert re.match(rf"{number} cycles", run.stdout)


def test_memory_does_not_grow_over_openings(program, bundle):
    cycles(program, bundle, 100)


@pytest.mark.slow
def test_memory_does_not_grow_over_ten_thousand_openings(program, bundle):
    cycles(program, bundle, 10_000)


def test_valgrind_finds_nothing_lost_where_opening_fails(build, bundle):
    """The core alone: Python and torch cannot be looked at this way in reasonable time."""
    if shutil.which("valgrind") is None:
        pytest.skip("no valgrind (Debian: valgrind)")
    command = ["valgrind", "-q", "--leak-check=full", "--errors-for-leak-kinds=definite,indirect"]
    host = build / "examples/hosts/smallest"
    env = os.environ | {"MLD_CLOSURE_PYTHON": "/nowhere"}
    run = subprocess.run(
        [*command, "--error-exitcode=9", host, bundle], capture_output=True, text=True, env=env
    )
    assert run.returncode == 1, run.stderr
    assert "MLD_E_PYTHON" in run.stderr
