"""Two ranks that do not agree: `two_ranks.py FILE` writes what each case tells them, [number, sentence]."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from mld_closure import bridge
from mld_closure.errors import LostRankError
from mld_closure.runtime.agree import Attempt
from mld_closure.runtime.comm import default_comm
from mld_closure.runtime.meeting import Meeting

CASES = {  # the call of each rank; None for a rank that comes when the other has given up
    "ranks in different calls": ("advance", "commit"),
    "a rank that closes while others advance": ("advance", "close"),
    "a rank that does not come": ("commit", None),
}


def told(world, calls):
    """What this rank is told, as (number, sentence)."""
    comm = world.Dup()
    late = None in calls
    if late and world.rank == 1:
        world.recv(source=0)
    try:
        Attempt(comm, calls[world.rank] or calls[0], Meeting(comm, 0.5 if late else 60.0)).settle()
    except (ValueError, LostRankError) as err:
        return bridge.describe(err)[:2]
    finally:
        if late and world.rank == 0:
            world.send(None, 1)
    raise AssertionError(f"the ranks agree on {calls}")


world = default_comm()
found = {what: told(world, calls) for what, calls in CASES.items()}
other = world.bcast(found, root=1)
assert found == other, (found, other)
if world.rank == 0:
    Path(sys.argv[1]).write_text(json.dumps(found))
