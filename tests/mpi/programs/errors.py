"""What goes wrong on one rank, said on all: each scenario notes the error that this rank got."""

from pathlib import Path

import numpy as np
from shared import argument, communicator, ids, kit, open_closure, pressure, run, write_json

import mld_closure as mld

comm = communicator()
folder, said = Path(argument(1)), {}
last = comm.size - 1


def note(name, call):
    try:
        call()
        said[name] = "no error"
    except Exception as err:
        said[name] = [type(err).__name__, str(err), [int(i) for i in getattr(err, "ids", ())]]


def opening(name, **changes):
    note(name, lambda: open_closure(comm, **changes)[0].close())


opening("missing bundle", given=kit.bundle() if comm.rank < last else str(folder / "nowhere"))
opening("other bundle", given=kit.bundle(seed=int(comm.rank == last)))
opening("other setting", micro_batch=4 + (comm.rank == last))
opening("failures of one", failures=folder / "f" if comm.rank == last else None)
opening("bad setting", horizon=-1 if comm.rank == last else None)
opening("serving", serving="1 per device")

closure, mine = open_closure(comm, "blocks", kit.bundle(evolve_logvar=True), on_extrapolation="error")
state = kit.state(closure)


def registering(name, new, patches):
    note(name, lambda: closure.register(new, patches=patches))


one = kit.patches(1)
registering("id of another rank", [900 + comm.rank % 2], one)
registering("id known elsewhere", [ids[0] if comm.rank == last else 950 + comm.rank], one)
registering("bad patch", [960 + comm.rank], one + (5 if comm.rank == last else 0))
registering("other size", [970 + comm.rank], one if comm.rank < last else kit.patches(1, shape=(64, 64)))
assert np.array_equal(closure.ids, ids[mine])


class Unreadable:
    """A specimen on a disk that this rank cannot read."""

    shape, pixel, edge, array = (64, 256), kit.PIXEL, "error", None

    def window(self, *where):
        raise OSError("stale file handle")


readable = mld.Specimen.generate((64, 256), kit.PIXEL, 3, porosity=0.1)
note(
    "unreadable specimen",
    lambda: closure.register((), specimen=Unreadable() if comm.rank == last else readable),
)
note("different calls", lambda: closure.unregister() if comm.rank == last else closure.rollback())
note("migrate", lambda: closure.migrate(closure.ids, comm.size if comm.rank == last else 0))
note("two steps", lambda: closure.begin_step(0.0, 1e-9 * (1 + comm.rank)))
closure.begin_step(1e-9 * comm.rank * 1e-13, 1e-9 * (1 + comm.rank * 1e-15))  # rounding is no other step
closure.rollback()
note("commit first", closure.commit)
closure.begin_step(0.0, 1e-9)
note("begin twice", lambda: closure.begin_step(0.0, 1e-9))
nan = pressure(1e-9, mine)
if comm.rank == last:
    nan[-2:] = np.nan
note("nan", lambda: closure.advance(pressure=nan))
note("length", lambda: closure.advance(pressure=nan[: -1 if comm.rank == last else None]))
unknown = [4711] if comm.rank == last else closure.ids[:1]
note("unknown", lambda: closure.advance(unknown, pressure=[1e9]))
closure.rollback()
note("rollback twice", closure.rollback)
assert kit.state(closure) == state
strong = np.where(ids[mine] == 706, 60e9, pressure(2e-9, mine))
for t in (0.0, 1e-9, 2e-9, 3e-9):
    closure.begin_step(t, 1e-9)
    note("load", lambda: closure.advance(pressure=strong))
    if said["load"] != "no error":
        closure.rollback()
        break
    closure.commit()
closure.close()


def broken(request):
    raise ZeroDivisionError("no physics today")


options = {"on_bad_result": "fallback", "fallback": broken}
closure, mine = open_closure(comm, "blocks", kit.bundle(evolve_logvar=True), **options)
if comm.rank == 0:  # the networks of one server give nonsense, so that owners everywhere need the fallback
    kit.engine(closure).reader.head.local.weight.data.fill_(np.nan)
note("fallback", lambda: run(comm, closure))
closure.rollback()
closure.close()


def broken_here(request):
    if comm.rank == last:
        broken(request)
    return request.before


options = {"on_extrapolation": "fallback", "p_arrival": 3e9}
closure, mine = open_closure(comm, "blocks", kit.bundle(evolve_logvar=True), fallback=broken_here, **options)
for t in (0.0, 1e-9, 2e-9, 3e-9):
    closure.begin_step(t, 1e-9)
    p = np.where(ids[mine] % 10 == 0, 60e9, pressure(t + 1e-9, mine))  # of 700 and 710, of two ranks
    note("fallback of one rank", lambda: closure.advance(pressure=p))  # noqa: B023
    if said["fallback of one rank"] != "no error":
        closure.rollback()
        break
    closure.commit()
closure.close()

closure, mine = open_closure(comm, "blocks", kit.bundle(evolve_logvar=True), on_bad_result="error")
if comm.rank == last:
    kit.engine(closure).reader.head.local.weight.data.fill_(np.nan)
note("server", lambda: run(comm, closure))
closure.rollback()
if comm.rank == last:
    weight = closure.bundle.extras["readout_head"].state["local.weight"]
    kit.engine(closure).reader.head.local.weight.data.copy_(weight)
time = closure.time or 0.0
closure.begin_step(time, 1e-12)
closure.advance(pressure=pressure(time, mine))
closure.commit()
said["goes on"] = closure.time - time
closure.close()

note("restart missing", lambda: open_closure(comm)[0].restore(folder / "no restart"))
closure, _ = open_closure(comm)
note("restart without path", lambda: closure.save(folder / "never" if comm.rank < last else None))
assert not (folder / "never").exists()
(folder / "a file").touch()
note("restart nowhere", lambda: closure.save(folder / ("saved" if comm.rank < last else "a file")))
comm.barrier()
assert not list((folder / "saved").iterdir())
closure.save(folder / "saved")
assert len(list((folder / "saved").iterdir())) == comm.size + 1
closure.close()
write_json(comm, folder, "errors", said)
