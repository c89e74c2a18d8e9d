"""Hosts in unusual situations, on several ranks: shared errors and killed ranks."""

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
