"""The closure's stop watches: every part is seen, none is counted twice."""

import time

import numpy as np
import torch

from mld_closure.surrogate.cost import PARTS, Cost


def test_parts_exclude_each_other():
    cost, begun = Cost(torch.device("cpu")), time.perf_counter()
    with cost.part("encode"):
        time.sleep(0.02)
        with cost.part("gather"):
            time.sleep(0.03)
        time.sleep(0.02)
    whole = time.perf_counter() - begun
    assert cost.seconds["encode"] >= 0.04
    assert cost.seconds["gather"] >= 0.03
    assert sum(cost.seconds.values()) <= whole
    assert cost.seconds["evolve"] == cost.seconds["readout"] == 0


def test_a_closure_says_where_its_time_went(kit):
    closure = kit.make(3)
    assert closure.cost == dict.fromkeys(PARTS, 0.0)
    begun = time.perf_counter()
    kit.run(closure, np.arange(0, 4e-9, kit.STEP), lambda t: kit.ramp(t, kit.shock_pressure(900.0)))
    whole = time.perf_counter() - begun
    assert all(closure.cost[part] > 0 for part in PARTS)
    assert sum(closure.cost.values()) < whole
