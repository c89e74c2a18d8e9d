"""Remake the shipped burn curves: train on wall frames, score cases that chose nothing, draw them.

    mld-closure campaign wall --out data --workers 2   # hours; the first round takes 80 core minutes
    python examples/09_hmx_points.py --data data --out points

--install puts the bundle in place of the packaged one.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

import mld_closure as mld
from mld_closure.dns.cases import PRESETS
from mld_closure.models.bundle import CURVES
from mld_closure.models.curve_net import CurveNet
from mld_closure.offline.burn_curves import train_burn_curves
from mld_closure.training.curve_samples import mean_curve, read_samples
from mld_closure.training.curves import case_errors, part_mean, predict_curves
from mld_closure.viz.curves import draw_curves
from mld_closure.viz.plots import picture_path

NAME = "hmx-points"
PACKAGED = Path(mld.__file__).parent / "bundles" / NAME
TRAIN, JUDGE = ("micro_train", "meso_train"), ("micro_test", "meso_test")
WHO = ("network", "mean_curve")  # errors of the burned share, root mean square over time
SHOWN = 6  # cases in the picture
FEW = {"micro_train": (7, 1), "meso_train": (7, 2), "micro_test": (2, 3), "meso_test": (2, 4)}


def small_data(folder: Path) -> None:
    """Files of a few small frames, to see that the steps work; what comes out is no model."""
    wall = replace(
        PRESETS["wall"].wall, halo=8, tail=8, parts=4,
        pores=replace(PRESETS["wall"].wall.pores, median=(0.9e-6, 1.1e-6), size=(0.8e-6, 1.2e-6)),
    )  # fmt: skip
    small = replace(PRESETS["wall"], shape=(16, 48), frames=4, frame_interval=5e-9, wall=wall)
    for name, (count, seed) in FEW.items():
        mld.simulate("wall", count, folder / f"{name}.h5", seed=seed, config=small)


def judged(bundle: mld.Bundle, train: list[Path], test: list[Path]) -> list[dict[str, object]]:
    """For each case of the test files: load, porosity, errors of network and mean curve, and the curves."""
    net = CurveNet.from_extra(bundle.extras[CURVES])
    learned = []
    for path in train:
        with mld.Trajectories(path) as file:
            learned.append(read_samples(file, net.config))
    rows: list[dict[str, object]] = []
    for path in test:
        with mld.Trajectories(path) as file:
            cases, porosity = read_samples(file, net.config), file.scalars["porosity"]
        found, mean = predict_curves(net, cases), mean_curve(learned, cases.load)[:, None]
        errors = case_errors(found, cases), case_errors(mean, cases)
        truth, guess = part_mean(cases.curves["burned_share"], cases), part_mean(found, cases)
        for k in range(len(cases)):
            seen = np.isfinite(truth[k])
            number = int(cases.case[k])
            ends = {"load": cases.load[k], "porosity": porosity[number], "burned": truth[k][seen][-1]}
            wrong = {"network": errors[0][k], "mean_curve": errors[1][k]}
            numbers = {name: float(value) for name, value in (ends | wrong).items()}
            curves = [np.where(seen, values, np.nan) for values in (truth[k], guess[k], mean[k, 0])]
            rows.append({"case": f"{path.stem} {number}", **numbers, "curves": curves})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of the campaign's files")
    parser.add_argument("--out", type=Path, default=Path("points"))
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--install", action="store_true", help="replace the packaged bundle")
    parser.add_argument("--quick", action="store_true", help="a few small frames and steps, in half a minute")
    args = parser.parse_args()
    if args.quick:
        args.steps = 40
        args.data.mkdir(parents=True, exist_ok=True)
        small_data(args.data)
    files = {name: args.data / f"{name}.h5" for name in (*TRAIN, *JUDGE)}
    missing = [str(path) for path in files.values() if not path.exists()]
    if missing:
        sys.exit(f"no {missing[0]}; make it: mld-closure campaign wall --out {args.data} --workers 2")
    train, test = [files[name] for name in TRAIN], [files[name] for name in JUDGE]
    made = train_burn_curves(args.out, train, test, steps=args.steps, threads=args.threads)
    bundle = mld.Bundle.load(made.bundle)
    rows = judged(bundle, train, test)
    columns = ("case", "load", "porosity", "burned", *WHO)
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    for row in rows:
        print("| {case} | {load:.0f} | {porosity:.3f} | {burned:.3f} |".format(**row), end="")
        print(" {network:.3f} | {mean_curve:.3f} |".format(**row))
    total = {who: float(np.sqrt(np.mean([row[who] ** 2 for row in rows]))) for who in WHO}
    better = sum(row["network"] < row["mean_curve"] for row in rows)
    print(f"rms error of the burned share: network {total['network']:.4f}, mean curve ", end="")
    print(f"{total['mean_curve']:.4f}; the network is better on {better} of {len(rows)} cases")
    shown = sorted(rows, key=lambda row: row["load"])[:: max(1, len(rows) // SHOWN)][:SHOWN]
    truth, guess, mean = ([row["curves"][i] for row in shown] for i in range(3))
    titles = [f"{row['load']:.0f} m/s, {100 * row['porosity']:.0f} %" for row in shown]
    times = CurveNet.from_extra(bundle.extras[CURVES]).config.times
    path = picture_path(args.out / "curves.png")
    forecasts = {"network": {"burned": guess}, "mean curve": {"burned": mean}}
    draw_curves(times, titles, {"burned": truth}, forecasts, path)
    (args.out / "scores.json").write_text(json.dumps(made.scores, indent=1) + "\n")
    if args.install:
        shutil.rmtree(PACKAGED, ignore_errors=True)
        bundle.save(PACKAGED)
        print(f"installed {PACKAGED}")
    assert np.isfinite(total["network"])


if __name__ == "__main__":
    main()
