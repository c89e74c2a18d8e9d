"""The same run on any number of ranks: who owns, who serves, where patches come from, who migrates."""

from pathlib import Path

import numpy as np
from shared import argument, bundle, by_id, on_each_size, open_closure, quantities, run, times, write

later = times[-1] + times[1] * np.arange(5)


def main(comm):
    folder = Path(argument(1))
    found = {}
    for kind in ("blocks", "last"):
        closure, _ = open_closure(comm, kind)
        found[kind], limits = run(comm, closure)
        if comm.size > 1:
            sent = comm.allgather((closure._ranks.exchange.rows_sent, closure._ranks.exchange.bytes_sent))
            served = comm.allgather(closure._ranks.server.load)
            found[kind + "_sent"], found[kind + "_served"] = np.array(sent), np.array(served)
        _, more = run(comm, closure, later)  # a start sets no limit, so on until cells run
        found[kind + "_dt"] = np.concatenate([limits, more])
        closure.close()
        closure.close()
    for name, options in {
        "specimen": {"patches": False},
        "few": {"serving": "1 per node"},
        "loose": {"reproducible": False, "given": bundle(evolve_logvar=True)},
        "growing": {"updates": 4, "p_arrival": None, "on_weak_load": "reset", "window": 0.8e-9},
        "logvar": {"given": bundle(evolve_logvar=True)},
    }.items():
        closure, _ = open_closure(comm, "spread", **options)
        found[name] = run(comm, closure)[0]
        if name == "few" and comm.size > 1:
            assert closure._ranks.servers.tolist() == [0]
            assert (closure._ranks.server is not None) == (comm.rank == 0)
        closure.close()

    closure, _ = open_closure(comm, "blocks", patches=False)  # migrating in mid-run, every way there is
    first, _ = run(comm, closure, times[:4])
    if len(closure.ids):
        closure.migrate(closure.ids, (closure.ids + 1) % comm.size)
    else:
        closure.migrate()
    assert all(int(i + 1) % comm.size == comm.rank for i in closure.ids)
    second, _ = run(comm, closure, times[3:6])
    closure.migrate(closure.ids, 0)
    assert len(closure.ids) == (13 if comm.rank == 0 else 0)
    third, _ = run(comm, closure, times[5:])
    found["migrated"] = np.concatenate([first, second, third])
    gone = closure.ids[:6].copy()
    closure.unregister(gone)
    if comm.size > 1:
        assert sum(comm.allgather(closure._ranks.server.load)) == sum(
            comm.allgather(int((closure.state.slot >= 0).sum()))
        )
    closure.close()

    closure, _ = open_closure(comm, "spread")  # calls handed in and made together
    closure.begin_step(0.0, times[-1])
    half = closure.ids[: len(closure.ids) // 2]
    tickets = [
        closure.submit(part, pressure=np.full(len(part), 9e9)) for part in (half, closure.ids[len(half) :])
    ]
    closure.wait()
    values = np.concatenate([t.response.burned_fraction for t in tickets])
    again = closure.advance(pressure=np.full(len(closure.ids), 9e9))
    assert np.array_equal(values, again.burned_fraction)
    closure.commit()
    found["together"] = by_id(comm, closure.ids, quantities(again))
    closure.close()
    write(comm, folder, "same", **found)


on_each_size(main)
