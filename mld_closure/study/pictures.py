"""Pictures of a run: distance against time, profiles, the front, and maps where there are several rows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .case_run import CaseRun


def draw(
    run: CaseRun,
    times: np.ndarray,
    fields: dict[str, Any],
    series: dict[str, np.ndarray],
    levels: dict[str, float],
    turned: tuple[float, float] | None,
) -> None:
    """Write the pictures of a run into its folder.

    Parameters
    ----------
    run : CaseRun
        The run.
    times : ndarray (frame,)
        Times of the frames in s.
    fields : dict
        Fields by name, each (frame, rows, cells), SI units.
    series : dict
        Columns of the table of steps by name, each (step,).
    levels : dict
        Exact speeds in m/s by name, drawn as lines.
    turned : tuple of float, optional
        Time in s and distance in m of the transition to detonation.
    """
    from ..viz.macro import draw_front, draw_profiles, draw_xt
    from ..viz.plots import draw_frames, save, spread

    case, out = run.case, run.out
    along = {name: np.asarray(values).mean(axis=1) for name, values in fields.items()}  # (frame, x)
    what = f"{100 * case.porosity:.0f} % pores, {case.piston_speed:.0f} m/s, closure {case.closure.kind}"
    title = what if case.rows == 1 else f"{what}, mean over {case.rows} rows"
    hot = "hotspot_temperature" if run.surrogate else "temperature"
    shown = ("pressure", "burned_fraction", hot)
    front = np.interp(times, series["time"], series["front"], left=math.nan)
    size = case.cell_size
    save(draw_xt({n: along[n] for n in shown}, times, size, front=front, title=title), out / "xt.png")
    profiles = {n: along[n] for n in ("pressure", "velocity_x", "burned_fraction", hot)}
    save(draw_profiles(profiles, times, size, title=title), out / "profiles.png")
    figure = draw_front(
        series["time"], series["distance"], series["front_speed"], levels, transition=turned, title=title
    )
    save(figure, out / "front.png")
    if case.rows > 1:
        names = ("pressure", "reaction_progress", "temperature")
        chosen = spread(len(times), 6)[1:]
        values = np.stack([fields[n][chosen] for n in names], axis=1)
        save(draw_frames(values, times[chosen], names, size, what), out / "maps.png")
