"""What `mld-closure demo` shows: a slab of porous HMX burned by a surrogate, or the collapse of one pore."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from ..device import fast_bf16
from ..dns.eos import Material
from ..grids import MESO_SHAPE
from ..macro.porous import porous_shock
from ..runtime.agree import Attempt
from ..runtime.comm import SerialComm
from .case import Case, ClosureTable
from .result import Result
from .run import Progress, run

POROSITY = 0.10
SEED = 5  # of the specimen
SHARE = 0.44  # of the time the shock takes through the slab if nothing burns; burning, it is near the end
PICTURES = ("xt.png", "profiles.png", "front.png")


def slab_case(bundle: str, cells: int, up: float) -> Case:
    """A slab thrown at a wall.

    Parameters
    ----------
    bundle : str
        Name or path of the surrogate; each cell is as wide as one of its meso frames.
    cells : int
        Cells of the slab.
    up : float
        Its speed in m/s.

    Raises
    ------
    BundleError
        For a bundle that cannot serve.
    """
    from ..models.manifest import read_manifest, resolve

    size = MESO_SHAPE[1] * read_manifest(resolve(bundle))["pixel"]
    shock = porous_shock(up, POROSITY, Material())
    return Case(
        cells=cells,
        cell_size=size,
        piston_speed=up,
        porosity=POROSITY,
        end_time=SHARE * cells * size / (shock.us - up),
        closure=ClosureTable("surrogate", bundle, options={"device": "cpu", "seed": SEED}),
    )


def run_slab(
    bundle: str,
    out: Path,
    cells: int,
    up: float,
    precision: str,
    threads: int,
    *,
    comm: Any = None,
    progress: Callable[[Progress], None] | None = None,
) -> Result:
    """Run and draw the slab of `slab_case`. Collective.

    Parameters
    ----------
    bundle, cells, up
        See `slab_case`.
    out, comm, progress
        See `run`.
    precision, threads
        Of the networks; threads only where there is one rank, several share a node's cores. "auto" is bf16
        where the processors of all ranks have it, else fp32.
    """
    comm = SerialComm() if comm is None else comm
    attempt = Attempt(comm)
    case = attempt(slab_case, bundle, cells, up)
    attempt.settle()
    if precision == "auto":
        precision = "bf16" if all(comm.allgather(fast_bf16())) else "fp32"
    options = {"precision": precision} | ({"threads": threads} if comm.size == 1 else {})
    return run(case, out, comm=comm, progress=progress, options=options)


class Pore(NamedTuple):
    """A simulated pore: its files, end time (s), and the hot area and burned fraction of the frame then."""

    data: Path
    picture: Path
    time: float
    hot_area: float
    burned: float


def run_pore(out: Path, up: float, progress: Callable[[int, int, float], None] | None = None) -> Pore:
    """Simulate and draw the collapse of one pore of 3 um.

    Parameters
    ----------
    out : Path
        Folder of pore.h5 and pore.png.
    up : float
        Piston speed in m/s.
    progress : callable, optional
        Called after each frame with its number, how many there are, and the highest temperature (K).
    """
    from ..config import to_dict
    from ..data.layout import TrajectorySpec
    from ..data.store import write_trajectories
    from ..data.trajectories import Trajectories
    from ..dns.cases import PRESETS, case_scalars, record, with_changes
    from ..dns.microstructure import Ellipse, solid_fraction
    from ..metrics.hotspots import THRESHOLD
    from ..viz.plots import draw_case, save

    config = with_changes(PRESETS["micro"], up=(up, up))
    mu = solid_fraction(config.shape, [Ellipse(x=90, y=80, diameter=60)])

    def frame(number: int, fields: dict[str, Any]) -> None:
        if progress is not None:
            progress(number, config.frames, float(fields["temperature"].max()))

    movie, _ = record(mu, up, config, frame)
    spec = TrajectorySpec(1, config.shape, config.pixel, config.times, {"case": to_dict(config)})
    data, picture = out / "pore.h5", out / "pore.png"
    out.mkdir(parents=True, exist_ok=True)
    write_trajectories(data, spec, [(0, movie, case_scalars(mu, up, 1, config), {})])
    with Trajectories(data) as file:
        save(draw_case(file, 0), picture)
    hot = float((movie["temperature"][-1] > THRESHOLD).mean())
    mass = movie["density"][-1]
    burned = float((mass * movie["reaction_progress"][-1]).sum() / mass.sum())
    return Pore(data, picture, config.times[-1], hot, burned)
