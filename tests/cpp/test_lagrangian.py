"""The Lagrangian hydrocode in C++, whose cells are material points, against the Python one."""

import re

import numpy as np
import pytest

import mld_closure as mld
from mld_closure.macro.lagrangian import LagrangianSolver
from mld_closure.macro.protocol import OWN
from mld_closure.macro.served import ServedPoints

NY, NX, HALO, PARTS, PATCHES = 16, 40, 8, 8, 4
UP, END = 1000.0, 7e-9
SETTINGS = """
device = "cpu"
threads = 1
engine.reproducible = true
policy.max_burn_step = 0.0001
"""
COLUMNS = ("density", "energy", "reaction_progress", "entropy", "pressure", "velocity", "burned_fraction")
ROUND_OFF = 1e-9


@pytest.fixture(scope="module")
def microstructure():
    """Solid fractions of the slab, (y, x), the halo of its first patch in front."""
    own = NX - HALO
    y, x = np.indices((NY, PATCHES * own + HALO))
    patch = np.maximum(x - HALO, 0) // own
    return np.where((31 * (y // 3) + 17 * (x // 3)) % 23 < 2 + patch % 3, 0.0, 1.0).astype(np.float32)


@pytest.fixture(scope="module")
def reference(curves, microstructure):
    """(columns of the result (cell, quantity), steps, rejected) in Python, of points that share patches."""
    own, n = NX - HALO, PATCHES * PARTS
    ids, pixel = np.arange(n), mld.Bundle.load(curves).pixel
    groups = {"engine": {"reproducible": True, "patch_shape": (NY, NX)}, "policy": {"max_burn_step": 1e-4}}
    with mld.open(curves, device="cpu", threads=1, **groups) as closure:
        offsets = np.column_stack([ids // PARTS * own * pixel, np.zeros(n)])
        specimen = mld.Specimen.from_array(microstructure, pixel)
        closure.register(ids, specimen=specimen, offsets=offsets, parts=ids % PARTS)
        solid = microstructure[:, HALO:].reshape(NY, PATCHES, own).sum(axis=(0, 2), dtype=float)
        leader = np.where(ids < 2, 2, OWN)
        x = np.arange(n + 1) * (own * pixel / PARTS)
        solver = LagrangianSolver(
            x, np.where(x > 0, -UP, 0.0), np.repeat(1900.0 / (NY * own) * solid, PARTS),
            closure=ServedPoints(closure, ids, leader), velocity_ahead=-UP,
        )  # fmt: skip
        solver.run(END)
    fields = solver.fields()
    columns = [ids, *(fields[name] for name in COLUMNS), solver.burn_rate]
    return np.stack(columns, axis=1), solver.steps, solver.rejected


@pytest.fixture(scope="module")
def table(launch, build, curves, tmp_path_factory):
    """Columns that the host writes on a number of ranks, and what it says."""
    out = tmp_path_factory.mktemp("lagrangian") / "cells.txt"

    def run(ranks):
        done = launch(
            ranks, build / "examples/hosts/lagrangian", f"bundle={curves}", f"out={out}",
            f"settings={SETTINGS}", f"patches={PATCHES}", f"piston_speed={UP}", f"end_time={END}",
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return np.loadtxt(out), done.stdout

    return run


@pytest.fixture(scope="module")
def alone(table):
    return table(1)


def test_it_agrees_with_python(reference, alone):
    wanted, steps, rejected = reference
    found, said = alone
    assert re.match(rf"{steps} steps, {rejected} rejected", said), said
    assert rejected > 0
    assert wanted[:, 7].max() > 0.03  # something burned
    assert wanted[:, 3].max() > 0.002  # beyond which a cell has two phases
    error = np.abs(found - wanted).max(axis=0) / (np.abs(wanted).max(axis=0) + 1e-300)
    assert (error < ROUND_OFF).all(), dict(zip(("id", *COLUMNS, "burn_rate"), error, strict=True))


def test_two_ranks_give_the_same_bits(alone, table):
    both = table(2)
    assert both[1] == alone[1]
    np.testing.assert_array_equal(both[0], alone[0])


def test_a_bundle_without_points_is_refused(launch, build, bundle):
    done = launch(1, build / "examples/hosts/lagrangian", f"bundle={bundle}", "ny=32", "nx=32")
    assert done.returncode != 0
    assert "this bundle has no burn curves" in done.stderr
