"""Two rows of the slab of `mld-closure demo`, its first nanoseconds, on any number of ranks: all outputs."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from shared import argument, on_each_size, write

from mld_closure.closure.response import ARRAYS
from mld_closure.study.case_run import CaseRun
from mld_closure.study.demo import slab_case

END = 15.2e-9  # s: the first cell of each row reacts
OUTPUTS = list(ARRAYS)
MODES = {  # options, and the numbers of ranks
    "same": ({"engine": {"reproducible": True, "micro_batch": 2}}, (1, 2, 3, 4)),
    "loose": ({}, (4,)),
    "bf16": ({"precision": "bf16"}, (1, 3)),
}
case = replace(slab_case("hmx-compact", 8, 900.0), rows=2, end_time=END)


def whole(comm, run):
    """(output, cell) of all cells, in the order of their ids."""
    response = run.timed.response
    parts = comm.allgather((response.ids, np.stack([getattr(response, n).astype(float) for n in OUTPUTS])))
    ids = np.concatenate([part[0] for part in parts])
    return np.concatenate([part[1] for part in parts], axis=1)[:, np.argsort(ids)]


def main(comm):
    out, found = Path(argument(1)), {}
    for mode, (options, sizes) in MODES.items():
        if comm.size not in sizes:
            continue
        flow, closure, limits, served = [], [], [], []
        options = {"threads": 2 if comm.size == 1 else 1} | options
        run = CaseRun(case, out / f"{mode}-{comm.size}", frames=2, options=options, comm=comm)

        def note(run, flow=flow, closure=closure, limits=limits, served=served):
            state = [*run.solver.fields().values(), run.solver.burn_rate]
            flow.append(run.solver.domain.gather(np.stack(state)))
            closure.append(whole(comm, run))
            limits.append([run.solver.time, run.timed.response.dt_max])
            served.append(run.closure._ranks.server.load if comm.size > 1 else 2)

        run.go(note)
        if comm.size > 1:
            assert comm.allgather(max(served))[:2] == [1, 1]  # rank 0 owns both
        found |= {f"{mode}_closure": np.array(closure), f"{mode}_limits": np.array(limits)}
        if comm.rank == 0:
            found[f"{mode}_flow"] = np.array(flow)
        run.close()
    write(comm, out, "demo", outputs=OUTPUTS, **found)


on_each_size(main)
