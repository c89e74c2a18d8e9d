"""`mld-closure run` on several ranks, one of which is killed in a checkpoint or in a step: words follow."""

import os
import signal
import sys
from pathlib import Path

from shared import argument, communicator

from mld_closure.cli.main import main
from mld_closure.closure import checkpoint
from mld_closure.runtime.server import Server

moment, mark, nth = argument(1), Path(argument(2)), int(argument(3))
calls = 0


def die_at_the_nth():
    global calls
    calls += 1
    if calls == nth:
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)


def half_a_file(path, data):
    with open(path, "wb") as file:
        file.write(data[: len(data) // 2])
        file.flush()
        die_at_the_nth()
        file.write(data[len(data) // 2 :])


def half_a_step(server, requests, patches):
    answers = serve(server, requests, patches)
    die_at_the_nth()
    return answers


serve = Server.run
if communicator().rank == 1:
    if moment == "checkpoint":
        checkpoint._flushed = half_a_file
    else:
        Server.run = half_a_step
main(sys.argv[4:])
