"""How fast the networks run here: seconds, GFLOP, and the share of the highest rate that torch reaches here.

The peak is measured: the best of several matrix products and convolutions (`probes`), since the libraries
behind torch differ by path; `torch.mm` in bf16 may be thirty times slower than a convolution.
Why: only ratios taken in one run on one machine mean anything, so every part has its peak measured beside it.
"""

from __future__ import annotations

import copy
import functools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from ..models.dynamics import Latent, LatentDynamics, MesoDynamics, MicroDynamics
from ..models.parc import Parc, ParcConfig
from ..models.settings import PRESETS

SIZES = (*PRESETS, "parc")
PARTS = ("encode", "micro step", "meso step", "decode")
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
MEASURE = 0.5  # s of repetitions, where one takes less
PROBE = 0.15  # the same for a probe


@dataclass(frozen=True)
class Probe:
    """Work whose rate is measured: a `product` with torch.mm, a `linear` layer, or a `convolution`.

    size: (rows, inner, columns) of a product or a linear layer; (batch, channels, y, x, kernel) of a
    convolution on channels-last tensors.
    """

    kind: str
    size: tuple[int, ...]

    @property
    def gflop(self) -> float:
        """GFLOP of one call (a multiply-add is two)."""
        if self.kind != "convolution":
            return 2e-9 * math.prod(self.size)
        batch, channels, y, x, kernel = self.size
        return 2e-9 * batch * (channels * kernel) ** 2 * y * x

    def call(self, dtype: torch.dtype, device: torch.device) -> Callable[[], torch.Tensor]:
        """The work, on random numbers."""

        def random(*shape: int) -> torch.Tensor:
            return torch.rand(shape, device=device).to(dtype)

        if self.kind == "convolution":
            batch, channels, y, x, kernel = self.size
            image, weight = random(batch, channels, y, x), random(channels, channels, kernel, kernel)
            image, weight = (t.contiguous(memory_format=torch.channels_last) for t in (image, weight))
            return functools.partial(F.conv2d, image, weight, padding=kernel // 2)
        rows, inner, columns = self.size
        if self.kind == "linear":
            return functools.partial(F.linear, random(rows, inner), random(columns, inner))
        return functools.partial(torch.mm, random(rows, inner), random(inner, columns))


def probes(device: torch.device) -> tuple[Probe, ...]:
    """What the peak of a device is measured with, large enough to fill it."""
    images = 1 if device.type == "cpu" else 64
    small, square = ((4096, 256, 256), 1024) if device.type == "cpu" else ((65536, 1024, 1024), 8192)
    return (
        Probe("product", small),
        Probe("linear", small),
        Probe("linear", (square, square, square)),
        Probe("convolution", (4 * images, 64, 80, 120, 3)),
        Probe("convolution", (4 * images, 256, 20, 30, 3)),
        Probe("convolution", (2 * images, 128, 40, 60, 1)),
    )


@dataclass(frozen=True)
class Timing:
    """One measurement; seconds and GFLOP are for one sample, seconds None where it was skipped."""

    size: str
    part: str
    precision: str
    batch: int
    gflop: float
    seconds: float | None
    peak: float  # GFLOP/s of the fastest probe, just before

    @property
    def rate(self) -> float | None:
        """GFLOP/s."""
        return self.gflop / self.seconds if self.seconds else None

    def share(self, peak: float) -> float | None:
        """Share of a rate of `peak` GFLOP/s."""
        return self.rate / peak if self.rate is not None else None


def best_peaks(timings: Sequence[Timing]) -> dict[str, float]:
    """The highest rate of a probe at each precision (GFLOP/s): other work only ever lowers it."""
    return {
        p: max(t.peak for t in timings if t.precision == p)
        for p in dict.fromkeys(t.precision for t in timings)
    }


def matrix_peak(precision: str, device: torch.device, among: Sequence[Probe] | None = None) -> float:
    """GFLOP/s of the fastest of some probes (all by default), each by its best repetition."""
    return max(rates(precision, device, among or probes(device)).values())


def rates(precision: str, device: torch.device, among: Sequence[Probe]) -> dict[Probe, float]:
    """GFLOP/s of each probe, by its best repetition."""
    with torch.inference_mode():
        return {
            p: p.gflop / best_time(p.call(DTYPES[precision], device), device, PROBE, PROBE) for p in among
        }


def time_models(
    sizes: Sequence[str],
    *,
    frame: tuple[int, int],
    batches: Sequence[int],
    precisions: Sequence[str],
    device: torch.device,
    limit: float,
    parts: Sequence[str] = PARTS,
) -> Iterator[Timing]:
    """Measure every part of every size at each precision and batch size, on random weights.

    sizes: of `SIZES`; frame: (ny, nx) pixels; limit: seconds one call may take, longer ones are skipped (or
    timed once, where they turn out longer). A meso step of the baseline is one frame interval, and it has no
    micro step; its encoding and decoding are the identity and are left out.
    """
    fastest: dict[str, Probe] = {}  # by precision: later parts measure this one again
    for size in sizes:
        for part, (model, call, shape) in _calls(size, frame, device).items():
            if part not in parts:
                continue
            gflop = count_gflop(model, call, shape)
            for precision in precisions:
                among = [fastest[precision]] if precision in fastest else probes(device)
                measured = rates(precision, device, among)
                peak = max(measured.values())
                fastest.setdefault(precision, max(measured, key=measured.__getitem__))
                cast = copy.deepcopy(model).to(DTYPES[precision])
                last: float | None = None  # seconds per sample at the batch before
                for batch in batches:
                    seconds = None
                    if batch * (last or gflop / peak) <= limit:
                        x = torch.rand(batch, *shape, device=device).to(DTYPES[precision])
                        run = functools.partial(call, cast, x.contiguous(memory_format=torch.channels_last))
                        with torch.inference_mode():
                            last = seconds = best_time(run, device, limit) / batch
                    yield Timing(size, part, precision, batch, gflop, seconds, peak)


def best_time(
    call: Callable[[], object], device: torch.device, limit: float = float("inf"), measure: float = MEASURE
) -> float:
    """Seconds of the fastest call, repeated for `measure` (s) after one to warm up.

    Where the first call takes longer than `limit` (s), it alone counts.
    """
    begun = time.perf_counter()
    best = _clock(call, device)
    if best > limit:
        return best
    best = _clock(call, device)
    while time.perf_counter() - begun < measure:
        best = min(best, _clock(call, device))
    return best


def count_gflop(
    model: nn.Module, call: Callable[[nn.Module, torch.Tensor], object], shape: Sequence[int]
) -> float:
    """GFLOP of one call for one sample, counted on shapes alone (a multiply-add is two)."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        call(copy.deepcopy(model).to("meta"), torch.empty(1, *shape, device="meta"))
    return counter.get_total_flops() / 1e9


def _clock(call: Callable[[], object], device: torch.device) -> float:
    begun = time.perf_counter()
    call()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - begun


def _calls(
    size: str, frame: tuple[int, int], device: torch.device
) -> dict[str, tuple[nn.Module, Callable[[nn.Module, torch.Tensor], object], tuple[int, ...]]]:
    """Part -> (model, call(model, x), shape of one sample)."""
    if size == "parc":
        baseline = Parc(ParcConfig()).to(device).eval()
        state = (len(baseline.config.fields), *frame)
        return {"meso step": (baseline, lambda m, x: m.advance(m.encode(x)), state)}
    if size not in PRESETS:
        raise ValueError(f"size '{size}': choose {' | '.join(SIZES)}")
    config = PRESETS[size]
    micro = MicroDynamics(config).to(device).eval()
    meso = MesoDynamics(config).to(device).eval()
    fields = (len(config.fields), *frame)
    latent = (2 * config.latent_size, frame[0] // 8, frame[1] // 8)  # means, then log-variances
    return {
        "encode": (micro, lambda m, x: m.encode(x), fields),
        "micro step": (micro, _advance, latent),
        "meso step": (meso, _advance, latent),
        "decode": (micro, lambda m, x: m.decode(_latent(x)), latent),
    }


def _advance(model: LatentDynamics, x: torch.Tensor) -> object:
    return model.advance(_latent(x), load=x.new_zeros(len(x)))


def _latent(x: torch.Tensor) -> Latent:
    return Latent(*x.chunk(2, dim=1))
