"""How the surrogate's burning grows with pressure, beside the pop-plot of HMX.

For each piston speed a few cells with microstructures of their own are held at the shock pressure of solid
material, and the time to half burned and the burn rate there are averaged; a slab is run to see how far the
shock runs before it detonates. The pop-plot (Gibbs and Popolato, via LANL EOSlib) is what experiments say
about that distance.

Should they agree? In trend, not in number: the pop-plot's distance is what growing hot spots need to turn the
shock into a detonation in real HMX, while the surrogate has learnt a simulation whose kinetics, conduction
and burn-rate limit were chosen so that growth can be resolved at 50 nm, in which detonation is prompt. The
slope of the burn rate against pressure is the fair comparison; distances below a few cells are not resolved.

    python 04_load_sweep.py --bundle hmx-compact --out sweep        --threads 2   # about 10 min
"""

import argparse
import json
from pathlib import Path

import numpy as np

import mld_closure as mld
from mld_closure.dns.eos import Material
from mld_closure.grids import MESO_SHAPE
from mld_closure.macro.porous import detonation_speed, porous_shock
from mld_closure.macro.problems import MacroCase, start
from mld_closure.metrics.arrival import front_position
from mld_closure.metrics.waves import front_speed, run_to_detonation
from mld_closure.surrogate.frame0 import LoadTable
from mld_closure.testing import random_networks
from mld_closure.viz.plots import new_figure, save

POROSITY = 0.10
POP_PLOT = {"HMX": (1.18, 0.59), "PBX 9501": (1.15, 0.64)}  # log10 P [GPa] = a - b log10 x [mm]
SPAN = 6  # cells over which a front's speed is taken


def hold(bundle, shape, pressure, cells, threads):
    """Cells held at a pressure (Pa): times (s), mean burned fraction (time,)."""
    specimen = mld.Specimen.generate((shape[0], (cells + 1) * shape[1]), bundle.pixel, 7, porosity=POROSITY)
    offsets = np.stack([shape[1] * bundle.pixel * np.arange(cells), np.zeros(cells)], axis=1)
    options = {"engine": {"patch_shape": shape}, "load": {"p_arrival": 0.5 * pressure}}
    times, burned = [0.0], [0.0]
    with mld.open(bundle, device="cpu", threads=threads, **options) as closure:
        closure.register(np.arange(cells), specimen=specimen, offsets=offsets)
        step = 0.5 * bundle.meso_step
        for n in range(2 * bundle.horizon):
            closure.begin_step(n * step, step)
            out = closure.advance(pressure=np.full(cells, pressure))
            closure.commit()
            times.append((n + 1) * step)
            burned.append(float(out.burned_fraction.mean()))
    return np.array(times), np.array(burned)


def run_distance(bundle, shape, up, cells, threads):
    """Distance (m) a shock runs in a slab of cells before it detonates, None where it is not seen to; and the
    distance below which it did, None where it was slower at first."""
    material, size = Material(), shape[1] * bundle.pixel
    shock = porous_shock(up, POROSITY, material)
    end = 0.9 * cells * size / (shock.us - up)
    case = MacroCase(cells=cells, cell_size=size, piston_speed=up, porosity=POROSITY, end_time=end)
    specimen = mld.Specimen.generate((shape[0], (cells + 1) * shape[1]), bundle.pixel, 8, porosity=POROSITY)
    offsets = np.stack([size * np.arange(cells), np.zeros(cells)], axis=1)
    times, fronts = [], []
    with mld.open(bundle, device="cpu", threads=threads, engine={"patch_shape": shape}) as closure:
        closure.register(case.ids.ravel(), specimen=specimen, offsets=offsets)

        def keep(solver):
            pressure = solver.flow.fields()["pressure"]
            times.append(solver.time)
            fronts.append(size * front_position(pressure[None], 0.5 * shock.p)[0] + up * solver.time)

        start(case, closure).run(end, each=keep)
    speed = front_speed(times, fronts, SPAN * size)
    fastest = detonation_speed(POROSITY, case.heat, material)
    turned, below = run_to_detonation(
        np.array(times), np.array(fronts), speed, shock.us, fastest, SPAN * size
    )
    return None if turned is None else turned[1], below


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", default="hmx-compact", help="name or path")
    parser.add_argument("--out", type=Path, default=Path("sweep"))
    parser.add_argument("--up", type=float, nargs="+", default=[600, 700, 800, 900, 1000, 1200], help="m/s")
    parser.add_argument("--cells", type=int, default=8, help="held at each pressure")
    parser.add_argument("--slab", type=int, default=48, help="cells of the slab, 0 for none")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--quick", action="store_true", help="small cells, random networks: a test of this file"
    )
    options = parser.parse_args()
    bundle, shape, speeds, cells, slab = options.bundle, MESO_SHAPE, options.up, options.cells, options.slab
    if options.quick:
        bundle, shape, speeds, cells, slab = random_networks(), (32, 96), [700.0, 1000.0], 2, 8
    bundle = bundle if isinstance(bundle, mld.Bundle) else mld.Bundle.load(bundle)
    table = LoadTable.from_bundle(bundle)
    rows = []
    for up in speeds:
        pressure = float(table.shock_pressure(up))
        times, burned = hold(bundle, shape, pressure, cells, options.threads)
        rate = np.gradient(burned, times)
        half = float(np.interp(0.5, burned, times)) if burned[-1] >= 0.5 else None
        distance, below = run_distance(bundle, shape, up, slab, options.threads) if slab else (None, None)
        rows.append(
            {
                "up": up,
                "pressure": pressure,
                "half_burned": half,
                "greatest_rate": float(rate.max()),
                "burned_at_end": float(burned[-1]),
                "run_distance": distance,
                "run_below": below,
                "pop_plot": {name: 1e-3 * pop_plot(name, pressure) for name in POP_PLOT},
            }
        )
        report(rows[-1])
    p, r = (np.array([row[n] for row in rows]) for n in ("pressure", "greatest_rate"))
    slope = float(np.polyfit(np.log(p), np.log(np.maximum(r, 1e-30)), 1)[0])
    slopes = ", ".join(f"{name} {1 / b:.2f}" for name, (_, b) in POP_PLOT.items())
    print(f"burn rate grows as pressure to the {slope:.2f}; run distances of the pop-plot fall as {slopes}")
    options.out.mkdir(parents=True, exist_ok=True)
    result = {"cells": cells, "slab": slab, "slope": slope, "rows": rows}
    (options.out / "sweep.json").write_text(json.dumps(result, indent=1) + "\n")
    save(draw(rows), options.out / "sweep.png")
    at_six = pop_plot("HMX", 6e9)
    print(f"pop-plot of HMX at 6 GPa: {at_six:.1f} mm")
    assert abs(at_six - 4.8) < 0.05, "the pop-plot is not the published one"
    if not options.quick:
        assert (np.diff([row["burned_at_end"] for row in rows]) > -0.02).all(), "more load must burn more"


def pop_plot(name, pressure):
    """Run distance (mm) to detonation at a shock pressure (Pa)."""
    a, b = POP_PLOT[name]
    return 10 ** ((a - np.log10(1e-9 * pressure)) / b)


def report(row) -> None:
    """Print one load."""
    half = "never" if row["half_burned"] is None else f"{1e9 * row['half_burned']:.2f} ns"
    run = "none seen" if row["run_distance"] is None else f"{1e3 * row['run_distance']:.2f} mm"
    run = run if row["run_below"] is None else f"not resolved, below {1e3 * row['run_below']:.2f} mm"
    pops = ", ".join(f"{name} {1e3 * x:.1f} mm" for name, x in row["pop_plot"].items())
    print(
        f"{row['up']:.0f} m/s, {1e-9 * row['pressure']:.2f} GPa: half burned {half}, greatest rate "
        f"{1e-9 * row['greatest_rate']:.3f} 1/ns, run to detonation {run} (pop-plot: {pops})"
    )


def draw(rows):
    """Burn rate and run distance against pressure, both logarithmic."""
    figure = new_figure(9.0, 4.0)
    left, right = figure.subplots(1, 2)
    p = 1e-9 * np.array([row["pressure"] for row in rows])
    left.loglog(p, [1e-9 * max(row["greatest_rate"], 1e-30) for row in rows], "o-")
    left.set_ylabel("greatest burn rate [1/ns]")
    seen = [(x, 1e3 * row["run_distance"]) for x, row in zip(p, rows, strict=True) if row["run_distance"]]
    if seen:
        right.loglog(*zip(*seen, strict=True), "o", label="slab with the surrogate")
    less = [(x, 1e3 * row["run_below"]) for x, row in zip(p, rows, strict=True) if row["run_below"]]
    if less:
        right.loglog(*zip(*less, strict=True), "v", color="tab:blue", fillstyle="none", label="below this")
    for name in POP_PLOT:
        right.loglog(p, [1e3 * row["pop_plot"][name] for row in rows], "--", label=f"pop-plot {name}")
    right.set_ylabel("run to detonation [mm]")
    right.legend()
    for axis in (left, right):
        axis.set_xlabel("pressure [GPa]")
    return figure


if __name__ == "__main__":
    main()
