"""The MPI hydrocode in C++ against the Python macro solver: every field and every output of the closure."""

import re

import numpy as np
import pytest

import mld_closure as mld
from mld_closure.macro.problems import Block, MacroCase, start

SETTINGS = """
device = "cpu"
threads = 1
engine.reproducible = true
policy.max_burn_step = 0.001
"""
BLOCK = (8e-6, 0.0, 6.4e-6, 3.2e-6, 0.2)
CASES = {
    "line": MacroCase(cells=16, cell_size=1.6e-6, end_time=2.5e-9),
    "plane": MacroCase(cells=12, rows=4, cell_size=1.6e-6, end_time=2.0e-9, blocks=(Block(*BLOCK),)),
}
FLOW = ("density", "velocity_x", "velocity_y", "pressure", "temperature", "reaction_progress")
OUTPUTS = (
    "burn_rate", "hotspot_area_fraction", "hotspot_area_rate", "hotspot_temperature",
    "hotspot_temperature_rate", "mean_temperature", "mean_pressure", "porosity", "uncertainty", "status",
)  # fmt: skip


class Listening:
    """A closure that keeps its last response."""

    def __init__(self, closure):
        self.closure = closure

    def __getattr__(self, name):
        return getattr(self.closure, name)

    def advance(self, *args, **kwargs):
        self.response = self.closure.advance(*args, **kwargs)
        return self.response


@pytest.fixture(scope="module", params=["plane", pytest.param("line", marks=pytest.mark.system)])
def reference(request, bundle):
    """(case, columns of the result (cell, quantity), steps, rejected) in Python."""
    case = CASES[request.param]
    groups = {"engine": {"reproducible": True}, "policy": {"max_burn_step": 0.001}}
    closure = mld.open(bundle, device="cpu", threads=1, **groups)
    k, y, x = np.indices((case.ids.size, 32, 32))
    closure.register(case.ids.ravel(), patches=np.where((31 * y + 17 * x + 7 * k) % 23 < 2, 0, 1.0))
    listening = Listening(closure)
    solver = start(case, listening)
    solver.run(case.end_time)
    fields = solver.fields()
    columns = [case.ids, *(fields[n] for n in (*FLOW, "burned_fraction"))]
    columns += [getattr(listening.response, n) for n in OUTPUTS]
    table = np.stack([np.ravel(c).astype(float) for c in columns], axis=1)
    assert table[:, 7].max() > 0.03  # something burned
    return case, table, solver.steps, solver.rejected


@pytest.mark.parametrize("ranks", [1, 2, pytest.param(4, marks=pytest.mark.system)])
def test_the_same_run_on_any_number_of_ranks(reference, launch, build, bundle, ranks, tmp_path):
    case, table, steps, rejected = reference
    out = tmp_path / "cells.txt"
    block = [f"block_{n}={v}" for n, v in zip(("x", "y", "width", "height", "porosity"), BLOCK, strict=True)]
    run = launch(
        ranks, build / "examples/hosts/hydro", f"bundle={bundle}", f"out={out}", f"settings={SETTINGS}",
        f"cells={case.cells}", f"rows={case.rows}", "patch=32", f"end_time={case.end_time}",
        *(block if case.blocks else ()),
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert re.match(rf"{steps} steps, {rejected} rejected", run.stdout), run.stdout
    assert rejected > 0
    found = np.loadtxt(out)
    found = found[np.argsort(found[:, 0])]
    scale = np.abs(np.nan_to_num(table)).max(axis=0) + 1e-300
    assert (np.isnan(found) == np.isnan(table)).all()
    error = np.nanmax(np.abs(found - table) / scale)
    assert error < 1e-10, error
