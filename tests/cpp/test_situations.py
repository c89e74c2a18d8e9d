"""Hosts in unusual situations, on several ranks: shared errors, merged calls, migration, killed ranks."""

import pytest


@pytest.fixture(scope="module")
def program(build):
    return build / "cpp_bridge/tests/situations"


@pytest.mark.parametrize("ranks", [pytest.param(2, marks=pytest.mark.system), 3])
@pytest.mark.parametrize(
    "name",
    ["one_rank_errs", "one_rank_cannot_open", "fallback_fails", "merged_calls", "restart_and_migrate"],
)
def test_several_ranks_as_the_header_says(launch, program, bundle, name, ranks):
    run = launch(ranks, program, bundle, name)
    assert run.returncode == 0, run.stderr
    assert "as promised" in run.stdout


@pytest.mark.system
def test_a_killed_rank_ends_the_run(launch, program, bundle):
    run = launch(2, program, bundle, "killed_rank", timeout=120)
    assert run.returncode != 0
    assert "rank 1" in run.stderr
    assert "signal 9" in run.stderr
