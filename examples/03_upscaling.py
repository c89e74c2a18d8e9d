"""Is the closure right? A strip four macro cells long, every void resolved, against four cells that are not.

The strip is simulated (DNS) with all its voids; the hydrocode runs the same strip on four macro cells (and
two more, so that no edge is near) whose burning the surrogate gives, on the same microstructure under the
same piston. Compared are, cell by cell, the burned mass fraction over time, the arrival of the shock at the
cell's centre, and what both cost. The surrogate is tried with each choice of what a load is matched to.

    python 03_upscaling.py --bundle hmx-compact --out upscaling     # the DNS takes about 15 min on one core

The resolved strip is kept in OUT/strip-*.npz, by load and microstructure, and not simulated again.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

import mld_closure as mld
from mld_closure.closure.load import LoadTable
from mld_closure.dns.eos import Material
from mld_closure.dns.exact import shock_from_piston
from mld_closure.dns.kinetics import Kinetics
from mld_closure.dns.loading import FRONT_COLUMN, PROFILE_COLUMNS, shocked_solver
from mld_closure.grids import MESO_SHAPE
from mld_closure.macro.porous import porous_shock
from mld_closure.macro.problems import MacroCase, start
from mld_closure.metrics.arrival import arrival_times, front_position
from mld_closure.viz.plots import new_figure, save

CELLS, MORE = 4, 2
POROSITY = 0.10
AFTER = 8e-9  # s after arrival, when burned fractions are compared
LOADS = ("pressure", "velocity", "incoming wave")


def simulate(specimen, shape, up, interval, end):
    """The resolved strip: times, burned fraction (time, cell), arrival at the cells' centres, seconds."""
    ny, nx = shape
    mu = np.array(specimen.window(0, 0, CELLS * nx, ny))
    mu[:, :PROFILE_COLUMNS] = 1.0
    material = Material()
    entered = FRONT_COLUMN * specimen.pixel / shock_from_piston(up, material).us  # before its frame 0
    solver = shocked_solver(mu, up, specimen.pixel, material, Kinetics())
    times, burned, pressure = [], [], []
    begun = time.perf_counter()
    while not times or times[-1] < end:
        fields = solver.fields()
        times.append(solver.time + entered)
        mass = fields["density"].reshape(ny, CELLS, nx)
        products = (fields["density"] * fields["reaction_progress"]).reshape(ny, CELLS, nx)
        burned.append(products.sum(axis=(0, 2)) / mass.sum(axis=(0, 2)))
        pressure.append(fields["pressure"].mean(axis=0)[None])
        solver.run(solver.time + interval)
    seconds = time.perf_counter() - begun
    level = 0.5 * porous_shock(up, POROSITY, material).p
    centres = nx * (0.5 + np.arange(CELLS))
    arrival = arrival_times(front_position(np.array(pressure), level), times, centres)
    return np.array(times), np.array(burned), arrival, seconds


def kept(path, make):
    """What `make` returns, from the file where it was made before."""
    if not path.exists():
        times, burned, arrival, seconds = make()
        np.savez(path, times=times, burned=burned, arrival=arrival, seconds=seconds)
    with np.load(path) as file:
        return file["times"], file["burned"], file["arrival"], float(file["seconds"])


def run_closure(bundle, specimen, shape, up, load, end, threads):
    """The same strip on macro cells; returns as `simulate` does, and the mean macro step (s)."""
    size = shape[1] * specimen.pixel
    case = MacroCase(
        cells=CELLS + MORE, cell_size=size, piston_speed=up, porosity=POROSITY, end_time=end, drive="inflow"
    )
    times, burned, pressure = [0.0], [np.zeros(CELLS)], [np.zeros((1, case.cells))]
    with mld.open(bundle, device="cpu", threads=threads, patch_shape=shape, load=load) as closure:
        corners = np.stack([size * np.arange(case.cells), np.zeros(case.cells)], axis=1)
        closure.register(case.ids.ravel(), specimen=specimen, offsets=corners)
        solver = start(case, closure)

        def keep(solver):
            fields = solver.flow.fields()
            times.append(solver.time)
            burned.append(fields["reaction_progress"][0, :CELLS].copy())
            pressure.append(fields["pressure"].copy())

        begun = time.perf_counter()
        solver.run(end, each=keep)
        seconds = time.perf_counter() - begun
    level = 0.5 * porous_shock(up, POROSITY, Material()).p
    arrival = [first_crossing(np.array(times), p, level) for p in np.array(pressure)[:, 0, :CELLS].T]
    return np.array(times), np.array(burned), np.array(arrival), seconds, float(np.diff(times).mean())


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
    shape, bundle, loads, after = MESO_SHAPE, options.bundle, LOADS, AFTER
    if options.quick:
        shape, bundle, loads, after = (32, 96), random_bundle(), LOADS[1:2], 0.5e-9
    bundle = bundle if isinstance(bundle, mld.Bundle) else mld.Bundle.load(bundle)
    ny, nx = shape
    specimen = mld.Specimen.generate(
        (ny, (CELLS + MORE + 1) * nx), bundle.pixel, options.seed, porosity=POROSITY
    )
    shock = porous_shock(options.up, POROSITY, Material())
    end = (CELLS - 0.5) * nx * bundle.pixel / shock.us + after
    options.out.mkdir(parents=True, exist_ok=True)
    true_times, truth, true_arrival, true_seconds = kept(
        options.out / f"strip-{ny}x{CELLS * nx}-up{options.up:g}-seed{options.seed}.npz",
        lambda: simulate(specimen, shape, options.up, bundle.meso_step, end),
    )
    found = {"up": options.up, "seed": options.seed, "after": after, "dns_seconds": true_seconds, "loads": {}}
    curves = {}
    for load in loads:
        times, burned, arrival, seconds, step = run_closure(
            bundle, specimen, shape, options.up, load, end, options.threads
        )
        moments = true_arrival + after
        found["loads"][load] = {
            "burned_dns": [np.interp(moments[i], true_times, truth[:, i]) for i in range(CELLS)],
            "burned_closure": [np.interp(moments[i], times, burned[:, i]) for i in range(CELLS)],
            "arrival_dns": true_arrival.tolist(),
            "arrival_closure": arrival.tolist(),
            "macro_step": step,
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
    assert off < (0.5 if options.quick else 0.25), "the strip was not driven as the macro cells are"


def report(found) -> None:
    """Print cell by cell what was found, and how it stands to the targets."""
    after = 1e9 * found["after"]
    for load, f in found["loads"].items():
        print(f"load matched by {load}: cost {f['cost_ratio']:.0f} times less than the DNS")
        pairs = zip(f["burned_dns"], f["burned_closure"], f["arrival_dns"], f["arrival_closure"], strict=True)
        worst, slip = 0.0, 0.0
        for i, (b, c, t, u) in enumerate(pairs):
            worst, slip = (
                max(worst, abs(c / b - 1) if b > 0 else np.inf),
                max(slip, abs(u - t) / f["macro_step"]),
            )
            print(
                f"  cell {i}: burned {after:.1f} ns after arrival {b:.3f} (DNS) {c:.3f} (closure); "
                f"shock at {1e9 * t:.2f} and {1e9 * u:.2f} ns"
            )
        print(
            f"  worst: burned fraction off by {100 * worst:.0f} % (wanted 15), arrival by {slip:.1f} macro "
            "steps (wanted 1)"
        )


def draw(times, truth, curves):
    """Burned fraction of every cell over time: DNS solid, closure dashed, one panel a choice of load."""
    figure = new_figure(4.6 * len(curves), 3.8)
    for axis, (load, (t, burned)) in zip(
        figure.subplots(1, len(curves), squeeze=False, sharey=True)[0], curves.items(), strict=True
    ):
        for i in range(CELLS):
            (line,) = axis.plot(1e9 * times, truth[:, i], label=f"cell {i}")
            axis.plot(1e9 * t, burned[:, i], "--", color=line.get_color())
        axis.set_title(f"load by {load}")
        axis.set_xlabel("time [ns]")
    axis.legend(title="DNS solid, closure dashed")
    figure.axes[0].set_ylabel("burned fraction")
    return figure


def random_bundle():
    """Networks with random weights: what they say means nothing, how they are called is the same."""
    from mld_closure.closure.benchmark import random_bundle
    from mld_closure.dns.cases import MICRO_STEP
    from mld_closure.dns.load_table import load_table

    table = LoadTable.from_arrays(load_table((500.0, 900.0, 1400.0)))
    return random_bundle(table, MICRO_STEP, (500.0, 1400.0))


if __name__ == "__main__":
    main()
