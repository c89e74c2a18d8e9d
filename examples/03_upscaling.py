"""Is the closure right? A strip four macro cells long, every void resolved, against four cells that are not.

The strip is simulated (DNS) with all its voids; the hydrocode runs the same strip on four macro cells (and
two more, so that no edge is near) whose burning the surrogate gives, on the same microstructure and driven by
the same inflow of solid material. Compared are, cell by cell, the burned share of the explosive over time,
the arrival of the shock, and what both cost (processor time). Both sides are looked at in the same way,
through the means over a cell, whose density has risen half-way when the shock is at its centre. What flows in
does not burn and is not counted: its mass is known in the simulation, and the hydrocode marks it by a
transverse speed too small to matter.
The surrogate is tried with each choice of what a load is matched to, and with three updates of a load that
still rises; and for the first cell without the flow, with its load and arrival given.

    python 03_upscaling.py --bundle hmx-compact --out upscaling     # the DNS takes about 26 min on one core

The resolved strip is kept in OUT/strip-*.npz, by load and microstructure, and not simulated again.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

import mld_closure as mld
from mld_closure.dns.eos import Material
from mld_closure.dns.exact import shock_from_piston
from mld_closure.dns.kinetics import Kinetics
from mld_closure.dns.loading import FRONT_COLUMN, PROFILE_COLUMNS, inflow_state, shocked_solver
from mld_closure.dns.solver import Boundaries
from mld_closure.grids import MESO_SHAPE, Grid
from mld_closure.macro.porous import porous_density, porous_shock
from mld_closure.macro.solver import INSULATING, MacroSolver
from mld_closure.surrogate.frame0 import LoadTable
from mld_closure.testing import random_networks
from mld_closure.viz.plots import new_figure, save

CELLS, MORE = 4, 2
POROSITY = 0.10
AFTER = 8e-9  # s after arrival, when burned fractions are compared
LOADS = {  # what is tried: the closure's options `load`
    "pressure": {"kind": "pressure"},
    "incoming wave": {"kind": "incoming wave"},
    "incoming wave, three updates": {"kind": "incoming wave", "updates": 3},
}
LEFT = 0.3  # of the mass of a cell: with less explosive in it, its burned share says little
MARK = 1e-3  # m/s, transverse speed of what flows in


def microstructure(specimen, shape):
    """Solid fraction (y, x) of all macro cells; solid where the shock enters."""
    ny, nx = shape
    mu = np.array(specimen.window(0, 0, (CELLS + MORE) * nx, ny))
    mu[:, :PROFILE_COLUMNS] = 1.0
    return mu


def simulate(mu, nx, pixel, up, interval, end):
    """The resolved strip: times (time,), density (kg/m3) and burned share of the explosive (time, cell), and
    seconds of processor time."""
    ny, material = len(mu), Material()
    mu = mu[:, : CELLS * nx]
    entered = FRONT_COLUMN * pixel / shock_from_piston(up, material).us  # before its frame 0
    solver = shocked_solver(mu, up, pixel, material, Kinetics())
    at_rest = (material.rho0 * mu + material.rho_void * (1 - mu)).mean() * CELLS
    times, density, products, feed = [], [], [], []
    begun = time.process_time()
    while not times or times[-1] < end:
        fields = solver.fields()
        times.append(solver.time + entered)
        rho = fields["density"]
        density.append(rho.reshape(ny, CELLS, nx).mean(axis=(0, 2)))
        products.append((rho * fields["reaction_progress"]).reshape(ny, CELLS, nx).mean(axis=(0, 2)))
        feed.append((rho * fields["velocity_x"])[:, 0].mean() / (nx * pixel))
        solver.run(solver.time + interval)
    seconds = time.process_time() - begun
    times, explosive = np.array(times), np.array(density)
    gain = 0.5 * np.diff(times) * np.add(feed[1:], feed[:-1])
    explosive[:, 0] -= explosive[0].sum() - at_rest + np.concatenate([[0.0], np.cumsum(gain)])
    burned = np.where(explosive > LEFT * np.array(density), np.array(products) / explosive, np.nan)
    return times, np.array(density), burned, seconds


def kept(path, make):
    """What `make` returns, from the file where it was made before."""
    if not path.exists():
        times, density, burned, seconds = make()
        np.savez(path, times=times, density=density, burned=burned, seconds=seconds)
    with np.load(path) as file:
        return file["times"], file["density"], file["burned"], float(file["seconds"])


def run_closure(bundle, specimen, mu, shape, up, load, end, threads):
    """The same strip on macro cells; returns as `simulate` does, and the steps (s)
    that the flow alone would have taken and that were taken, on the mean."""
    size, count = shape[1] * bundle.pixel, CELLS + MORE
    porosity = 1.0 - mu.reshape(len(mu), count, shape[1]).mean(axis=(0, 2))
    state = np.zeros((5, 1, count))
    state[0, 0] = [porous_density(p, INSULATING) for p in porosity]
    inflow = inflow_state(shock_from_piston(up, INSULATING))
    inflow[2], inflow[4] = MARK, 1.0  # marked, and nothing left to burn in it
    times, density, burned, steps = [0.0], [state[0, 0, :CELLS]], [np.zeros(CELLS)], []
    options = {"engine": {"patch_shape": shape}, "load": LOADS[load]}
    with mld.open(bundle, device="cpu", threads=threads, **options) as closure:
        corners = np.stack([size * np.arange(count), np.zeros(count)], axis=1)
        closure.register(np.arange(count), specimen=specimen, offsets=corners)
        solver = MacroSolver(
            Grid(1, count, size),
            state,
            closure,
            boundaries=Boundaries("fixed", "copy", "copy", "copy"),
            inflow=inflow,
        )

        def keep(solver):
            fields = {name: values[0, :CELLS] for name, values in solver.flow.fields().items()}
            foreign = fields["velocity_y"] / MARK
            times.append(solver.time)
            steps.append(solver.flow.next_step)
            density.append(fields["density"])
            burned.append((fields["reaction_progress"] - foreign) / (1.0 - foreign))

        begun = time.process_time()
        solver.run(end, each=keep)
        seconds = time.process_time() - begun
    return (
        np.array(times),
        np.array(density),
        np.array(burned),
        seconds,
        np.mean(steps),
        np.mean(np.diff(times)),
    )


def with_load_given(bundle, specimen, shape, up, after, threads):
    """Burned fraction of cell 0 `after` its shock arrives (s), load and arrival given: without a flow."""
    dt = 0.25 * bundle.meso_step
    table = LoadTable.from_bundle(bundle)
    p_arrival = 0.2 * float(table.shock_pressure(bundle.load_range[0]))
    options = {"engine": {"patch_shape": shape}, "load": {"kind": "pressure", "p_arrival": p_arrival}}
    with mld.open(bundle, device="cpu", threads=threads, **options) as closure:
        closure.register([0], specimen=specimen, offsets=[(0.0, 0.0)])
        pressure = table.shock_pressure(np.array([up]))
        times, burned = [0.0], [0.0]
        while times[-1] < after + dt:
            closure.begin_step(times[-1], dt)
            burned.append(float(closure.advance(pressure=pressure).burned_fraction[0]))
            closure.commit()
            times.append(times[-1] + dt)
    arrival = dt * p_arrival / pressure[0]  # the pressure rises from 0 within the first step
    return np.interp(after + arrival, times, burned)


def arrivals(times, density, shock):
    """When the shock is at the cells' centres (cell,): their densities have risen half-way."""
    level = 0.5 * (density[0] + shock.rho)
    return np.array([first_crossing(times, *pair) for pair in zip(density.T, level, strict=True)])


def first_crossing(times, values, level):
    """When values (time,) first reach a level, between samples linearly."""
    i = int(np.argmax(values >= level))
    return times[i - 1] + (level - values[i - 1]) / (values[i] - values[i - 1]) * (times[i] - times[i - 1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", default="hmx-compact", help="name or path")
    parser.add_argument("--out", type=Path, default=Path("upscaling"))
    parser.add_argument("--up", type=float, default=900.0, help="piston speed (m/s)")
    parser.add_argument("--seed", type=int, default=1, help="of the microstructure")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--quick", action="store_true", help="small cells, random networks: a test of this file"
    )
    options = parser.parse_args()
    shape, bundle, loads, after = MESO_SHAPE, options.bundle, list(LOADS), AFTER
    if options.quick:
        shape, bundle, loads, after = (32, 96), random_networks(), ["incoming wave"], 0.5e-9
    bundle = bundle if isinstance(bundle, mld.Bundle) else mld.Bundle.load(bundle)
    ny, nx = shape
    specimen = mld.Specimen.generate(
        (ny, (CELLS + MORE + 1) * nx), bundle.pixel, options.seed, porosity=POROSITY
    )
    mu = microstructure(specimen, shape)
    shock = porous_shock(options.up, POROSITY, Material())
    end = (CELLS - 0.5) * nx * bundle.pixel / shock.us + after
    options.out.mkdir(parents=True, exist_ok=True)
    true_times, true_density, truth, true_seconds = kept(
        options.out / f"strip-{ny}x{CELLS * nx}-up{options.up:g}-seed{options.seed}.npz",
        lambda: simulate(mu, nx, bundle.pixel, options.up, bundle.meso_step, end),
    )
    true_arrival = arrivals(true_times, true_density, shock)
    found = {"up": options.up, "seed": options.seed, "after": after, "dns_seconds": true_seconds, "loads": {}}
    found["load_given"] = with_load_given(bundle, specimen, shape, options.up, after, options.threads)
    curves = {}
    for load in loads:
        times, density, burned, seconds, flow_step, step = run_closure(
            bundle, specimen, mu, shape, options.up, load, end, options.threads
        )
        arrival = arrivals(times, density, shock)
        found["loads"][load] = {
            "burned_dns": [np.interp(true_arrival[i] + after, true_times, truth[:, i]) for i in range(CELLS)],
            "burned_closure": [np.interp(arrival[i] + after, times, burned[:, i]) for i in range(CELLS)],
            "at_that_time": [np.interp(true_arrival[i] + after, times, burned[:, i]) for i in range(CELLS)],
            "arrival_dns": true_arrival.tolist(),
            "arrival_closure": arrival.tolist(),
            "flow_step": float(flow_step),
            "macro_step": float(step),
            "seconds": seconds,
            "cost_ratio": true_seconds / seconds,
        }
        curves[load] = times, burned
    report(found)
    (options.out / "upscaling.json").write_text(json.dumps(found, indent=1) + "\n")
    save(draw(true_times, truth, curves), options.out / "upscaling.png")
    exact = 0.5 * nx * bundle.pixel / shock.us
    off = abs(float(true_arrival[0]) / exact - 1)
    print(f"arrival in the resolved first cell within {100 * off:.1f} % of the inert shock of the mixture")
    assert off < 0.5, "the strip was not driven as the macro cells are"


def report(found) -> None:
    """Print cell by cell what was found, and how it stands to the targets."""
    after = 1e9 * found["after"]
    for load, f in found["loads"].items():
        print(f"load by {load}: cost {f['cost_ratio']:.0f} times less than the DNS")
        worst, slip, b0 = 0.0, 0.0, f["burned_dns"][0]
        for i in range(CELLS):
            b, c, d = (f[name][i] for name in ("burned_dns", "burned_closure", "at_that_time"))
            t, u = f["arrival_dns"][i], f["arrival_closure"][i]
            worst = max(worst, abs(c / b - 1) if b > 0 else np.inf)
            slip = max(slip, abs(u - t))
            print(
                f"  cell {i}: burned {after:.1f} ns after arrival {b:.3f} (DNS) {c:.3f} (closure; "
                f"{d:.3f} when the DNS is there); shock at {1e9 * t:.2f} and {1e9 * u:.2f} ns"
            )
        print(
            f"  worst: burned fraction off by {100 * worst:.0f} % (wanted 15), arrival by {1e9 * slip:.2f} "
            f"ns, {slip / f['flow_step']:.1f} steps of the flow (wanted 1; with burning a step is "
            f"{1e9 * f['macro_step']:.2f} ns)"
        )
    print(f"cell 0, its load and arrival given: {b0:.3f} (DNS) {found['load_given']:.3f} (closure)")


def draw(times, truth, curves):
    """Burned fraction of every cell over time: DNS solid, closure dashed, one panel a choice of load."""
    figure = new_figure(3.8 * len(curves), 3.6)
    for axis, (load, (t, burned)) in zip(
        figure.subplots(1, len(curves), squeeze=False, sharey=True)[0], curves.items(), strict=True
    ):
        for i in range(CELLS):
            (line,) = axis.plot(1e9 * times, truth[:, i], label=f"cell {i}")
            axis.plot(1e9 * t, burned[:, i], "--", color=line.get_color())
        axis.set_title(load)
        axis.set_xlabel("time [ns]")
    style = {"loc": "center left", "bbox_to_anchor": (1.02, 0.5), "fontsize": "small"}
    figure.axes[-1].legend(title="DNS solid,\nclosure dashed", **style)
    figure.axes[0].set_ylabel("burned share of the explosive")
    return figure


if __name__ == "__main__":
    main()
