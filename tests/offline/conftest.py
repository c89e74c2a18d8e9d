"""A small bundle with random weights and a file of three cases on its meso frames."""

import numpy as np
import pytest

from mld_closure.data.layout import TrajectorySpec
from mld_closure.data.store import write_trajectories
from mld_closure.dns.cases import MICRO_STEP
from mld_closure.testing import random_networks

FIELDS = ("temperature", "pressure", "microstructure")


@pytest.fixture(scope="session")
def bundle():
    return random_networks(base=2)


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """Path of the file: 4 frames of 32 x 64, a front that runs right over a spot that becomes hot."""
    x, t = np.arange(64)[None, None], np.arange(4)[:, None, None]
    behind = np.broadcast_to(x < 12 + 10 * t, (4, 32, 64)).astype(np.float32)
    cases = []
    for i in range(3):
        temperature = 300 + 400 * behind
        temperature[2:, 4 : 8 + 2 * i, 4:12] = 1800
        arrays = {
            "temperature": temperature,
            "pressure": 9e9 * behind,
            "microstructure": np.ones_like(behind),
        }
        cases.append((i, arrays, {"piston_speed": 700.0 + 100 * i}, {}))
    spec = TrajectorySpec(3, (32, 64), 50e-9, tuple(2 * MICRO_STEP * np.arange(4)), fields=FIELDS)
    return write_trajectories(tmp_path_factory.mktemp("offline") / "meso.h5", spec, cases)
