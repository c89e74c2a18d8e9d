"""What a closure costs: seconds of a cell and frame by readout, precision and batch, and of idle cells.

A cell frame is one step of the model and its readout, as a running closure does them; a cell is encoded once
before. Why the engine itself is timed: copies, draws and checks between the networks are part of the price.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from ..closure import closure as pipeline
from ..closure.options import Settings
from ..device import Device
from ..models.bundle import Bundle
from ..models.dynamics import LatentDynamics, MesoDynamics, MicroDynamics
from ..models.readout_head import EXTRA as HEAD
from ..models.readout_head import HeadConfig, ReadoutHead
from ..models.settings import PRESETS
from ..surrogate.compiled import CompiledStep, load_step, read_facts
from ..surrogate.engine import Engine
from ..surrogate.frame0 import EXTRA as LOADING
from ..surrogate.frame0 import LoadTable
from ..surrogate.readers import make_reader
from .models import best_time, matrix_peak

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
        """Cell frames a second."""
        return 1.0 / self.seconds if self.seconds else None

    def share(self, peak: float) -> float | None:
        """Share of a matrix-product rate (GFLOP/s)."""
        return self.gflop / self.seconds / peak if self.seconds else None

    def life(self, frames: int) -> float | None:
        """Seconds of a cell from its encoding to its last frame."""
        return self.encode_seconds + frames * self.seconds if self.seconds else None


def random_bundle(
    table: LoadTable, micro_step: float, load_range: tuple[float, float], base: int = PRESETS["compact"].base
) -> Bundle:
    """A bundle with random weights and a head; its networks cost what those of the shipped one do.

    base: channels of their first level, for networks that cost less.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        micro = MicroDynamics(
            replace(PRESETS["compact"], base=base, evolve_logvar=False, load_conditioning=True)
        )
        meso = MesoDynamics.from_micro(micro)
        head = ReadoutHead(HeadConfig(micro.config.latent_size))
    for model in (micro, meso):
        model.eval().requires_grad_(False)
    extras = {HEAD: head.to_extra(), LOADING: table.to_extra()}
    return Bundle(micro, meso, table.pixel, micro_step, 25, load_range, extras=extras)


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
    model, digest = bundle.meso, bundle.content_hash()
    for readout in readouts:
        settings = Settings(readout=readout, decode_fields=decode_fields if readout == "decode" else None)
        reader, _ = make_reader(bundle, model, settings)
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
    settings = Settings(patch_shape=frame, compiled=path, micro_batch=batch)
    step = load_step(settings, digest, model, device)
    step.fit(settings)
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
    """Seconds of one `advance` and of one `commit` with no active cell, a thousand cells, best of repeats."""
    patch = np.ones((32, 96), np.float32)
    best = {"advance": float("inf"), "commit": float("inf")}
    options = {"device": "cpu", "threads": 1, "warm_start": False}
    with pipeline.open(bundle, **options) as closure:
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
