"""A module run on several ranks, for benchmarks that compare numbers of them."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

_ROOT = {  # a container's only user is often root, whom Open MPI refuses unless told
    name: "1"
    for launcher in ("OMPI", "PRTE")
    for name in (f"{launcher}_ALLOW_RUN_AS_ROOT", f"{launcher}_ALLOW_RUN_AS_ROOT_CONFIRM")
}


def machine() -> str:
    """The machine and what each rank uses of it, in words."""
    name = platform.processor() or platform.machine()
    return f"{name}, {os.cpu_count()} cores, one torch thread per rank"


def measured(ranks: int, module: str, words: Sequence[Any]) -> Any:
    """What `python -m MODULE WORDS` on so many ranks prints as its last line of JSON, one thread per rank.

    One rank needs no mpirun; more ranks than cores share them.

    Parameters
    ----------
    ranks : int
        Number of ranks.
    module : str
        Full name of the module.
    words : sequence
        Its arguments.

    Raises
    ------
    ValueError
        Where there is no mpirun.
    RuntimeError
        Where the module fails, with what it printed.
    """
    command = [sys.executable, "-m", module, *words]
    env = {**os.environ, **dict.fromkeys(("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")}
    env.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as for all commands: threads that wait sleep
    if ranks > 1:
        if shutil.which("mpirun") is None:
            raise ValueError("no mpirun on the PATH; install it with: pip install 'mld_closure[mpi]'")
        command = ["mpirun", "-n", ranks, "--bind-to", "none", *command]
        env["PRTE_MCA_rmaps_default_mapping_policy"] = ":oversubscribe"
        env["OMPI_MCA_rmaps_base_oversubscribe"] = "1"  # Open MPI 4
        if os.geteuid() == 0:
            env |= _ROOT
    run = subprocess.run([str(w) for w in command], env=env, capture_output=True, text=True)
    if run.returncode:
        text = " ".join((run.stderr.strip() or run.stdout.strip()).split())
        raise RuntimeError(f"{ranks} ranks: {text}")
    return json.loads(run.stdout.strip().splitlines()[-1])
