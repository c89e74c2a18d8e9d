"""A cell served by the DNS of its own patch: clock, load and frame 0 fit together, from host to truth."""

import functools

import numpy as np
import pytest

import mld_closure as mld
from mld_closure.closure.fallback.curve import CurveFallback
from mld_closure.closure.policies import Status
from mld_closure.dns.cases import PRESETS, record, with_changes
from mld_closure.dns.eos import Material
from mld_closure.dns.exact import shock_from_piston
from mld_closure.dns.load_table import load_table
from mld_closure.dns.microstructure import Ellipse, solid_fraction
from mld_closure.models.readout_head import QUANTITIES, stack_targets, targets_from_fields
from mld_closure.surrogate.frame0 import EXTRA, LoadTable

UP, FRAMES, INTERVAL = 1300.0, 12, 0.1e-9


@functools.cache
def truth():
    """The DNS of a small patch: (solid fraction, times, quantities (time, 6))."""
    mu = solid_fraction((32, 96), [Ellipse(60.0, 16.0, 20.0)])
    case = with_changes(PRESETS["micro"], shape=mu.shape, frames=FRAMES, frame_interval=INTERVAL)
    movie, _ = record(mu, UP, case)
    return mu, np.array(case.times), stack_targets(targets_from_fields(movie))


def test_a_run_on_the_dns_gives_the_dns_curve_at_the_shocks_arrival(kit):
    mu, times, wanted = truth()

    def simulate(patch, up):
        assert up == pytest.approx(UP, rel=1e-4)
        np.testing.assert_allclose(patch, mu, atol=1e-6)
        return times, wanted

    bundle = kit.bundle()
    bundle.load_range = (500.0, 900.0)
    bundle.extras[EXTRA] = LoadTable.from_arrays(load_table((800.0, 1300.0), kit.PIXEL)).to_extra()
    closure = mld.open(
        bundle,
        device="cpu",
        threads=1,
        policy={"on_extrapolation": "fallback"},
        fallback=CurveFallback(simulate),
    )
    closure.register([1], patches=mu[None])
    shock = shock_from_piston(UP, Material())
    arrival = 2e-9  # at the centre of the cell
    steps = np.linspace(0, 2.6e-9, 53)
    out = kit.run(closure, steps, lambda t: shock.p if t > arrival + 1e-12 else 0.0)
    assert out[-1].status[0] & Status.FALLBACK
    assert kit.pool(closure).used == 0
    # frame 0 of the DNS has its front at column 32; it reaches the centre, column 48, 16 columns later
    crossing = arrival + 0.05e-9 * closure._stepper.capture.p_arrival / shock.p
    clock = 16 * kit.PIXEL / shock.us + 2.6e-9 - crossing
    for i, name in enumerate(QUANTITIES):
        value = getattr(out[-1], name)[0]
        assert value == pytest.approx(np.interp(clock, times, wanted[:, i]), rel=1e-6), name
    assert out[-1].hotspot_temperature[0] > 875
