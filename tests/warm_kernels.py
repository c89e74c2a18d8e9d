"""Compiles the kernels that many tests need into numba's cache on disk, before the test processes start."""

import numpy as np

from mld_closure.closure.fallback.ignition_growth import PressureIgnitionGrowth
from mld_closure.dns.cases import CaseConfig, simulate_case
from mld_closure.macro.problems import MacroCase, start
from mld_closure.macro.rates import RateClosure
from mld_closure.patches.plan import PatchPlan
from mld_closure.patches.specimen import Specimen

simulate_case(
    CaseConfig("micro", (32, 64), frames=2, frame_interval=1e-12, diameter=(10.0, 12.0)), seed=1, index=0
)
case, closure = MacroCase(cells=8, rows=2), RateClosure(PressureIgnitionGrowth().law())
closure.register(case.ids.ravel())
start(case, closure).step()
sample = Specimen.generate((32, 64), 50e-9, 1)
plan = PatchPlan((32, 64), np.zeros((1, 2)), (32, 32), pixel=50e-9)
plan.gather(sample)
plan.gather(sample.window(0, 0, 64, 32))
