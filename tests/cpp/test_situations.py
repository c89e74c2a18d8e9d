"""Hosts in unusual situations, on several ranks: shared errors, merged calls, migration, killed ranks."""

import pytest

SITUATIONS = [
    "one_rank_errs",
    "one_rank_cannot_open",
    "fallback_fails",
    "merged_calls",
    "restart_and_migrate",
]


@pytest.fixture(scope="module")
def program(build):
    return build / "cpp_bridge/tests/situations"


@pytest.fixture(scope="module", params=[pytest.param(2, marks=pytest.mark.system), 3])
def run(request, launch, program, bundle):
    """One launch in which one situation comes after the other."""
    return launch(request.param, program, bundle, *SITUATIONS)


@pytest.mark.parametrize("name", SITUATIONS)
def test_several_ranks_as_the_header_says(run, name):
    assert f"{name}: as promised" in run.stdout, run.stderr


def test_the_launch_comes_to_its_end(run):
    assert run.returncode == 0, run.stderr


@pytest.mark.system
def test_a_killed_rank_ends_the_run(launch, program, bundle):
    run = launch(2, program, bundle, "killed_rank", timeout=120)
    assert run.returncode != 0
    assert "rank 1" in run.stderr
    assert "signal 9" in run.stderr
