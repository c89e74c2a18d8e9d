"""Remake the shipped surrogate: data from seeds, training, scores on cases it never saw, pictures, card.

    python examples/02_hmx_compact.py --out hmx --workers 2

Every step is resumable: run it again after an interruption. On two cores the data take about an hour and the
training what `budget` in the preset says. With --install the bundle and its card replace the packaged ones
if the new one is better on the validation cases.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch

import mld_closure as mld
from mld_closure.dns.cases import PRESETS, simulate_case
from mld_closure.models.bundle import is_bundle
from mld_closure.models.readout_head import EXTRA, ReadoutHead
from mld_closure.training.forecasts import read_rollout, rollout

NAME = "hmx-compact"
PACKAGED = Path(mld.__file__).parent / "bundles"
# file -> scale, cases, seed; the last two are never trained on, nor is anything chosen by them
DATA = {
    "micro_train": ("micro", 200, 101),
    "meso_train": ("meso", 28, 102),
    "meso_test": ("meso", 8, 202),
    "micro_test": ("micro", 30, 201),
}
SHOWN = 6  # cases with a picture of truth beside prediction
# --quick: the same steps in seconds, to see that they work; what comes out is no model
FEW = {"micro_train": 3, "meso_train": 3, "meso_test": 2, "micro_test": 2}
SMALL = {
    "micro": "shape = [64, 96]\nframes = 5\nframe_interval = 0.172e-9\ndiameter = [14.0, 20.0]\n",
    "meso": "shape = [96, 160]\nframes = 5\nframe_interval = 0.344e-9\nvoids = [1, 9]\n",
}
BRIEFLY = """
micro_validation = 1
meso_validation = 1
validation_windows = 2
model = { preset = "compact", base = 2, evolve_logvar = false, load_conditioning = true }
stages = [
  { name = "vae", kind = "vae", phases = [{ steps = 30, crop = 32 }], losses = { reconstruction = 1.0 } },
  { name = "coupled", kind = "coupled", phases = [{ steps = 5 }], losses = { mean = 1.0 } },
  { name = "meso", kind = "meso", phases = [{ steps = 5 }], losses = { mean = 1.0, readout = 1.0 } },
  { name = "head", kind = "head", phases = [{ steps = 9 }], losses = { readout = 1.0 }, validations = 1 },
]
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--out", type=Path, default=Path("hmx"))
    parser.add_argument("--workers", type=int, default=2, help="processes that simulate")
    parser.add_argument("--threads", type=int, default=2, help="torch threads that train")
    parser.add_argument("--config", default=NAME, help="training preset or TOML file")
    parser.add_argument("--install", action="store_true", help="put a better bundle into the package")
    parser.add_argument("--quick", action="store_true", help="the same steps on almost nothing, in a minute")
    options = parser.parse_args()
    out: Path = options.out
    out.mkdir(parents=True, exist_ok=True)
    files = simulate(out, options.workers, options.quick)
    config = options.config
    if options.quick:
        config = out / "briefly.toml"
        config.write_text(BRIEFLY)
    run = out / "run"
    call("train", config, "--micro", files["micro_train"], "--meso", files["meso_train"],
         "--out", run, "--threads", options.threads)  # fmt: skip
    bundle, scores = run / "bundle", {}
    for scale in ("meso", "micro"):
        report = out / f"scores_{scale}.json"
        extra = ["--budget"] if scale == "meso" else []
        call("evaluate", bundle, files[f"{scale}_test"], "--train", files[f"{scale}_train"], "--out", report,
             "--plot", out / f"curves_{scale}.png", "--threads", options.threads, *extra)  # fmt: skip
        scores[scale] = json.loads(report.read_text())
    for case in worst_first(scores["meso"])[:SHOWN]:
        call("predict", bundle, files["meso_test"], "--case", case, "--plot", out / f"case{case}.png",
             "--threads", options.threads)  # fmt: skip
    card = write_card(bundle, scores, files, cost(bundle, files["meso_test"]))
    (out / f"{NAME}.md").write_text(card)
    print(card)
    if options.install:
        worst = worst_first(scores["meso"])[0]
        install(bundle, card, {"curves": out / "curves_meso.png", "worst": out / f"case{worst}.png"})


def simulate(out: Path, workers: int, quick: bool) -> dict[str, Path]:
    """The four data files, made where they are not there yet."""
    files = {name: out / f"{name}.h5" for name in DATA}
    for name, (scale, cases, seed) in DATA.items():
        extra: list[object] = []
        if quick:
            config = out / f"{scale}.toml"
            config.write_text(SMALL[scale])
            cases, extra = FEW[name], ["--config", config]
        call("simulate", scale, "--cases", cases, "--seed", seed, "--out", files[name],
             "--workers", workers, *extra)  # fmt: skip
    return files


def call(*arguments: object) -> None:
    """One command of `mld-closure`."""
    subprocess.run([sys.executable, "-m", "mld_closure", *map(str, arguments)], check=True)


def result(report: dict, name: str) -> dict:
    """Scores of one column of an evaluation."""
    return next(r for r in report["results"] if r["name"] == name)


def worst_first(report: dict) -> list[int]:
    """Cases by the head's error in hot area."""
    errors = result(report, "bundle, head")["scores"]["per_case"]["area"]
    return [report["cases"][i] for i in sorted(range(len(errors)), key=lambda i: -errors[i])]


def facts(files: dict[str, Path]) -> tuple[list[float], str]:
    """Piston speeds (m/s) of the meso test cases, and what the files hold in words."""
    held = []
    for name, path in files.items():
        with mld.Trajectories(path) as data:
            held.append(f"{name} {data.n_cases} cases (seed {DATA[name][2]})")
            if name == "meso_test":
                piston = [float(u) for u in data.scalars["piston_speed"]]
    return piston, ", ".join(held)


def cost(path: Path, data: Path) -> dict[str, float]:
    """Seconds for one meso movie on one core: by the DNS, decoded by the bundle, read by its head."""
    torch.set_num_threads(1)
    bundle = mld.Bundle.load(path)
    head = ReadoutHead.from_extra(bundle.extras[EXTRA])
    found = {}
    with mld.Trajectories(data) as file:
        config = replace(PRESETS["meso"], shape=file.shape, frames=file.n_frames, voids=(1, 45))
        for name, forecast in {
            "decode, fp32": rollout(bundle.meso, file),
            "decode, bf16": rollout(bundle.meso, file, precision="bf16-decode"),
            "head, fp32": read_rollout(bundle.meso, head, file),
            "head, bf16": read_rollout(bundle.meso, head, file, precision="bf16"),
        }.items():
            forecast(0)
            begun = time.perf_counter()
            forecast(0)
            found[name] = time.perf_counter() - begun
    spent = []
    for _ in range(2):  # the first compiles the kernels where they are not compiled yet
        begun = time.perf_counter()
        simulate_case(config, DATA["meso_test"][2], 0)
        spent.append(time.perf_counter() - begun)
    return {"DNS": min(spent)} | found


def table(rows: list[list[str]]) -> str:
    """Markdown; the first row is the head."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def score_table(report: dict, names: list[str]) -> str:
    """Errors of some columns of an evaluation: value, and share of the truth's mean final value."""
    found = {name: {r["quantity"]: r for r in result(report, name)["table"]} for name in names}
    quantities = list(dict.fromkeys(q for rows in found.values() for q in rows))
    rows = [["error (RMSE)", *names]]
    for q in quantities:
        cells = [found[n].get(q) for n in names]
        unit = next(c["unit"] for c in cells if c)
        rows.append([q if unit == "1" else f"{q} ({unit})", *(cell(c) for c in cells)])
    return table(rows)


def cell(row: dict | None) -> str:
    if row is None or row["value"] is None:
        return "-"
    share = "" if row["share"] is None else f" ({100 * row['share']:.0f} %)"
    return f"{row['value']:.3g}{share}"


def by_load(report: dict, piston: list[float]) -> str:
    """Final hot area and burned fraction of every set-aside case, truth and what the head says."""
    head, mean = result(report, "bundle, head")["scores"], result(report, "mean curve")["scores"]
    truth = head["truth_curves"]
    rows = [["piston (m/s)", "hot area, truth (um2)", "head", "burned, truth", "head",
             "area error / final, head", "mean curve", "burned error / final, head",
             "mean curve"]]  # fmt: skip
    final = {"area": report["truth"]["area"], "burned, direct": report["truth"]["burned fraction"]}
    for i in sorted(range(len(report["cases"])), key=lambda i: piston[report["cases"][i]]):
        errors = [100 * s["per_case"][q][i] / final[q] for q in final for s in (head, mean)]
        rows.append([
            f"{piston[report['cases'][i]]:.0f}",
            f"{1e12 * truth['area'][i][-1]:.2f}", f"{1e12 * head['curves']['area'][i][-1]:.2f}",
            f"{truth['burned'][i][-1]:.3f}", f"{head['curves']['burned'][i][-1]:.3f}",
            *(f"{e:.1f} %" for e in errors),
        ])  # fmt: skip
    return table(rows)


def budget_table(report: dict) -> str:
    """Where the errors come from: truth encoded at every frame, or dynamics restarted from it."""
    rows = [["truth put in", "hot area", "hot area, head", "burned, head", "T (K)"]]
    for name, text in (("no dynamics", "at every frame"), ("1 step", "before every step"),
                       ("8 steps", "every 8 frames"), ("bundle", "at frame 0 only")):  # fmt: skip
        decoded, read = (
            {r["quantity"]: r for r in result(report, who)["table"]} for who in (name, f"{name}, head")
        )
        rows.append([text, cell(decoded["hot area"]), cell(read["hot area"]),
                     cell(read["burned, direct"]), cell(decoded["T"])])  # fmt: skip
    return table(rows)


def write_card(bundle: Path, scores: dict, files: dict[str, Path], spent: dict[str, float]) -> str:
    """The model card, every number of it measured by this script."""
    piston, data = facts(files)
    loaded = mld.Bundle.load(bundle)
    size = sum(f.stat().st_size for f in bundle.iterdir()) / 1e6
    low, high = loaded.load_range
    times = table([
        ["one meso movie, one core", "seconds", "DNS / this"],
        *([name, f"{s:.3g}", f"{spent['DNS'] / s:.0f}"] for name, s in spent.items()),
    ])  # fmt: skip
    columns = ["bundle", "bundle, head", "mean curve", "persistence"]
    return f"""# {NAME}

Surrogate of shocked porous HMX (model material of this package's DNS), {size:.1f} MB. Fields
{", ".join(loaded.config.fields)}; pixel {1e9 * loaded.pixel:.0f} nm; meso step
{1e9 * loaded.meso_step:.3f} ns, micro step {1e9 * loaded.micro_step:.3f} ns; horizon {loaded.horizon} frames.

- **Data**: {data}. The test files were never used in training or selection.
- **Range**: piston speeds {low:.0f} to {high:.0f} m/s into solid; void packs as the `meso` preset draws them.
- **Made by** `python examples/02_hmx_compact.py` with the training preset `{NAME}`.

## Scores on the {len(scores["meso"]["cases"])} set-aside meso cases, whole movies from frame 0

{score_table(scores["meso"], columns)}

In brackets: share of the truth's mean value in the last frame. `mean curve`: the training cases' curves
regressed on the piston speed.

## By load

{by_load(scores["meso"], piston)}

![Hot-spot curves of the cases](figures/{NAME}-curves.png)
![The worst case, truth beside prediction](figures/{NAME}-worst.png)

*Second picture: the worst case by the head's hot area: temperature, pressure and solid fraction, truth above
prediction above error, and the latents.*

## Where the errors come from

{budget_table(scores["meso"])}

## Scores on the {len(scores["micro"]["cases"])} set-aside micro cases

{score_table(scores["micro"], columns)}

## Cost

{times}

## Limits

A model of this package's DNS, not of an explosive: two-dimensional, one-step kinetics, model material.
Outside the range of loads, of porosities and of void sizes above it extrapolates. Frames are Eulerian:
material enters at the left and leaves at the right, and the burned fraction is that of what is inside. It
evolves means only and has no spread of its own; the closure's uncertainty is the head's burn-rate error on
validation rollouts.
"""


def install(bundle: Path, card: str, pictures: dict[str, Path]) -> None:
    """Replace the packaged bundle by a better one, by the head's errors on the validation cases."""
    target = PACKAGED / NAME
    score = validation(bundle)
    if is_bundle(target) and (there := validation(target)) <= score:
        print(f"the packaged bundle stays: its score is {there:.4f}, the new one's {score:.4f}")
        return
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(bundle, target)
    (PACKAGED / f"{NAME}.md").write_text(card)
    for name, picture in pictures.items():
        shutil.copy(picture, PACKAGED / "figures" / f"{NAME}-{name}.png")
    print(f"installed, validation score {score:.4f}")


def validation(bundle: Path) -> float:
    """Mean error of hot area and burned fraction on validation rollouts, as shares of the final values."""
    return mld.Bundle.load(bundle).provenance["scores"]["head"]["score"]


if __name__ == "__main__":
    main()
