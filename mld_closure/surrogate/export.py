"""Compile a model's step ahead of time for this machine, weights frozen in; compare it with the eager one.

A file is kept only where its first step agrees with the eager one (`agreement.TOLERANCE`).

Why one micro step: a meso step repeats it with the same weights, and half the code compiles in half the time.
Threads are asked for at run time, so that one file serves any number of them.
"""

from __future__ import annotations

import dataclasses
import json
import time
import uuid
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .. import durable
from .. import fields as field_table
from ..device import Device
from ..grids import LATENT_FACTOR, check_frame
from ..models.bundle import Bundle
from ..models.dynamics import Latent, LatentDynamics
from ..models.readout_head import EXTRA as HEAD
from ..models.readout_head import QUANTITIES, ReadoutHead
from ..patches.specimen import Specimen
from .agreement import eager_step, require_agreement, trial_latents
from .compiled import FORMAT, KEY, CompiledStep, Facts, check, instruction_sets, read_facts, seal
from .frame0 import EXTRA as LOADING
from .frame0 import LoadTable

MOST = 4096  # cells at once where the batch is free


class _MicroStep(torch.nn.Module):
    """One micro step on plain tensors, in the precision of the file."""

    def __init__(self, model: LatentDynamics, precision: str) -> None:
        super().__init__()
        self.model, self.low = model, precision == "bf16"

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        *latent, load = tensors
        mean, logvar = latent if len(latent) == 2 else (latent[0], latent[0])
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.low):
            out = self.model.micro_step(Latent(mean, logvar), load)
        # Packed like the inputs: the outputs of one micro step are the inputs of the next.
        return tuple(x.contiguous() for x in out[: len(latent)])


def export(
    bundle: Bundle,
    out: str | Path,
    *,
    frame_shape: tuple[int, int],
    scale: str = "meso",
    precision: str = "fp32",
    micro_batch: int | None = None,
) -> Facts:
    """Compile the step of a bundle's model into the file `out`, if it agrees with the eager step.

    frame_shape: (ny, nx) of the patches it will serve. precision: fp32 | bf16. micro_batch: a fixed number of
    cells at once (fewer are padded), None for any number. Needs a C++ compiler and about a minute. Raises
    ValueError for a frame that does not fit, RuntimeError where compiling fails, and BundleError where the
    compiled step differs from the eager one in the same precision; `out` is left as it was then.
    """
    check_frame(*frame_shape)
    if precision not in ("fp32", "bf16"):
        raise ValueError(f"precision '{precision}' of a compiled step: choose fp32 | bf16")
    if micro_batch is not None and not 1 <= micro_batch <= MOST:
        raise ValueError(f"micro_batch must be from 1 to {MOST}, got {micro_batch}")
    model: LatentDynamics = bundle.to("cpu").model(scale)
    facts = Facts(
        FORMAT, bundle.content_hash(), scale, precision, frame_shape, instruction_sets(),
        str(torch.__version__), micro_batch,
    )  # fmt: skip
    ny, nx = (side // LATENT_FACTOR for side in frame_shape)
    cells = micro_batch or 4
    latent = [torch.zeros(cells, model.config.latent_size, ny, nx)] * (1 + model.config.evolve_logvar)
    inputs = (*(x.clone() for x in latent), torch.zeros(cells))
    out = Path(out)
    durable.make_folder(out.absolute().parent)
    temporary = out.with_name(f".{out.stem}-{uuid.uuid4().hex[:8]}.pt2")
    try:
        _compile(_MicroStep(model, precision).eval(), inputs, micro_batch is None, facts, temporary)
        seal(temporary)
        _require_agreement(bundle, model, temporary, f"the step compiled for {out}")
        durable.sync(temporary)
        durable.rename(temporary, out)
    finally:
        temporary.unlink(missing_ok=True)
    return facts


def _compile(
    step: torch.nn.Module, inputs: tuple[torch.Tensor, ...], any_batch: bool, facts: Facts, path: Path
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of torch, importing its own compiler
        import torch._inductor
        from torch._inductor.utils import fresh_cache

        shapes = None
        if any_batch:
            batch = torch.export.Dim("batch", min=1, max=MOST)
            shapes = (tuple({0: batch} for _ in inputs),)  # one variadic argument
        configs = {
            "freezing": True,
            "cpp.dynamic_threads": True,
            "aot_inductor.precompile_headers": False,
            "aot_inductor.metadata": {KEY: json.dumps(dataclasses.asdict(facts))},
        }
        with torch.no_grad(), fresh_cache():
            program = torch.export.export(step, inputs, dynamic_shapes=shapes)
            torch._inductor.aoti_compile_and_package(
                program, package_path=str(path), inductor_configs=configs
            )


@torch.inference_mode()
def _require_agreement(bundle: Bundle, model: LatentDynamics, path: Path, what: str) -> None:
    """BundleError unless a compiled file agrees with the eager step on random and on encoded latents."""
    facts = read_facts(path)
    step = CompiledStep(path, facts, model)
    frame0, load = _start(bundle, 2, facts.frame_shape)
    for start in (trial_latents(model, facts.frame_shape), (model.encode(frame0), load)):
        require_agreement(what, step, model, facts.precision, *start)


@torch.inference_mode()
def compare(
    bundle: Bundle, path: str | Path, device: Device, *, cells: int = 8, frames: int | None = None
) -> dict[str, Any]:
    """How a compiled file differs from the eager step of its bundle, and what both cost, on `cells` cells.

    Starts from encoded frames 0 of a porous specimen (noise where the bundle has no load table) and rolls out
    `frames` (the bundle's horizon by default). Returns seconds per cell and frame, eager and compiled;
    greatest differences of the latents after the first and the last frame, beside the greatest latent, and
    the same for the eager step in this precision against fp32; and of each readout (SI) over all frames where
    the bundle has a head. Raises BundleError where the first step is not close to the eager one.
    """
    facts = read_facts(path)
    check(path, facts, bundle.content_hash(), facts.scale, device, facts.micro_batch or 1)
    model: LatentDynamics = bundle.model(facts.scale)
    cells = facts.micro_batch or cells
    compiled = CompiledStep(path, facts, model)
    frame0, load = _start(bundle, cells, facts.frame_shape)
    first = model.encode(frame0)

    require_agreement(str(path), compiled, model, facts.precision, first, load)
    steps = {
        "eager": eager_step(model, facts.precision), "compiled": compiled, "exact": eager_step(model, "fp32"),
    }  # fmt: skip
    count = frames or bundle.horizon
    movies = {name: _roll(step, first, load, count) for name, step in steps.items()}
    seconds = _times({name: steps[name] for name in ("eager", "compiled")}, first, load)
    latents = {
        "compiled_to_eager": _apart(movies["compiled"], movies["eager"]),
        "eager_to_fp32": _apart(movies["eager"], movies["exact"]),
        "greatest": [_size(movies["eager"][k]) for k in (0, -1)],
    }
    return {
        **dataclasses.asdict(facts),
        "cells": cells,
        "frames": count,
        "seconds": {name: value / cells for name, value in seconds.items()},
        "speedup": seconds["eager"] / seconds["compiled"],
        "latents": latents,
        "readouts": _readouts(bundle, movies, load),
    }


def _start(bundle: Bundle, cells: int, shape: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Scaled frames 0 (cells, field, y, x) of a porous specimen, and scaled loads (cells,)."""
    low, high = bundle.load_range
    up = np.linspace(low, high, cells)
    load = torch.tensor(bundle.config.scale_load(up), dtype=torch.float32)
    if LOADING not in bundle.extras:
        noise = torch.rand(
            cells, len(bundle.config.fields), *shape, generator=torch.Generator().manual_seed(0)
        )
        return noise, load
    specimen = Specimen.generate((shape[0], cells * shape[1]), bundle.pixel, 0, porosity=0.1)
    mu = np.stack([specimen.window(k * shape[1], 0, shape[1], shape[0]) for k in range(cells)])
    frames = LoadTable.from_bundle(bundle).frame0(mu, up, bundle.config.fields)
    for i, name in enumerate(bundle.config.fields):
        frames[:, i] = field_table.get(name).scale(frames[:, i])
    return torch.from_numpy(frames), load


def _roll(step: Callable[..., Latent], z: Latent, load: torch.Tensor, count: int) -> list[Latent]:
    movie = []
    for _ in range(count):
        z = step(z, load)
        movie.append(z)
    return movie


def _times(steps: dict[str, Callable[..., Latent]], z: Latent, load: torch.Tensor) -> dict[str, float]:
    """Seconds of a call of each, in turn, the best of five."""
    best = dict.fromkeys(steps, float("inf"))
    for _ in range(5):
        for name, step in steps.items():
            begun = time.perf_counter()
            step(z, load)
            best[name] = min(best[name], time.perf_counter() - begun)
    return best


def _apart(a: list[Latent], b: list[Latent]) -> list[float]:
    """Greatest difference after the first and after the last frame."""
    pairs = [zip(a[k], b[k], strict=True) for k in (0, -1)]
    return [max(float((x - y).abs().max()) for x, y in pair) for pair in pairs]


def _size(z: Latent) -> float:
    return max(float(x.abs().max()) for x in z)


def _readouts(
    bundle: Bundle, movies: dict[str, list[Latent]], load: torch.Tensor
) -> dict[str, dict[str, float]] | None:
    """Greatest differences of each quantity over cells and frames; None without a head."""
    if HEAD not in bundle.extras:
        return None
    head = ReadoutHead.from_extra(bundle.extras[HEAD])
    values = {name: torch.stack([head(z.mean, load) for z in movie]) for name, movie in movies.items()}
    pairs = {"compiled_to_eager": ("compiled", "eager"), "eager_to_fp32": ("eager", "exact")}
    greatest = {n: (values[a] - values[b]).abs().amax(dim=(0, 1)) for n, (a, b) in pairs.items()}
    return {n: dict(zip(QUANTITIES, map(float, worst), strict=True)) for n, worst in greatest.items()}
