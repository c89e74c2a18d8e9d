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
    """Simulate shocked microstructures into a trajectory file; an interrupted call goes on when repeated.

    Equal seed and configuration give equal bits, however often the work was interrupted.

    Parameters
    ----------
    kind
        Preset of the cases: `micro` (one void) or `meso` (a pack of voids).
    cases
        Number of cases; their piston speeds are spread evenly over the range.
    out
        Trajectory file to write (.h5). While cases are missing, finished ones are kept in `<out>.parts`.
    seed
        Seed of microstructures and loads.
    up
        Least and greatest piston speed (m/s); by default that of the preset.
    frames
        Frames of each case; by default that of the preset.
    workers
        Processes that simulate, on each rank.
    config
        Full configuration of the cases, in place of the preset.
    comm
        Communicator with the calls of mpi4py's: the cases are shared among its ranks, and every rank returns
        when the file is complete.
    started
        Called once with the number of cases done before and of all cases.
    done
        Called after each case of this rank with its index, and the reason where it failed, else None.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    ConfigError
        `out` was begun with another configuration, or cannot be written.
    ValueError
        `config` makes cases of another kind.

    References
    ----------
    The equations and what verifies them are in the README of the room `dns`.

    Examples
    --------
    >>> from dataclasses import replace
    >>> import mld_closure as mld
    >>> from mld_closure.dns.cases import PRESETS
    >>> small = replace(PRESETS["micro"], shape=(32, 64), diameter=(8.0, 10.0), frames=2)
    >>> with mld.Trajectories(mld.simulate("micro", 1, "small.h5", seed=3, config=small)) as data:
    ...     data.read(0, ["temperature"]).shape
    (2, 1, 32, 64)
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
