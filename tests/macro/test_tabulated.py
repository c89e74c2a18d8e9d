"""Points that follow burn curves: arrival, load, clock and share against what the equations say by hand."""

import numpy as np
import pytest

from mld_closure.dns.eos import Material
from mld_closure.macro.curves import BurnCurves
from mld_closure.macro.mixture import solid_entropy
from mld_closure.macro.porous import porous_shock
from mld_closure.macro.tabulated import TabulatedClosure

M = Material()
UP = np.array([500.0, 1000.0])
TAU = np.array([0.0, 10e-9, 20e-9])
CURVE = np.array([[[0.0, 0.2, 0.4], [0.0, 0.5, 0.8]]])
PRESSURE = np.array([[[3e9, 4e9, 4e9], [8e9, 10e9, 10e9]]])
DT = 1e-9


def A_of(up, porosity=0.1):
    s = porous_shock(up, porosity, M)
    return float(solid_entropy(np.float64(s.rho), np.float64(s.e), M))


def opened(n=1, *, pressure=None, patch=0, leader=-1, curve=CURVE, porosity=(0.1,), **options):
    curves = BurnCurves(UP, TAU, curve, np.array(porosity), pressure, M)
    closure = TabulatedClosure(curves, **options)
    closure.register(np.arange(n), patch=patch, leader=leader)
    return closure


def step(closure, p, A, q=0.0, dt=DT, t=None):
    n = closure.state()["ids"].size
    t = max(float(closure.state()["time"]), 0.0) if t is None else t
    closure.begin_step(t, dt)
    fill = lambda a: np.broadcast_to(np.asarray(a, float), (n,))  # noqa: E731
    out = closure.advance(
        np.arange(n), pressure=fill(p), velocity=np.zeros(n), entropy=fill(A), viscous_pressure=fill(q)
    )
    closure.commit()
    return out


@pytest.mark.parametrize("up", [560.0, 777.0, 990.0])
@pytest.mark.parametrize("porosity", [0.02, 0.1, 0.25])
def test_the_load_is_read_from_the_entropy(up, porosity):
    closure = opened(porosity=(porosity,))
    step(closure, 5e9, A_of(up, porosity))
    assert closure.state()["load"][0] == pytest.approx(up, rel=1e-3)


def test_loads_beyond_the_table_are_its_ends():
    closure = opened(2)
    step(closure, 5e9, [A_of(1700.0), A_of(200.0)])
    assert closure.state()["load"][0] == 1000
    F = closure.state()["burned"]
    assert pytest.approx([0.05 * 0.5, 0.02 * 0.5], rel=1e-9) == F  # arrived half-way through the step


def test_nothing_burns_before_the_arrival_and_it_is_met_inside_the_step():
    closure = opened()
    step(closure, 1e9, A_of(1000.0))
    assert closure.state()["burned"][0] == 0
    step(closure, 4e9, A_of(1000.0))  # from 1 to 4 GPa: 2.5 GPa in the middle
    assert closure.state()["tau"][0] == pytest.approx(0.5 * DT, rel=1e-12)
    assert closure.state()["burned"][0] == pytest.approx(0.5 * 0.5 / 10, rel=1e-9)


def test_a_load_grows_until_the_shock_has_passed_and_never_falls():
    closure = opened()
    loads = []
    for up, p, q in (
        (500, 3e9, 2e9),
        (800, 6e9, 1e9),
        (700, 6e9, 0.4e9),
        (900, 7e9, 0.2e9),
        (1000, 9e9, 5e9),
    ):
        step(closure, p, A_of(up), q)
        loads.append(closure.state()["load"][0])
    assert loads == pytest.approx([500, 800, 800, 900, 900], rel=1e-3)
    assert closure.state()["frozen"].tolist() == [True]


def test_the_share_of_the_unburned_makes_up_the_curve():
    closure = opened()
    closure.begin_step(0.0, 1e-15)
    closure.commit()
    step(closure, 2.5e9, A_of(1000.0), dt=1e-15)
    for _ in range(20):
        step(closure, 8e9, A_of(1000.0))
    assert closure.state()["burned"][0] == pytest.approx(0.8, rel=1e-9)
    step(closure, 8e9, A_of(1000.0), dt=10e-9)  # past the table: the rate of 10 to 20 ns goes on
    assert closure.state()["burned"][0] == pytest.approx(1 - 0.2 * (0.2 / 0.5), rel=1e-9)


@pytest.mark.parametrize(("p", "factor"), [(8e9, 1.0), (2e9 + 0.6e9, (2.6 / 8) ** 0.5), (80e9, 2.0)])
def test_the_clock_runs_by_the_pressure_of_the_frame(p, factor):
    closure = opened(pressure=PRESSURE)
    step(closure, 2.5e9, A_of(1000.0), dt=1e-15)
    step(closure, p, A_of(1000.0), dt=1e-12)
    assert closure.state()["tau"][0] == pytest.approx(factor * 1e-12, rel=2e-3)


def test_patches_have_curves_of_their_own():
    slow = np.concatenate([CURVE, 0.5 * CURVE])
    closure = opened(2, curve=slow, porosity=(0.1, 0.1), patch=np.array([1, 0]))
    step(closure, 5e9, A_of(1000.0))
    F = closure.state()["burned"]
    assert F[0] == pytest.approx(0.5 * F[1], rel=1e-12)


def test_a_point_at_a_wall_takes_the_load_of_another():
    closure = opened(2, leader=np.array([1, -1]))
    hot = [A_of(1000.0), A_of(600.0)]
    step(closure, 2.5e9, hot, dt=1e-15)
    step(closure, 5e9, hot)
    F = closure.state()["burned"]
    assert F[0] == pytest.approx(F[1], rel=1e-9)


def test_points_of_a_patch_may_share_its_mean_load():
    closure = opened(3, share_load=True)
    A = [A_of(600.0), A_of(1000.0), A_of(800.0)]
    step(closure, 2.5e9, A, dt=1e-15)
    step(closure, 5e9, A)
    F = closure.state()["burned"]
    assert pytest.approx(F[2], rel=1e-3) == F


def test_rollback_and_restore_give_the_same_bits():
    closure, other = opened(2), opened(2)
    step(closure, 5e9, A_of(700.0), 1e9)
    other.restore(closure.state())
    closure.begin_step(DT, DT)
    given = {"pressure": np.full(2, 9e9), "velocity": np.zeros(2)}
    closure.advance(np.arange(2), **given, entropy=np.full(2, A_of(1000.0)), viscous_pressure=np.zeros(2))
    closure.rollback()
    for c in (closure, other):
        step(c, 6e9, A_of(800.0), t=DT)
    assert all(v.tobytes() == other.state()[k].tobytes() for k, v in closure.state().items())


def test_a_step_of_dt_max_burns_no_more_than_max_change():
    closure = opened(max_change=0.02)
    out = step(closure, 8e9, A_of(1000.0), dt=1e-12)
    out = step(closure, 8e9, A_of(1000.0), dt=out.dt_max)
    assert np.diff([0.0, out.burned_fraction[0]])[0] <= 0.0201


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"up": UP[::-1]}, "loads positive and increasing"),
        ({"tau": TAU + 1e-9}, "begin at 0"),
        ({"burned": CURVE[:, :1]}, r"shape \(1, 1, 3\), they need \(1, 2, 3\)"),
        ({"burned": CURVE + 0.5}, "from 0 to 1"),
        ({"pressure": PRESSURE[:, :1]}, "pressures must be of shape"),
        ({"porosity": np.array([0.8])}, "no shock compacts"),
    ],
)
def test_curves_that_cannot_be_are_refused(change, words):
    good = {"up": UP, "tau": TAU, "burned": CURVE, "porosity": np.array([0.1])}
    with pytest.raises(ValueError, match=words):
        BurnCurves(**good | change)


def test_wrong_options_and_patches_are_named():
    with pytest.raises(ValueError, match="from 0 to 0, got 0 to 3"):
        opened(2, patch=np.array([0, 3]))
    with pytest.raises(ValueError, match="exponent must be from 0 to 3"):
        opened(exponent=3.5)
    with pytest.raises(ValueError, match="entropy nan J/kg in cell 0"):
        step(opened(), 5e9, np.nan)
