"""Ranks that make different calls at once: every pair of calls, in random order, on two ranks and more; and
a rank that comes late, or not at all."""

import time
from pathlib import Path

import numpy as np
from shared import argument, communicator, ids, kit, open_closure, pressure, write_json

from mld_closure import bridge
from mld_closure.errors import CollectiveError

world = communicator()
folder = Path(argument(1))
DT = 1e-9
BETWEEN = ["register", "unregister", "migrate", "begin", "save", "restore"]  # of steps
WITHIN = ["advance", "wait", "commit", "rollback"]
SAME = {"advance", "wait"}  # are one call: what was handed in is advanced


def calls(session, mine, place):
    """Every collective call of a session, by name, on cells `mine` of this rank."""
    patches, none = kit.patches(1), np.empty(0, np.int64)
    own, new = ids[mine], np.array([900 + session.closure.comm.rank])
    return {
        "register": lambda: session.register_patches(new, patches, 0.0, True),
        "unregister": lambda: session.unregister(own[:1]),
        "migrate": lambda: session.migrate(own, np.zeros(len(own), np.int32)),
        "begin": lambda: session.begin_step(session.closure.time or 0.0, DT),
        "save": lambda: session.save(str(place)),
        "restore": lambda: session.restore(str(place)),
        "advance": lambda: session.advance(len(own), own, {"pressure": pressure(DT, mine)}, ()),
        "wait": session.wait,
        "commit": session.commit,
        "rollback": session.rollback,
        "close": session.close,
        "nothing": lambda: none,
    }


def outcome(call):
    """What a call gives: its error's number and sentence, or None."""
    try:
        call()
    except CollectiveError as err:
        return bridge.describe(err)[:2]
    except Exception as err:
        return "another error", repr(err)
    return None


def opened(comm, **options):
    closure, mine = open_closure(comm, timeout=60, failures=folder / "failures", **options)
    return bridge.Session(closure, 0.0), mine


def pairs_of(comm, rng):
    """Every pair of calls, each in a step and between steps, with the ranks that make the first; shuffled."""
    names = [*BETWEEN, *WITHIN, "close"]
    chosen = []
    for k, first in enumerate(names):
        for second in names[k + 1 :]:
            if {first, second} != SAME:
                chosen += [(first, second, inside) for inside in (False, True)]
    chosen = [chosen[k] for k in rng.permutation(len(chosen))]
    sides = [np.append(rng.permutation(np.arange(comm.size) % 2)[:-1], -1) for _ in chosen]
    return [(*c, np.where(s < 0, 1 - s[0], s)) for c, s in zip(chosen, sides, strict=True)]


def try_pairs(comm, said):
    """No pair is a success anywhere, all ranks are told the same, and nothing has changed."""
    place = folder / f"restart-{comm.size}"
    session, mine = opened(comm)
    session.save(str(place))
    before = kit.state(session.closure)
    wrong, slowest, count = [], 0.0, 0
    for first, second, inside, side in pairs_of(comm, np.random.default_rng(comm.size)):
        if inside:
            session.begin_step(0.0, DT)
            session.submit(0, ids[:0], {"pressure": np.empty(0)}, ())
            session.wait()
        own = (first, second)[side[comm.rank]]
        begun = time.perf_counter()
        every = comm.allgather(outcome(calls(session, mine, place)[own]))
        slowest, count = max(slowest, time.perf_counter() - begun), count + 1
        code = bridge.Error.RANKS if "close" in (first, second) else bridge.Error.ORDER
        told = every[0] is not None and every[0][0] == code and "ranks make different calls" in every[0][1]
        if not told or any(e != every[0] for e in every):
            wrong.append([first, second, inside, side.tolist(), every])
        if "close" in (first, second):
            again = comm.allgather(outcome(calls(session, mine, place)["commit"]) if own != "close" else None)
            if any(e is not None and "only closing is left" not in e[1] for e in again):
                wrong.append([first, second, again])
            session.close()
            session, mine = opened(comm)
        elif inside:
            session.rollback()
        if kit.state(session.closure) != before or session.closure.time is not None:
            wrong.append([first, second, "changed something"])
    session.close()
    said[f"pairs {comm.size}"] = {"count": count, "wrong": wrong, "slowest": slowest}


def try_absence(comm, said):
    """The last rank comes to no step, and then too late."""
    closure, _ = open_closure(comm, timeout=1.0)
    session, last = bridge.Session(closure, 0.0), comm.size - 1
    closure.begin_step(0.0, DT)
    begun = time.perf_counter()
    if comm.rank == last:
        time.sleep(6.0)
    told = outcome(session.commit)
    waited = time.perf_counter() - begun
    again = outcome(session.rollback)
    session.close()
    said[f"absence {comm.size}"] = {"told": told, "again": again, "waited": waited}


def try_patience(comm, said):
    """A rank that comes late, but not too late, is waited for."""
    closure, _ = open_closure(comm, timeout=30.0)
    if comm.rank == 0:
        time.sleep(1.5)
    closure.begin_step(0.0, DT)
    closure.rollback()
    closure.close()
    said[f"patience {comm.size}"] = True


said = {}
for size in range(2, world.size + 1):
    part = world.Split(int(world.rank < size), world.rank)
    if world.rank < size:
        for work in (try_pairs, try_absence, try_patience):
            work(part, said)
    waiting = world.Ibarrier()
    while not waiting.Test():
        time.sleep(0.01)
write_json(world, folder, "mismatched", said)
