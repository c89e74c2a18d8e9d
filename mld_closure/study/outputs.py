"""The files of a finished run: histories, pictures, and the summary of its numbers."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from .. import durable
from ..config import to_dict
from ..fields import FIELDS
from ..macro.porous import detonation_speed, porous_shock
from ..metrics.waves import front_speed, run_to_detonation
from .case_run import CaseRun
from .checkpoints import checkpoints
from .columns import BURNED, BURNING, READOUT, SECONDS, STEP
from .journal import FRAMES
from .pictures import draw

SPAN = 6  # cells over which the speed of the front is averaged


def write_results(run: CaseRun, wall: float) -> dict[str, Any]:
    """Write history, pictures and summary of a finished run into its folder.

    Parameters
    ----------
    run : CaseRun
        The run, on the rank that writes.
    wall : float
        Seconds since the run was asked for.

    Returns
    -------
    dict
        The summary, JSON-ready.
    """
    case, out = run.case, run.out
    frames, series = run.journal.read()
    times = np.array(frames["time"])
    fields = {name: frames["fields"][:, i] for i, name in enumerate(run.journal.names)}
    span = SPAN * case.cell_size
    speed = front_speed(series["time"], series["distance"], span)
    series["front_speed"], known = speed, speed[np.isfinite(speed)]
    inert = porous_shock(case.piston_speed, case.porosity, case.material)
    heat = case.heat if run.closure is not None else 0.0
    levels = {"inert shock": inert.us}
    turned = unresolved = None
    if heat > 0:
        levels["Chapman-Jouguet"] = detonation = detonation_speed(case.porosity, heat, case.material)
        turned, unresolved = run_to_detonation(
            series["time"], series["distance"], speed, inert.us, detonation, span
        )
    _write_files(run, times, np.array(frames["step"]), fields, series)
    draw(run, times, fields, series, levels, turned)
    cost = {part: float(series[f"seconds_{part}"].sum()) for part in SECONDS}
    summary = {
        "case": to_dict(case),
        "steps": run.solver.steps,
        "rejected_steps": run.solver.rejected,
        "forced_steps": run.solver.forced,
        "end_time_s": run.solver.time,
        "frames": len(times),
        "cells": case.cells * case.rows,
        "ranks": run.comm.size,
        "blocks": list(run.solver.domain.layout),
        "burned_cells": int((run.burned >= BURNED).sum()),
        "mean_burned_fraction": float(run.burned.mean()),
        "released_J_per_m": run.released,
        "peak_pressure_Pa": float(series["peak_pressure"].max(initial=0.0)),
        "front_speed_m_per_s": float(known[-1]) if known.size else None,
        "inert_shock_speed_m_per_s": inert.us,
        "inert_shock_pressure_Pa": inert.p,
        "chapman_jouguet_speed_m_per_s": levels.get("Chapman-Jouguet"),
        "transition_time_s": turned[0] if turned else None,
        "transition_distance_m": turned[1] if turned else None,
        "detonates_before_m": unresolved,
        "seconds": {"wall": wall, **cost},
        "checkpoints": [path.name for path in checkpoints(out)],
        "files": sorted(p.name for p in out.iterdir() if p.is_file() and p.name != FRAMES),
    }
    if run.surrogate:
        summary["closure_status"] = run.status
    summary["files"] = sorted({*summary["files"], "summary.json"})
    durable.write_text(out / "summary.json", json.dumps(summary, indent=1, allow_nan=False) + "\n")
    del frames, fields
    if not summary["checkpoints"]:
        (out / FRAMES).unlink()  # a restart would need it
    return summary


def _write_files(
    run: CaseRun, times: np.ndarray, steps: np.ndarray, fields: dict[str, Any], series: dict[str, np.ndarray]
) -> None:
    from ..viz.vtk import write_history, write_vtkhdf

    kept = {k: v for k, v in series.items() if not k.startswith("seconds_")}
    units = {name: field.units for name, field in FIELDS.items()} | BURNING | READOUT | STEP
    write_history(
        run.out / "history.h5", times, steps, fields, run.case.cell_size,
        units=units | {"front_speed": "m/s"}, series=kept, configuration={"case": to_dict(run.case)},
    )  # fmt: skip
    write_vtkhdf(run.out / "history.vtkhdf", times, fields, run.case.cell_size)
