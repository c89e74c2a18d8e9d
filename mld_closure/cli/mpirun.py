"""This command again on several ranks, for benchmarks that compare numbers of them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import Any

_ROOT = {  # a container's only user is often root, whom Open MPI refuses unless told
    name: "1"
    for launcher in ("OMPI", "PRTE")
    for name in (f"{launcher}_ALLOW_RUN_AS_ROOT", f"{launcher}_ALLOW_RUN_AS_ROOT_CONFIRM")
}


def measured(ranks: int, words: list[Any]) -> Any:
    """What `mld-closure WORDS` on so many ranks prints as its last line of JSON, one thread a rank.

    One rank needs no mpirun; more ranks than cores share them. Raises ValueError where there is no mpirun,
    and RuntimeError with what was said where the command fails.
    """
    command = [sys.executable, "-m", "mld_closure", *words]
    env = {**os.environ, **dict.fromkeys(("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")}
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
        said = " ".join((run.stderr.strip() or run.stdout.strip()).split())
        raise RuntimeError(f"{ranks} ranks: {said}")
    return json.loads(run.stdout.strip().splitlines()[-1])
