"""The benchmark counts what it reports, and skips what would take too long."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mld_closure.benchmarks import models
from mld_closure.benchmarks.models import (
    Probe,
    Timing,
    best_peaks,
    best_time,
    count_gflop,
    matrix_peak,
    probes,
    time_models,
)
from mld_closure.models.dynamics import Latent, MesoDynamics
from mld_closure.models.settings import PRESETS

CPU = torch.device("cpu")


def test_flops_of_a_convolution_are_two_per_multiply_add():
    layer = nn.Conv2d(3, 8, 3, padding=1)
    assert count_gflop(layer, lambda m, x: m(x), (3, 10, 12)) == pytest.approx(2e-9 * 9 * 3 * 8 * 120)
    assert next(layer.parameters()).device == CPU


def test_a_meso_step_costs_two_micro_steps():
    options = {"frame": (64, 96), "batches": [1], "precisions": ["fp32"], "device": CPU, "limit": 0.0}
    micro, meso = time_models(["compact"], **options, parts=["micro step", "meso step"])
    assert (micro.part, meso.part) == ("micro step", "meso step")
    assert meso.gflop == pytest.approx(2 * micro.gflop)
    assert meso.seconds is meso.rate is meso.share(100.0) is None


def test_the_paper_size_costs_what_was_published():
    with torch.device("meta"):
        model = MesoDynamics(PRESETS["paper"])
    gflop = count_gflop(model, lambda m, x: m.advance(Latent(x, x)), (12, 40, 60))
    assert gflop == pytest.approx(54, abs=1)  # convolutions alone are counted


def test_every_part_precision_and_batch_is_measured():
    options = {"frame": (32, 32), "batches": [1, 2], "precisions": ["fp32", "bf16"]}
    results = list(time_models(["compact"], **options, device=CPU, limit=1e-9, parts=["encode", "decode"]))
    assert [(r.part, r.precision, r.batch) for r in results] == [
        (part, precision, batch)
        for part in ("encode", "decode")
        for precision in ("fp32", "bf16")
        for batch in (1, 2)
    ]
    quick = list(
        time_models(
            ["compact"],
            frame=(32, 32),
            batches=[1],
            precisions=["fp32"],
            device=CPU,
            limit=60.0,
            parts=["encode"],
        )
    )
    assert 0 < quick[0].seconds < 60
    with pytest.raises(ValueError, match="huge"):
        list(time_models(["huge"], **options, device=CPU, limit=1.0))


def test_rates_are_per_sample():
    timing = Timing("compact", "encode", "fp32", 8, gflop=4.0, seconds=0.1, peak=80.0)
    assert timing.rate == pytest.approx(40.0)
    assert timing.share(80.0) == pytest.approx(0.5)
    peaks = best_peaks([timing, replace(timing, peak=90.0), replace(timing, precision="bf16", peak=300.0)])
    assert peaks == {"fp32": 90.0, "bf16": 300.0}
    assert 0.01 < matrix_peak("fp32", CPU, [Probe("product", (256, 256, 256))]) < 1e6


def test_a_layer_of_the_networks_is_no_faster_than_the_peak():
    """In bf16 `torch.mm` alone was far below it."""
    conv = Probe("convolution", (2, 64, 40, 60, 3))
    with torch.inference_mode():
        rate = conv.gflop / best_time(conv.call(torch.bfloat16, CPU), CPU, 0.5)
    assert rate < 2.0 * matrix_peak("bf16", CPU)  # the machine may be busy in between


def test_the_peak_is_that_of_the_fastest_probe(monkeypatch):
    rates = dict(zip(probes(CPU), (3.0, 1.0, 4.0, 1.0, 5.0, 2.0), strict=True))
    waiting = [probe.gflop / rate for probe, rate in rates.items()]
    monkeypatch.setattr(models, "best_time", lambda call, device, *limits: waiting.pop(0))
    assert matrix_peak("fp32", CPU) == pytest.approx(5.0)
    assert not waiting


def test_probes_do_the_work_that_is_counted():
    for probe in probes(CPU):
        with FlopCounterMode(display=False) as counter, torch.device("meta"):
            probe.call(torch.float32, torch.device("meta"))()
        assert counter.get_total_flops() == pytest.approx(1e9 * probe.gflop)
