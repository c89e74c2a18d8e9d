"""Make data files, one or all of a plan: campaigns of `dns` written through the case store of `data`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from mld_closure.config import ConfigError, from_dict, load, to_dict
from mld_closure.data.layout import TrajectorySpec
from mld_closure.data.store import CaseStore
from mld_closure.data.trajectories import Trajectories
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

    Equal seed and configuration give equal bits, however often the work was interrupted. A finished file is
    made longer by a call with more cases.

    Parameters
    ----------
    kind
        Kind of the cases, and the preset that is taken without `config`: `micro` (one void), `meso` (a pack
        of voids) or `wall` (a wall frame).
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


@dataclass(frozen=True)
class SetPlan:
    """One data file of a plan.

    Attributes
    ----------
    name : str
        Name of the file, without its suffix.
    preset : str
        Preset of the cases, from `dns.cases.PRESETS`.
    seed : int
        Seed of the set; sets that must not share cases have different ones.
    cases : tuple of int
        Number of cases after each round of the plan, not falling; after its last the set is complete.
    case : dict
        Fields of the case configuration that differ from the preset.

    Raises
    ------
    ConfigError
        An unknown preset, or numbers of cases that make no sense.
    """

    name: str
    preset: str
    seed: int
    cases: tuple[int, ...]
    case: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            raise ConfigError(f"set '{self.name}': no preset '{self.preset}'; choose {', '.join(PRESETS)}")
        if not self.cases or self.cases[0] < 1 or list(self.cases) != sorted(self.cases):
            raise ConfigError(
                f"set '{self.name}': cases are one number a round, from 1 and not falling, got {self.cases}"
            )

    @property
    def config(self) -> CaseConfig:
        """How its cases are made."""
        if not self.case:
            return PRESETS[self.preset]
        merged = _merged(to_dict(PRESETS[self.preset]), self.case)
        return from_dict(CaseConfig, merged, where=f"set '{self.name}'")


@dataclass(frozen=True)
class Plan:
    """A campaign of several data files, made round by round, so that a first part of all is there early."""

    sets: tuple[SetPlan, ...]

    def __post_init__(self) -> None:
        for key in ("name", "seed"):
            values = [getattr(s, key) for s in self.sets]
            if len(set(values)) < len(values):
                raise ConfigError(f"two sets of the plan have the same {key}; give each its own")

    def orders(self) -> list[tuple[SetPlan, int]]:
        """(set, number of cases) in the order in which they are made."""
        rounds = range(max(len(s.cases) for s in self.sets))
        return [(s, s.cases[r]) for r in rounds for s in self.sets if r < len(s.cases)]


PLANS = ("wall",)


def load_plan(name: str | Path) -> Plan:
    """The plan of a TOML file, or a packaged one by its name; ConfigError where there is none."""
    if str(name) in PLANS:
        with resources.as_file(resources.files("mld_closure.dns") / "plans" / f"{name}.toml") as path:
            return load(Plan, path)
    if not Path(name).exists():
        raise ConfigError(f"no such plan: {name}; give a file or {' | '.join(PLANS)}")
    return load(Plan, name)


def simulate_plan(
    plan: Plan,
    out: str | Path,
    *,
    workers: int = 1,
    comm: Any = None,
    started: Callable[[str, int, int], Any] | None = None,
    done: Callable[[int, str | None], Any] | None = None,
) -> list[Path]:
    """Make all data files of a plan in a folder; an interrupted call goes on when repeated.

    Parameters
    ----------
    plan
        What to make; see `load_plan`.
    out
        Folder of the files `<name>.h5`; made where it is missing.
    workers, comm, done
        As in `simulate`.
    started
        Called as each set of each round begins, with its name, the cases done before and those wanted.

    Returns
    -------
    list of pathlib.Path
        The files, in the order of the sets.

    Raises
    ------
    ConfigError
        A file was begun with another configuration, or cannot be written.
    """
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    for s, cases in plan.orders():
        path = folder / f"{s.name}.h5"
        if _held(path) > cases:
            continue
        config = s.config

        def begun(n_done: int, n_all: int, name: str = s.name) -> None:
            if started is not None:
                started(name, n_done, n_all)

        simulate(config.kind, cases, path, seed=s.seed, workers=workers, config=config, comm=comm,
                 started=begun, done=done)  # fmt: skip
    return [folder / f"{s.name}.h5" for s in plan.sets]


def _held(path: Path) -> int:
    """Cases, failed ones included, of a finished file; 0 where there is none."""
    if not path.exists():
        return 0
    with Trajectories(path) as file:
        return file.spec.n_cases


def _merged(table: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A nested table with some of its values replaced."""
    both = {k: _merged(table[k], v) for k, v in changes.items() if isinstance(v, dict) and k in table}
    return table | changes | both
