"""Restarts written on 1, 2, 3 and 4 ranks and read on as many, and what a restart refuses."""

from pathlib import Path

import numpy as np
from shared import argument, bundle, ids, kit, on_each_size, open_closure, run, write, write_json

folder, cut = Path(argument(1)), 3
times = np.linspace(0, 4e-9, 6)


def save(comm):
    closure, _ = open_closure(comm, "blocks", patches=False)
    whole, _ = run(comm, closure, times)
    write(comm, folder, "whole", whole=whole)
    closure.close()
    closure, _ = open_closure(comm, "blocks", patches=False)
    run(comm, closure, times[: cut + 1])
    closure.save(folder / f"from-{comm.size}")
    closure.save(folder / f"from-{comm.size}")  # in place of the first
    closure.close()


def resume(comm):
    found, said = {}, {}
    for written in (1, 2, 3, 4):
        closure, _ = open_closure(comm, "last" if written % 2 else "spread", patches=False)
        closure.restore(folder / f"from-{written}")
        assert closure.time == times[cut]
        found[f"from-{written}"], _ = run(comm, closure, times[cut:])
        closure.close()
    write(comm, folder, "resumed", **found)

    def note(name, closure):
        before = kit.state(closure)
        try:
            closure.restore(folder / "from-3")
        except Exception as err:
            said[name] = [type(err).__name__, str(err), [int(i) for i in getattr(err, "ids", ())]]
        assert kit.state(closure) == before
        closure.close()

    note("bundle", open_closure(comm, patches=False, given=bundle(seed=5))[0])
    note("patches", open_closure(comm)[0])
    closure, _ = open_closure(comm, patches=False)
    closure.unregister(closure.ids[closure.ids == ids[7]])
    note("cells", closure)
    write_json(comm, folder, "refused", said)


on_each_size(save)
on_each_size(resume)
