"""An error on one rank is the same error on every rank, names rank and cells, and nothing hangs."""

import json

import pytest

PROGRAM = "errors:3"

EXPECTED = {
    "missing bundle": ("ClosureError", "rank 2: no bundle at ", []),
    "other bundle": ("ClosureError", "the bundle differs between ranks: ", []),
    "other setting": (
        "ClosureError",
        "option engine.micro_batch differs between ranks: 4 on rank 0, ",
        [],
    ),
    "failures of one": ("ClosureError", "failures differs between ranks: None on rank 0, ", []),
    "bad setting": ("ClosureError", "rank 2: options: engine: engine.horizon must be positive, got -1", []),
    "serving": ("ClosureError", "on all 3 ranks: serving '1 per device', but no rank sees a GPU", []),
    "id of another rank": ("ClosureError", "cell 900 registered on ranks 0 and 2; every id stands", [900]),
    "id known elsewhere": ("ClosureError", "cell 700 registered on ranks 0 and 2; every id stands", [700]),
    "bad patch": ("ClosureError", "rank 2: patch of cell 962 holds solid fractions", [962]),
    "other size": ("ClosureError", "on all 3 ranks: ranks give patches of different sizes", []),
    "unreadable specimen": ("ClosureError", "rank 2: stale file handle", []),
    "different calls": (
        "CollectiveError",
        "ranks make different calls: rank 0 wants to roll back, rank",
        [],
    ),
    "migrate": ("ClosureError", "rank 2: cells 709, 710, 711, 712 to rank 3", [709, 710, 711, 712]),
    "two steps": ("ClosureError", "ranks open different steps: t = 0.0 s, dt = 1e-09 s on rank 0", []),
    "commit first": ("ClosureError", "on all 3 ranks: no step is open", []),
    "begin twice": ("ClosureError", "on all 3 ranks: the step from 0.0 s is open", []),
    "nan": ("ClosureError", "rank 2: pressure of cells 711, 712 is not finite", [711, 712]),
    "length": ("ClosureError", "rank 2: pressure has shape (3,), the call has 4 cells", []),
    "unknown": ("ClosureError", "rank 2: unknown cell 4711", [4711]),
    "rollback twice": ("ClosureError", "on all 3 ranks: no step is open", []),
    "load": ("ClosureError", "rank 1: load of cell 706, 3128.2 m/s, lies outside", [706]),
    "fallback": (
        "ClosureError",
        "rank 0: the fallback failed for cells 700, 703: Zero",
        [700, 703, 706, 709],
    ),
    "fallback of one rank": ("ClosureError", "rank 2: the fallback failed for cell 710: ZeroDivi", [710]),
    "server": ("ClosureError", "rank 0: result of the model for cell 702: NOT_FINITE", [702, 705, 708]),
    "restart missing": ("FileNotFoundError", "on all 3 ranks: no restart at ", []),
    "restart without path": ("ClosureError", "rank 2: TypeError: ", []),
    "restart nowhere": ("ClosureError", "rank 2: [Errno 20] Not a directory; ", []),
}


@pytest.fixture(scope="module")
def said(output):
    """What every rank was told, by scenario."""
    return json.loads((output / "errors-3.json").read_text())


@pytest.mark.parametrize("scenario", EXPECTED)
def test_every_rank_raises_the_same_error(said, scenario):
    kind, message, ids = EXPECTED[scenario]
    first = said[0][scenario]
    assert all(rank[scenario] == first for rank in said)
    assert first[0] == kind
    assert first[1].startswith(message)
    assert first[2] == ids


def test_a_closure_goes_on_after_an_error(said):
    assert all(abs(rank["goes on"] - 1e-12) < 1e-20 for rank in said)
