"""Make a data file: the campaign of `dns` written through the case store of `data`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from mld_closure.config import to_dict
from mld_closure.data.layout import TrajectorySpec
from mld_closure.data.store import CaseStore
from mld_closure.dns import campaign
from mld_closure.dns.cases import PRESETS, CaseConfig, Kind, with_changes


def simulate(
    kind: Kind,
    cases: int,
    out: str | Path,
    *,
    seed: int = 0,
    up: tuple[float, float] | None = None,
    frames: int | None = None,
    workers: int = 1,
    config: CaseConfig | None = None,
    comm: Any = None,
    started: Callable[[int, int], Any] | None = None,
    done: Callable[[int, str | None], Any] | None = None,
) -> Path:
    """Simulate `cases` shocked microstructures into the trajectory file `out`, resuming what is there.

    up: range of piston speeds (m/s). With a communicator (mpi4py's calls), the cases are dealt out to its
    ranks and every rank returns when the file is whole. started(n_done, n_all) is called once and
    done(index, reason) after each case of this rank. Same seed and configuration, same bits, however often
    it was interrupted. Raises ConfigError where `out` belongs to another campaign.
    """
    config = with_changes(config or PRESETS[kind], up=up, frames=frames)
    if config.kind != kind:
        raise ValueError(f"the configuration makes {config.kind} cases, asked for {kind}")
    spec = TrajectorySpec(
        n_cases=cases,
        shape=config.shape,
        pixel=config.pixel,
        times=config.times,
        fields=config.fields,
        curve_times=config.curve_times,
        parts=config.wall.parts if config.wall else 0,
        configuration={"seed": seed, "case": to_dict(config)},
    )
    rank, size = (comm.rank, comm.size) if comm is not None else (0, 1)
    problem, finished = None, None
    if rank == 0:
        try:
            finished = CaseStore(out, spec).done()
        except (ValueError, OSError) as err:
            problem = err
    if comm is not None:
        problem, finished = comm.bcast((problem, finished))
    if problem is not None:
        raise problem
    store = CaseStore(out, spec)
    if started is not None:
        started(len(finished), cases)
    missing = [i for i in range(cases) if i not in finished]
    campaign.run(config, seed, missing[rank::size], store, workers=workers, done=done)
    if comm is not None:
        comm.barrier()
    if rank == 0:
        store.merge()
    if comm is not None:
        comm.barrier()
    return Path(out)
