"""A call that fails on several ranks: written down, and made again on as many ranks and on one."""

import resource
import signal
from pathlib import Path

import numpy as np
from shared import argument, by_id, ids, kit, on_each_size, open_closure, pressure, write, write_json

import mld_closure as mld
from mld_closure.runtime.comm import SerialComm

DT, STRONG, FAILS_AT = 0.5e-9, 706, 2
OPTIONS = {"device": "cpu", "threads": 1, "load_table": kit.table()}


def go(closure, mine, most=FAILS_AT):
    """Steps until the one in which a cell's load is too strong; the last response."""
    for step in range(most + 1):
        t = step * DT
        p = np.where((ids[mine] == STRONG) & (t > DT), 60e9, pressure(t + DT, mine))
        closure.begin_step(t, DT)
        out = closure.advance(pressure=p)
        closure.commit()
    return out


def tell(call):
    try:
        call()
        return "no error"
    except Exception as err:
        return [type(err).__name__, str(err), [int(i) for i in getattr(err, "ids", ())]]


def burned(comm, out):
    """(13,) by id, NaN for cells that are not there."""
    parts = comm.allgather((out.ids, out.burned_fraction))
    whole = np.full(13, np.nan)
    for names, values in parts:
        whole[names - ids[0]] = values
    return whole


def main(comm):
    folder = Path(argument(1)) / f"calls-{comm.size}"
    said, found = {}, {}
    bundle = kit.bundle()
    options = {"on_extrapolation": "error", "p_arrival": 3e9, "failures": folder}
    closure, mine = open_closure(comm, "last", given=bundle, **options)
    said["live"] = tell(lambda: go(closure, mine))
    comm.barrier()
    recorded = sorted(folder.iterdir())
    said["folders"] = [path.name for path in recorded]
    said["files"] = len(list(recorded[0].iterdir()))
    said["again"] = tell(lambda: mld.replay(recorded[0], bundle, comm, **OPTIONS))
    said["alone"] = tell(lambda: mld.replay(recorded[0], bundle, **OPTIONS))
    mended = OPTIONS | {"policy": {"on_extrapolation": "clamp"}}
    found["together"] = burned(comm, mld.replay(recorded[0], bundle, comm, **mended))
    found["alone"] = burned(SerialComm(), mld.replay(recorded[0], bundle, **mended))
    comm.barrier()

    closure.rollback()
    before = kit.state(closure)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    if comm.rank == comm.size - 1:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1024, limits[1]))
    closure.begin_step(closure.time, DT)
    strong = np.where(ids[mine] == STRONG, 60e9, pressure(closure.time + DT, mine))
    said["full disk"] = tell(lambda: closure.advance(pressure=strong))
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    comm.barrier()
    said["left behind"] = [path.name for path in sorted(folder.iterdir())]
    said["not understood"] = tell(lambda: closure.advance(pressure=strong[: comm.rank]))
    said["nothing new"] = len(list(folder.iterdir()))
    closure.advance(pressure=np.minimum(strong, 9e9))
    closure.rollback()
    assert kit.state(closure) == before
    closure.close()

    closure, mine = open_closure(comm, "last", given=bundle, on_extrapolation="clamp", p_arrival=3e9)
    found["run"] = by_id(comm, closure.ids, go(closure, mine).burned_fraction)
    closure.close()
    write(comm, Path(argument(1)), "failing", **found)
    write_json(comm, Path(argument(1)), "failing", said)


on_each_size(main)
