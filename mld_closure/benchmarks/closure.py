"""What a closure costs: seconds of a cell and frame by readout, precision and batch, and of idle cells.

A cell frame is one step of the model and its readout, as a running closure does them; a cell is encoded once
before. Why the engine itself is timed: copies, draws and checks between the networks are part of the price.
"""

from __future__ import annotations

import itertools
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.flop_counter import FlopCounterMode

import mld_closure as mld

from ..closure.options import EngineOptions, ReadoutOptions
from ..device import Device, choose
from ..dns.eos import Material
from ..dns.kinetics import Kinetics
from ..dns.loading import PROFILE_COLUMNS, shocked_solver
from ..grids import check_frame
from ..models.bundle import Bundle, is_bundle
from ..models.dynamics import LatentDynamics
from ..patches.specimen import Specimen
from ..surrogate.compiled import CompiledStep, load_step, read_facts
from ..surrogate.engine import Engine
from ..surrogate.readers import make_reader
from ..testing import random_networks
from .models import best_time, matrix_peak

SHIPPED = "hmx-compact"
UP = 900.0  # m/s
PIECES = 8  # of a frame interval
PEAK = {"fp32": "fp32", "bf16": "bf16", "bf16-decode": "bf16"}  # precision of most of the work
STEP = {"fp32": "fp32", "bf16": "bf16", "bf16-decode": "fp32"}  # precision of the step


@dataclass(frozen=True)
class CellCost:
    """One measurement; gflop and seconds are of one cell and frame, encode_seconds of one cell.

    every: frames from one that is read to the next. compiled: whether the step was. peak: GFLOP/s of the
    matrix product at the precision of most of the work, measured just before. seconds is None where it was
    left out as too long.
    """

    readout: str
    precision: str
    every: int
    compiled: bool
    batch: int
    gflop: float
    seconds: float | None
    encode_seconds: float | None
    peak: float

    @property
    def rate(self) -> float | None:
        """Cell frames per second."""
        return 1.0 / self.seconds if self.seconds else None

    def share(self, peak: float) -> float | None:
        """Share of a matrix-product rate (GFLOP/s)."""
        return self.gflop / self.seconds / peak if self.seconds else None

    def whole(self, frames: int) -> float | None:
        """Seconds of a cell from its encoding to its last frame."""
        return self.encode_seconds + frames * self.seconds if self.seconds else None


def measure(
    bundle: str | Path | None = None,
    *,
    frame: tuple[int, int] = (320, 480),
    batches: Sequence[int] = (1, 8),
    precisions: Sequence[str] = ("fp32", "bf16", "bf16-decode"),
    readouts: Sequence[str] = ("head", "decode"),
    read_every: Sequence[int] = (1,),
    decode_fields: tuple[str, ...] | None = None,
    compiled: Sequence[str | Path] = (),
    limit: float = 20.0,
    dns_frames: int = 1,
    threads: int = 1,
    report: Callable[[str], None] = lambda what: None,
) -> dict[str, Any]:
    """All figures of a bundle's cells beside the simulation they stand for, JSON-ready.

    Parameters
    ----------
    bundle : str or Path, optional
        Name or path; by default the shipped one, or random networks of its size where there is none.
    frame : tuple of int
        (ny, nx) of a cell in pixels.
    batches, precisions, readouts, read_every, decode_fields, compiled, limit
        See `cell_costs`.
    dns_frames : int
        Frame intervals that are simulated.
    threads : int
        CPU threads of torch.
    report : callable
        Called with a few words after each measurement.
    """
    check_frame(*frame)
    loaded, name = _open(bundle)
    where = choose("cpu", "fp32", threads)
    dns = dns_seconds(frame, loaded.pixel, loaded.meso_step, dns_frames)
    costs, peaks = [], {}
    found = cell_costs(
        loaded, where, frame=frame, batches=batches, precisions=precisions, readouts=readouts,
        read_every=read_every, decode_fields=decode_fields, compiled=compiled, limit=limit,
    )  # fmt: skip
    for cost in found:
        costs.append(cost)
        report(f"{cost.readout} {cost.precision} {cost.batch}")
        kind = PEAK[cost.precision]
        peaks[kind] = max(peaks.get(kind, 0.0), cost.peak)
    horizon = loaded.horizon
    return {
        "machine": f"{platform.processor() or platform.machine()}, {where.threads} threads",
        "bundle": name,
        "frame": frame,
        "horizon": horizon,
        "dns_seconds_per_frame": dns,
        "peak_gflops": peaks,
        "results": [
            {
                "readout": c.readout,
                "precision": c.precision + (", compiled" if c.compiled else ""),
                "read_every": c.every,
                "batch": c.batch,
                "gflop": c.gflop,
                "seconds": c.seconds,
                "cell_frames_per_second": c.rate,
                "of_peak": c.share(peaks[PEAK[c.precision]]),
                "encode_seconds": c.encode_seconds,
                "to_dns": horizon * dns / c.whole(horizon) if c.seconds else None,
            }
            for c in costs
        ],
        "idle_seconds_per_1000_cells": idle_cost(loaded),
    }


def _open(bundle: str | Path | None) -> tuple[Bundle, str]:
    """The bundle to time, and what to call it."""
    if bundle is not None or is_bundle(SHIPPED):
        return Bundle.load(bundle or SHIPPED), str(bundle or SHIPPED)
    return random_networks(), "compact networks with random weights"


def dns_seconds(frame: tuple[int, int], pixel: float, interval: float, frames: int) -> float:
    """Seconds that the solver takes for one frame interval (s) of a porous cell, by the fastest piece of it.

    The fastest counts for the networks too, so that other work on the machine slows neither.
    """
    ny, nx = frame
    mu = Specimen.generate((ny, nx), pixel, 0, porosity=0.1).window(0, 0, nx, ny).copy()
    mu[:, :PROFILE_COLUMNS] = 1.0
    solver = shocked_solver(mu, UP, pixel, Material(), Kinetics())
    end = 0.02 * interval
    solver.run(end)  # compiles
    fastest = float("inf")
    for _ in range(PIECES * frames):
        end += interval / PIECES
        begun = time.perf_counter()
        solver.run(end)
        fastest = min(fastest, time.perf_counter() - begun)
    return PIECES * fastest


def cell_costs(
    bundle: Bundle,
    device: Device,
    *,
    frame: tuple[int, int],
    batches: Sequence[int],
    precisions: Sequence[str],
    readouts: Sequence[str] = ("head", "decode"),
    read_every: Sequence[int] = (1,),
    decode_fields: tuple[str, ...] | None = None,
    compiled: Sequence[str | Path] = (),
    limit: float = 20.0,
) -> Iterator[CellCost]:
    """Measure the meso model of a bundle on frames (ny, nx), on the device but for its precision.

    precisions: fp32 | bf16 | bf16-decode, the last for the decode readout only. read_every: frames from one
    that is read to the next. compiled: files of this bundle, each tried where its precision is asked for.
    limit: calls expected to take longer (s) are left out.
    """
    model, digest = bundle.model("meso"), bundle.content_hash()
    for readout in readouts:
        options = ReadoutOptions(kind=readout, fields=decode_fields if readout == "decode" else None)
        reader, _ = make_reader(bundle, model, options)
        gflop: dict[int, float] = {}
        for precision in precisions:
            if precision == "bf16-decode" and not reader.decodes:
                continue
            where = replace(device, precision=precision)
            peak = matrix_peak("fp32" if precision == "fp32" else "bf16", where.torch)
            for path, every in itertools.product((None, *compiled), read_every):
                if every not in gflop:
                    gflop[every] = _gflop(Engine(model, reader, where, steps=every), frame)
                last = gflop[every] / peak
                for batch in batches:
                    step = None
                    if path is not None:
                        step = _fitting(path, digest, model, where, batch, frame)
                        if step is None:
                            continue
                    engine = Engine(model, reader, where, micro_batch=batch, step=step, steps=every)
                    seconds = encode = None
                    if batch * every * last <= limit:
                        encode, seconds = (s / batch for s in _times(engine, batch, frame, limit))
                        last = seconds
                    yield CellCost(
                        readout,
                        precision,
                        every,
                        path is not None,
                        batch,
                        gflop[every],
                        seconds,
                        encode,
                        peak,
                    )


def _fitting(
    path: str | Path, digest: str, model: LatentDynamics, device: Device, batch: int, frame: tuple[int, int]
) -> CompiledStep | None:
    """The compiled step of a file, None where it is of another precision; BundleError for other misfits."""
    if read_facts(path).precision != STEP[device.precision]:
        return None
    options = EngineOptions(patch_shape=frame, compiled=str(path), micro_batch=batch)
    step = load_step(options, digest, model, device)
    step.fit(options)
    return step


def _times(engine: Engine, batch: int, frame: tuple[int, int], limit: float) -> tuple[float, float]:
    """Seconds of encoding a batch, and of advancing and reading it, a frame."""
    latents = engine.empty(batch, frame)
    frames = np.random.default_rng(0).random((batch, len(engine.model.config.fields), *frame), np.float32)
    everything, loads = np.arange(batch), np.zeros(batch, np.float32)
    arguments = (latents, everything, loads, everything)
    device = engine.device.torch
    encode = best_time(lambda: engine.encode(*arguments, lambda positions: frames[positions]), device, limit)
    return encode, best_time(lambda: engine.advance(*arguments), device, limit) / engine.steps


def _gflop(engine: Engine, frame: tuple[int, int]) -> float:
    """GFLOP of a frame of one cell among others, its share of a readout with it."""
    latents, pair = engine.empty(2, frame), np.arange(2)
    with FlopCounterMode(display=False) as counter:
        engine.advance(latents, pair, np.zeros(2, np.float32), pair)
    return counter.get_total_flops() / 2e9 / engine.steps


def idle_cost(bundle: Bundle, cells: int = 10_000, repeats: int = 50) -> dict[str, float]:
    """Seconds per thousand cells of one `advance` and one `commit` with no active cell, best of repeats."""
    patch = np.ones((32, 96), np.float32)
    best = {"advance": float("inf"), "commit": float("inf")}
    with mld.open(bundle, device="cpu", threads=1) as closure:
        closure.register(np.arange(cells), patches=np.broadcast_to(patch, (cells, *patch.shape)))
        pressure = np.full(cells, 1e5)
        for step in range(repeats):
            closure.begin_step(1e-9 * step, 1e-9)
            begun = time.perf_counter()
            closure.advance(pressure=pressure)
            advanced = time.perf_counter()
            closure.commit()
            committed = time.perf_counter()
            best["advance"] = min(best["advance"], advanced - begun)
            best["commit"] = min(best["commit"], committed - advanced)
    return {name: 1e3 * seconds / cells for name, seconds in best.items()}
