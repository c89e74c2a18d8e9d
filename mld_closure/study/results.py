"""What a finished macro run leaves behind: history files, pictures, a summary."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

from ..config import to_dict
from ..fields import FIELDS
from ..macro.porous import detonation_speed, porous_shock
from ..metrics.waves import front_speed, run_to_detonation
from .case import BURNED, COLUMNS, SECONDS, CaseRun
from .files import FRAMES, checkpoints

SPAN = 6  # cells over which the speed of the front is averaged
READ_OUT_UNITS = {
    "burned_fraction": "1",
    "burn_rate": "1/s",
    "hotspot_temperature": "K",
    "hotspot_area_fraction": "1",
    "uncertainty": "1/s",
    "status": "1",
}


def write_results(run: CaseRun, wall: float) -> dict[str, Any]:
    """Write history, pictures and summary of a finished run into its folder; returns the summary.

    wall: seconds since the command began.
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
    _draw(run, times, fields, series, levels, turned)
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
    (out / "summary.json").write_text(json.dumps(summary, indent=1, allow_nan=False) + "\n")
    del frames, fields
    if not summary["checkpoints"]:
        (out / FRAMES).unlink()  # a restart would need it
    return summary


def rows(summary: dict[str, Any]) -> list[tuple[str, str]]:
    """The summary as lines of a table."""
    s, seconds = summary, summary["seconds"]
    spent = max(sum(seconds[p] for p in SECONDS), 1e-12)

    def speed(value: float | None) -> str:
        return "-" if value is None else f"{value / 1e3:.3f} km/s"

    lines = [
        ("steps (rejected, forced)", f"{s['steps']} ({s['rejected_steps']}, {s['forced_steps']})"),
        ("ranks (blocks down, across)", f"{s['ranks']} ({s['blocks'][0]}, {s['blocks'][1]})"),
        ("time reached", f"{1e9 * s['end_time_s']:.1f} ns"),
        ("cells burned", f"{s['burned_cells']} of {s['cells']}"),
        ("burned fraction, mean", f"{s['mean_burned_fraction']:.3f}"),
        ("peak pressure", f"{s['peak_pressure_Pa'] / 1e9:.2f} GPa"),
        (
            "inert shock, exact",
            f"{speed(s['inert_shock_speed_m_per_s'])}, {s['inert_shock_pressure_Pa'] / 1e9:.2f} GPa",
        ),
        ("front speed, last", speed(s["front_speed_m_per_s"])),
        ("detonation speed, exact", speed(s["chapman_jouguet_speed_m_per_s"])),
    ]
    if s["transition_distance_m"] is not None:
        lines.append(
            (
                "run to detonation",
                f"{1e3 * s['transition_distance_m']:.2f} mm, {1e9 * s['transition_time_s']:.0f} ns",
            )
        )
    if s["detonates_before_m"] is not None:
        lines.append(("run to detonation", f"not resolved, below {1e3 * s['detonates_before_m']:.2f} mm"))
    if "closure_status" in s:
        lines.append(("closure", ", ".join(f"{n} {k.lower()}" for k, n in s["closure_status"].items() if n)))
    lines += [
        (f"time: {p.replace('_', ' ')}", f"{seconds[p]:.2f} s, {100 * seconds[p] / spent:.0f} %")
        for p in SECONDS
        if seconds[p] > 0
    ]
    return [*lines, ("wall time", f"{seconds['wall']:.1f} s")]


def _write_files(
    run: CaseRun, times: np.ndarray, steps: np.ndarray, fields: dict[str, Any], series: dict[str, np.ndarray]
) -> None:
    from ..viz.vtk import write_history, write_vtkhdf

    kept = {k: v for k, v in series.items() if not k.startswith("seconds_")}
    units = {name: field.units for name, field in FIELDS.items()} | READ_OUT_UNITS | COLUMNS
    write_history(
        run.out / "history.h5", times, steps, fields, run.case.cell_size,
        units=units | {"front_speed": "m/s"}, series=kept, configuration={"case": to_dict(run.case)},
    )  # fmt: skip
    write_vtkhdf(run.out / "history.vtkhdf", times, fields, run.case.cell_size)


def _draw(
    run: CaseRun,
    times: np.ndarray,
    fields: dict[str, Any],
    series: dict[str, np.ndarray],
    levels: dict[str, float],
    turned: tuple[float, float] | None,
) -> None:
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
