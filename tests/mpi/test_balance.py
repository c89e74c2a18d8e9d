"""With the shock in one rank's domain all ranks serve, and what is sent knows nothing of latent sizes."""

import numpy as np

from mld_closure.runtime.server import ANSWER, MOVE, READING, REQUEST

PROGRAM = "balance:3"


def test_ranks_without_cells_serve_evenly_and_messages_are_small(output):
    found = np.load(output / "balance-3.npz")
    for loads in found["loads"]:
        mean = loads.mean(axis=1, keepdims=True)
        busy = mean[:, 0] >= 8
        assert busy.sum() >= 3
        assert np.abs(loads / np.maximum(mean, 1) - 1)[busy].max() <= 0.15
    totals = found["loads"].sum(axis=2)
    assert totals[0, -1] > totals[2, -1] > 32  # of the third run some cells have come to an end
    sizes = {kind.itemsize for kind in (REQUEST, ANSWER, READING, MOVE)} | {4, 8}  # slots, ids
    for sent in found["sent"]:  # whatever the size of the patches
        assert set(sent.tolist()) == sizes
