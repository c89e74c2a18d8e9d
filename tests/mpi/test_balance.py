"""With the shock in one rank's domain all ranks serve, and what is sent knows nothing of latent sizes."""

import numpy as np

from mld_closure.runtime.serving import ANSWER, MOVE, REQUEST

PROGRAM = "balance:4"


def test_ranks_without_cells_serve_evenly_and_messages_are_small(output):
    found = np.load(output / "balance-4.npz")
    for loads in found["loads"]:
        mean = loads.mean(axis=1, keepdims=True)
        busy = mean[:, 0] >= 8
        assert busy.sum() >= 3
        assert np.abs(loads / np.maximum(mean, 1) - 1)[busy].max() <= 0.15
    totals = found["loads"].sum(axis=2)
    assert totals[0, -1] > totals[2, -1] > 32  # of the third run some cells have come to an end
    small, large, _ = found["sent"]
    servers = [0, 2, 3]
    for sent in (small, large):
        assert np.array_equal(sent[servers, 1], ANSWER.itemsize * sent[servers, 0])
    more = large[servers, 0].sum() - small[servers, 0].sum()  # cells with larger patches start earlier
    assert small[1, 0] > 48
    assert more > 0
    assert large[1, 1] - small[1, 1] == more * (REQUEST.itemsize + MOVE.itemsize)
