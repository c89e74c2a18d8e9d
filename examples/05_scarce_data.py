"""Does learning the micro scale first pay where meso simulations are scarce? Error against their number K.

Three methods get the same K meso movies, the same four validation movies, the same wall time on one thread
and the same set-aside movies: (a) the surrogate, pre-trained on micro movies; (b) the same networks trained
on the K meso movies alone; (c) PARCv2. Hot area and burned fraction are what each method says of them: (a)
and (b) by their readout head, PARCv2 by the fields it predicts, which is given for all three too. Beside
them stands the mean curve of the K movies at the case's load. All that (a) does with micro movies counts
inside its budget, reading and encoding included; making movies counts for no method. Seeds change the
initial weights and which K movies there are.

    python 05_scarce_data.py --out study --workers 2     # small domain, about 40 min on two free cores
    python 05_scarce_data.py --out full --full --device cuda --minutes 30

Interrupt at any time; the same command goes on: finished cases and finished runs are kept.
"""

import argparse
import json
import multiprocessing
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from multiprocessing.connection import wait
from pathlib import Path

import numpy as np

import mld_closure as mld
from mld_closure import config as tables
from mld_closure.dns.cases import MICRO_STEP, PRESETS, CaseConfig
from mld_closure.dns.microstructure import PackRules
from mld_closure.simulation import simulate

RECIPES = Path(__file__).parent / "cases" / "scarce_data.toml"
METHODS = {
    "micro": "(a) with micro pre-training",
    "plain": "(b) without",
    "parc": "(c) PARCv2",
    "mean": "mean curve of the K cases",
    "still": "nothing changes",
}
TRAINED = ("micro", "plain", "parc")
QUANTITIES = {  # name in a run's file: title, factor for people, decimals
    "hot_area": ("hot-area curve [% of final]", 100.0, 0),
    "decoded_area": ("the same, on decoded fields [% of final]", 100.0, 0),
    "burned": ("burned fraction [% of final]", 100.0, 0),
    "temperature": ("temperature RMSE [K]", 1.0, 0),
    "front_delay": ("front delay, unsigned [frames]", 1.0, 2),
}
SEEDS = {"train": 301, "validation": 306, "test": 303, "micro": 304}  # of the files of movies
COUNTS = {"train": 16, "validation": 4, "test": 8, "micro": 40}
SMALL_PACK = PackRules(median=18.0, smallest=10.0, largest=32.0, gap=5.0)
FAIR = 0.9  # share of a core that a training must have had


@dataclass(frozen=True)
class Domain:
    """What is simulated: cases of both scales, and how many of them in each file."""

    micro: CaseConfig
    meso: CaseConfig
    counts: Mapping[str, int]


SMALL = Domain(
    CaseConfig(
        "micro",
        (64, 128),
        frames=14,
        frame_interval=MICRO_STEP,
        diameter=(14.0, 32.0),
        pack=replace(SMALL_PACK, first_column=36.0),
    ),
    CaseConfig("meso", (96, 160), frames=12, frame_interval=2 * MICRO_STEP, voids=(2, 8), pack=SMALL_PACK),
    COUNTS,
)
DOMAINS = {
    "small": SMALL,
    "full": Domain(PRESETS["micro"], PRESETS["meso"], COUNTS),
    "quick": Domain(
        replace(SMALL.micro, frames=3, shape=(64, 64), diameter=(10.0, 12.0)),
        replace(SMALL.meso, frames=3, shape=(64, 96), voids=(1, 8)),
        {"train": 2, "validation": 4, "test": 1, "micro": 1},
    ),
}


@dataclass(frozen=True)
class Job:
    """One training and its score."""

    method: str
    k: int
    seed: int
    minutes: float
    domain: str
    device: str
    folder: Path

    @property
    def result(self) -> Path:
        """The file that says it is done."""
        return self.folder / "runs" / f"{self.method}-k{self.k:02d}-seed{self.seed}.json"

    def asked(self):
        """What a finished run must have been asked for to count as this one."""
        asked = {"domain": self.domain}
        if self.method in TRAINED:
            asked |= {"minutes": self.minutes, "recipe": tables.to_dict(recipe(self))}
        return json.loads(json.dumps(asked))


def recipe(job):
    """The training configuration of a job."""
    from mld_closure.training.curriculum import Phase
    from mld_closure.training.settings import TrainConfig

    table = tables.read_toml(RECIPES)["parc" if job.method == "parc" else "surrogate"]
    settings = replace(tables.from_dict(TrainConfig, table, str(RECIPES)), seed=job.seed)
    if job.method == "plain":
        stages = tuple(s for s in settings.stages if s.kind in ("vae", "meso", "head"))
        settings = replace(settings, stages=stages)
    if job.domain == "full":
        model = settings.model | {"base": 64}
        settings = replace(settings, model=model, parc=replace(settings.parc, base=64, integrator="rk4"))
    if job.domain == "quick":
        stages = tuple(replace(s, phases=(Phase(horizon=2, steps=2),), batch=2) for s in settings.stages)
        parc = replace(settings.parc, base=2)
        settings = replace(settings, stages=stages, model=settings.model | {"base": 4}, parc=parc)
    return settings


def make_data(domain, folder, workers):
    """Simulate what is missing of the four files."""
    for name, count in domain.counts.items():
        case = domain.micro if name == "micro" else domain.meso
        print(f"movies: {count} of {name}", flush=True)
        simulate(
            case.kind,
            count,
            folder / f"{name}.h5",
            seed=SEEDS[name],
            config=case,
            workers=workers,
        )


def chosen(job, n_train):
    """Which training cases a run may see: K in a row from a seeded start, as loads in a row spread well."""
    start = int(np.random.default_rng([job.seed, 5]).integers(n_train))
    return [(start + i) % n_train for i in range(job.k)]


def subset(job, path):
    """Write a file of the K cases and the validation cases, these where the run will set them aside."""
    from mld_closure.data.store import write_trajectories
    from mld_closure.data.windows import split_cases

    with (
        mld.Trajectories(job.folder / "train.h5") as train,
        mld.Trajectories(job.folder / "validation.h5") as validation,
    ):
        own = [(train, case) for case in chosen(job, train.n_cases)]
        aside = [(validation, case) for case in range(validation.n_cases)]
        split = split_cases(len(own) + len(aside), len(aside), job.seed)
        places = dict(zip((*split.train, *split.validation), own + aside, strict=True))
        cases = (
            (
                place,
                dict(zip(file.fields, np.moveaxis(file.read(case), 1, 0), strict=True)),
                {name: float(v[case]) for name, v in file.scalars.items() if name != "case"},
                file.description(case),
            )
            for place, (file, case) in sorted(places.items())
        )
        spec = replace(train.spec, n_cases=len(places), configuration={"subset": job.asked()})
        write_trajectories(path, spec, cases)


def run(job):
    """Train and score one job and leave its file; returns what to say about it."""
    from mld_closure import device
    from mld_closure.training import checkpoints
    from mld_closure.training.baselines import MeanCurves, persistence
    from mld_closure.training.forecasts import read_rollout, rollout
    from mld_closure.training.scoring import score

    place = device.choose(job.device, "fp32", 1)
    facts = {}
    with (
        tempfile.TemporaryDirectory(dir=job.folder) as scratch,
        mld.Trajectories(job.folder / "test.h5") as test,
    ):
        fields = ("temperature", "pressure", "microstructure")
        if job.method == "still":
            judged = [persistence(test, fields)]
        elif job.method == "mean":
            with mld.Trajectories(job.folder / "train.h5") as train:
                judged = [MeanCurves(train, chosen(job, train.n_cases)).forecaster(test)]
        else:
            model, head, facts = trained(job, Path(scratch), place)
            fields = model.config.fields
            judged = [rollout(model, test)]
            if head is not None:
                judged.append(read_rollout(model, head, test))
        scores = [score(one, test, range(test.n_cases), fields) for one in judged]
    decoded, read = scores[0], scores[-1]
    burned = read.burned.get("direct", read.burned["area proxy"])
    found = {
        "hot_area": read.share("area", read.hotspots["area"]),
        "decoded_area": decoded.share("area", decoded.hotspots["area"]) if facts else None,
        "burned": read.share("burned fraction", burned),
        "temperature": decoded.fields.get("temperature"),
        "front_delay": abs(decoded.arrival_bias) if np.isfinite(decoded.arrival_bias) else None,
        "final_area_bias": read.share("area", read.final_area_bias),
    }
    text = {"method": job.method, "k": job.k, "seed": job.seed, "errors": found, **facts}
    text |= {"scores": read.to_dict(), "asked": job.asked()}
    job.result.parent.mkdir(exist_ok=True)
    checkpoints.write_text(job.result, json.dumps(text, indent=1, allow_nan=False))
    return f"{job.method} K={job.k} seed {job.seed}: hot area {100 * (found['hot_area'] or 0):.0f} %"


def trained(job, scratch, place):
    """The model of a job, trained within its budget, its head (None for PARCv2), and how that went."""
    from mld_closure.models.bundle import Bundle
    from mld_closure.models.parc_file import load_parc
    from mld_closure.models.readout_head import EXTRA, ReadoutHead
    from mld_closure.training.run import Run

    subset(job, scratch / "meso.h5")
    micro = job.folder / "micro.h5" if job.method == "micro" else None
    settings, begun, worked = recipe(job), time.perf_counter(), time.process_time()
    training = Run(settings, scratch / "run", micro, scratch / "meso.h5", device=place)
    summary = training.train(budget=60.0 * job.minutes)
    facts = {
        "seconds": round(time.perf_counter() - begun, 1),
        "cpu_seconds": round(time.process_time() - worked, 1),
        "steps": summary.steps,
        "stage_seconds": {name: round(s, 1) for name, s in summary.seconds.items()},
        "validation": summary.validation[settings.stages[-1].name],
    }
    if job.method == "parc":
        return load_parc(scratch / "run" / "parc.safetensors", place.name), None, facts
    bundle = Bundle.load(scratch / "run" / "bundle", place.name)
    return bundle.meso, ReadoutHead.from_extra(bundle.extras[EXTRA]), facts


def open_jobs(jobs):
    """The jobs without a file; a file that was made for something else is an error."""
    for job in jobs:
        if job.result.exists() and json.loads(job.result.read_text())["asked"] != job.asked():
            sys.exit(f"{job.result} was made with other settings; choose another --out or remove it")
    return [job for job in jobs if not job.result.exists()]


def end_with_parent():
    """Worker start: a thread that ends this process as soon as the parent is gone, however it went."""

    def watch():
        wait([multiprocessing.parent_process().sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def do(jobs, workers):
    """Run the jobs, `workers` at a time in processes of their own."""
    missing = open_jobs(jobs)
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, spawn, end_with_parent) as pool:
        for future in as_completed([pool.submit(run, job) for job in missing]):
            print(future.result(), flush=True)


def gather(jobs):
    """Errors by quantity and method as points (K, error), from the runs' files."""
    points = {q: {method: [] for method in METHODS} for q in QUANTITIES}
    for job in jobs:
        errors = json.loads(job.result.read_text())["errors"]
        for quantity, by_method in points.items():
            if errors[quantity] is not None:
                by_method[job.method].append((job.k, errors[quantity]))
    return points


def markdown(points, counts):
    """A table: one row per method and K, means over seeds, in brackets the least and greatest."""
    heads = ["method", "K", *(title for title, _, _ in QUANTITIES.values())]
    lines = [" | ".join(heads), " | ".join("---" for _ in heads)]
    for method, label in METHODS.items():
        for k in [0] if method == "still" else counts:
            cells = []
            for quantity, (_, factor, digits) in QUANTITIES.items():
                values = [factor * e for count, e in points[quantity][method] if count == k]
                cells.append(spread(values, digits))
            lines.append(" | ".join([label, str(k) if k else "-", *cells]))
    return "".join(f"| {line} |\n" for line in lines)


def spread(values, digits):
    """Mean (least to greatest) of the seeds, or a dash."""
    if not values:
        return "-"
    low, mean, high = (f"{v:.{digits}f}" for v in (min(values), float(np.mean(values)), max(values)))
    return mean if len(values) == 1 else f"{mean} ({low} to {high})"


def verdict(points, counts):
    """Where (a) has the lower hot-area error than each other, on average and for every seed."""
    area = points["hot_area"]
    sentences = []
    for other in ("plain", "parc", "mean"):
        better, always = [], []
        for k in counts:
            ours, theirs = ([e for c, e in area[m] if c == k] for m in ("micro", other))
            if np.mean(ours) < np.mean(theirs):
                better.append(k)
            if max(ours) < min(theirs):
                always.append(k)
        at, sure = (", ".join(map(str, found)) or "none" for found in (better, always))
        sentences.append(f"than {METHODS[other]} at K = {at} of {counts} (all seeds apart: {sure})")
    return "Hot-area error with micro pre-training is lower " + "; ".join(sentences) + "."


def starved_runs(jobs):
    """Names of CPU trainings whose budget of wall time was cut by others on their core."""
    timed = [job for job in jobs if job.method in TRAINED and job.device == "cpu" and job.minutes > 0]
    facts = {job.result.stem: json.loads(job.result.read_text()) for job in timed}
    return ", ".join(n for n, f in facts.items() if f["cpu_seconds"] < FAIR * f["seconds"])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("scarce_data"), help="folder of data and results")
    parser.add_argument("--minutes", type=float, default=3.0, help="budget of each training (3)")
    parser.add_argument("--cases", type=int, nargs="+", default=[2, 4, 8, 16], help="numbers K (2 4 8 16)")
    parser.add_argument("--seeds", type=int, default=2, help="how many (2)")
    parser.add_argument("--workers", type=int, default=1, help="runs at a time, one thread each (1)")
    parser.add_argument("--device", default="cpu", help="cpu | cuda[:i]")
    parser.add_argument("--full", action="store_true", help="320 x 480 frames and published sizes")
    parser.add_argument("--quick", action="store_true", help="everything tiny: does it run?")
    options = parser.parse_args()
    domain = "quick" if options.quick else "full" if options.full else "small"
    counts = [2] if options.quick else sorted(set(options.cases))
    if not 2 <= counts[0] <= counts[-1] <= DOMAINS[domain].counts["train"]:
        sys.exit(f"--cases {counts}: choose from 2 to {DOMAINS[domain].counts['train']}")
    minutes = 0.0 if options.quick else options.minutes  # 0: every stage takes its two steps
    out = options.out / domain
    out.mkdir(parents=True, exist_ok=True)
    still = Job("still", 0, 0, minutes, domain, options.device, out)
    seeds = range(1 if options.quick else options.seeds)
    methods = (*TRAINED, "mean")
    jobs = [replace(still, method=m, k=k, seed=s) for s in seeds for k in counts for m in methods]
    jobs.append(still)
    make_data(DOMAINS[domain], out, options.workers)
    for left in out.glob("tmp*"):  # of runs that were killed
        shutil.rmtree(left, ignore_errors=True)
    do(jobs, options.workers)
    report(jobs, counts, out)


def report(jobs, counts, out):
    """Figure, table, and the sentence, checked."""
    from mld_closure.viz.study import draw_study

    points = gather(jobs)
    panels = {
        title: {METHODS[m]: [(k, factor * e) for k, e in found] for m, found in points[q].items() if found}
        for q, (title, factor, _) in QUANTITIES.items()
        if any(found for m, found in points[q].items() if m in TRAINED)
    }
    picture = draw_study(panels, out / "scarce_data.png", "meso training cases K")
    table = markdown(points, counts)
    (out / "scarce_data.md").write_text(table)
    print(table)
    for k in counts:
        for method in (*TRAINED, "mean"):
            found = [e for count, e in points["hot_area"][method] if count == k]
            wanted = sum((job.method, job.k) == (method, k) for job in jobs)
            assert len(found) == wanted, f"{method}, K = {k}: {len(found)} of {wanted} runs have a score"
    if starved := starved_runs(jobs):
        print(f"Not a fair comparison: shared their core and got less than {FAIR:.0%} of it: {starved}")
    print(f"{verdict(points, counts)} [{picture}]")


if __name__ == "__main__":
    main()
