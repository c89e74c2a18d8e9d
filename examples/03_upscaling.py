"""Is the coupling right? Strips of eight patches, every pore resolved, against eight times eight points.

A strip of porous explosive is thrown at a wall. The DNS resolves its pores (`mld-closure strip`; its results
come with this example). The Lagrangian hydrocode runs the same strip, 8 points a patch, with one closure
after the other:

    replay        the DNS's burning is given: the flow and the equation of state alone
    own curves    the DNS's own curve of each part since its arrival: arrival and clock besides
    wall frames   curves of wall frames of each patch, which is what a network learns: the load besides
    before        the same, loads by the porous Hugoniot and the clock with m = 1/2
    mean curve    the mean of training cases, whatever the pores: what a surrogate must beat
    surrogate     a bundle of burn curves, where one is given

Compared are burned share after arrival, patch by patch, and arrival. Only errors of shares of at least 0.05
count, and patch 0, at the wall, stands apart.

    python 03_upscaling.py                                      # all strips, half a minute
    python 03_upscaling.py --bundle my-bundle --strip fine-1150
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

import mld_closure as mld
from mld_closure.dns.strip_file import Strip
from mld_closure.macro.curves import BurnCurves
from mld_closure.macro.protocol import OWN
from mld_closure.macro.replay import ReplayClosure
from mld_closure.macro.served import ServedPoints
from mld_closure.macro.strip import run_strip, strip_points, strip_slab
from mld_closure.macro.strip_curves import part_curves
from mld_closure.macro.strip_score import SMALL, run_shares, score, strip_shares
from mld_closure.macro.tabulated import TabulatedClosure
from mld_closure.viz.plots import new_figure, save

DATA = Path(__file__).parent / "data" / "strips"
AFTER = tuple(1e-9 * t for t in (50, 100, 150, 200))  # s after arrival
CLOCK = 1.5  # m of the clock: half the exponent n of the rate limit in pressure, as a flame has it
SAVED = ("up", "tau", "burned", "porosity", "pressure")
COLOURS = {"replay": "0.6", "own curves": "C0", "wall frames": "C1", "mean curve": "C2", "surrogate": "C3"}


def load_curves(path):
    """A table of burn curves from a file of arrays."""
    with np.load(path) as file:
        arrays = {name: file[name].astype(float) for name in SAVED}
        return BurnCurves(**arrays, frame_entropy=file.get("entropy"))


def replay(strip, points):
    """The DNS's burning at each point."""
    share = np.maximum.accumulate(strip.curves["burned_share"].astype(float), axis=0).clip(0.0, 1.0)
    own = slice(points.reacting)
    history = share[:, np.minimum(points.patch[own], strip.patches - 1), points.part[own]]
    return ReplayClosure(points.ids[own], strip.times, history)


def tabulated(strip, points, curves, exponent=CLOCK, share_load=False):
    """Points along the curves of their parts; where there is one curve alone, along that."""
    closure = TabulatedClosure(curves, exponent=exponent, share_load=share_load)
    own, each = slice(points.reacting), curves.patches // strip.patches  # none: one curve for all
    place = np.minimum(points.patch[own], strip.patches - 1)  # the tail burns as the last patch does
    row = place * each + points.part[own] * each // strip.arrival.shape[1]
    leader = OWN if share_load else points.leader[own]
    closure.register(points.ids[own], patch=row, leader=leader, group=points.patch[own])
    return closure


def images(strip, pixel):
    """Halo and patch of all patches and the tail (patch, y, x), each pixel cut into those of the bundle."""
    ratio = round(strip.pixel / pixel)
    solid = np.stack([strip.image(k) for k in range(strip.patches + (strip.tail >= strip.width))])
    return np.repeat(np.repeat(solid, ratio, axis=1), ratio, axis=2)


def served(strip, points, bundle):
    """Points of a surrogate."""
    solid, own = images(strip, bundle.pixel), slice(points.reacting)
    options = {"engine": {"patch_shape": solid.shape[1:]}, "load": {"history_exponent": CLOCK}}
    closure = mld.open(bundle, device="cpu", threads=1, **options)
    patch = np.minimum(points.patch[own], len(solid) - 1)
    closure.register(points.ids[own], patches=solid[patch], parts=points.part[own])
    return ServedPoints(closure, points.ids[own], points.leader[own])


def rows(strip, name, bundle):
    """(name, points, closure) of what is tried; points are as porous as their columns or patch."""
    by_part, by_patch = strip_points(strip), strip_points(strip, by_part=False)
    yield "replay", by_part, replay(strip, by_part)
    yield "own curves", by_part, tabulated(strip, by_part, part_curves([strip]))
    frames = DATA / f"frames-{name.split('-')[0]}.npz"
    if frames.exists():
        curves = load_curves(frames)
        yield "wall frames", by_part, tabulated(strip, by_part, curves, share_load=True)
        yield (
            "before",
            by_patch,
            tabulated(strip, by_patch, replace(curves, frame_entropy=None), exponent=0.5),
        )
    mean = load_curves(DATA / "mean_curve.npz")
    mean = replace(mean, porosity=np.array([strip.porosity().mean()]))
    yield "mean curve", by_patch, tabulated(strip, by_patch, mean)
    if bundle is not None:
        yield "surrogate", by_patch, served(strip, by_patch, bundle)


def compare(path, bundle, out, until):
    """Run all rows of a strip; returns the scores by row, prints them and draws the burned shares."""
    strip, name = Strip.load(path), path.stem
    until = min(until, float(strip.times[-1]))
    after = [t for t in AFTER if np.nanmax(strip.arrival) + t <= until]
    print(
        f"{name}: {strip.up:.0f} m/s, patches of porosity "
        + " ".join(f"{p:.3f}" for p in strip.porosity()[:, 0])
    )
    figure = new_figure(13.0, 5.6)
    axes = figure.subplots(2, -(-strip.patches // 2), sharex=True, sharey=True).ravel()
    draw(axes, *strip_shares(strip), strip.times, "k", "DNS")
    scores = {}
    for row, points, closure in rows(strip, name, bundle):
        run = run_strip(strip_slab(strip, points, closure), until)
        scores[row] = found = score(strip, points, run, after)
        report(row, found)
        if row in COLOURS and row != "replay":
            draw(axes, *run_shares(points, run), run.times, COLOURS[row], row)
    for k, axis in enumerate(axes):
        axis.set_title(f"patch {k}", fontsize="small")
    for axis in axes[len(axes) // 2 :]:
        axis.set_xlabel("time since arrival [ns]")
    axes[0].set_ylabel("burned share")
    axes[len(axes) // 2].set_ylabel("burned share")
    axes[0].legend(fontsize="small")
    figure.suptitle(f"Strip {name}: {strip.up:.0f} m/s")
    save(figure, out / f"upscaling-{name}.png")
    return scores


def report(row, found):
    """Print the errors of a row: in brackets where less than SMALL has burned."""
    for j, t in enumerate(found.after):
        cells = [
            f"({100 * e:+.0f})" if share < SMALL else f"{100 * e:+.0f}"
            for e, share in zip(found.error[:, j], found.expected[:, j], strict=True)
        ]
        head = row if j == 0 else ""
        print(f"  {head:12s} burned +{1e9 * t:3.0f} ns, error in %  " + " ".join(f"{c:>6s}" for c in cells))
    print(f"  {'':12s} arrival, error in ns          " + " ".join(f"{1e9 * a:6.2f}" for a in found.arrival))


def draw(axes, arrival, burned, times, colour, label):
    """Burned share of each patch since its arrival."""
    for k, axis in enumerate(axes[: len(arrival)]):
        since = times >= arrival[k]
        axis.plot(1e9 * (times[since] - arrival[k]), burned[since, k], color=colour, label=label, lw=1.3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--strip", action="append", help="name or file of a strip; all that come with it by default"
    )
    parser.add_argument("--bundle", help="name or path of a bundle of burn curves")
    parser.add_argument("--out", type=Path, default=Path("upscaling"))
    parser.add_argument(
        "--quick", action="store_true", help="one strip, a part of it, a random network: a test"
    )
    options = parser.parse_args()
    chosen = options.strip or sorted(p.stem for p in DATA.glob("*-*0.npz"))
    bundle = None if options.bundle is None else mld.Bundle.load(options.bundle)
    until = np.inf
    if options.quick:
        chosen, until, bundle = ["fine-1150"], 102e-9, mld.testing.random_curves(halo=40, parts=8)
    options.out.mkdir(parents=True, exist_ok=True)
    found = {}
    for name in chosen:
        path = Path(name) if name.endswith(".npz") else DATA / f"{name}.npz"
        found[path.stem] = compare(path, bundle, options.out, until)
    numbers = {
        name: {row: {"after": s.after.tolist(), "expected": s.expected.tolist(), "found": s.found.tolist(),
                     "arrival": s.arrival.tolist()} for row, s in scores.items()}
        for name, scores in found.items()
    }  # fmt: skip
    (options.out / "upscaling.json").write_text(json.dumps(numbers, indent=1) + "\n")
    worst = max(scores["own curves"].worst() for scores in found.values())
    late = max(float(np.abs(s["replay"].arrival[1:]).max()) for s in found.values())
    print(
        f"own curves: burned share of patches 1 on within {100 * worst:.0f} %; "
        f"arrivals within {1e9 * late:.2f} ns"
    )
    assert worst < 0.15, "the coupling misses what the DNS burned"
    assert late < 1e-9, "the shock comes at another time"


if __name__ == "__main__":
    main()
