"""The Lagrangian solver: exact flows, its ends, the step protocol, restarts to the bit, clear errors."""

from itertools import pairwise

import numpy as np
import pytest

from mld_closure.closure.fallback.ignition_growth import PressureIgnitionGrowth
from mld_closure.dns.eos import Material
from mld_closure.dns.exact import free_surface_velocity, shock_from_piston
from mld_closure.macro.lagrangian import LagrangianSolver
from mld_closure.macro.laws import GivenRate
from mld_closure.macro.rates import Burned, RateClosure
from mld_closure.macro.replay import ReplayClosure
from mld_closure.macro.slab import thrown_slab
from mld_closure.macro.verification_points import example_curves

M = Material(kappa=0.0)
CELL = 3e-6


def body(n, velocity=0.0, closure=None, rho=1900.0, e=0.0, **options):
    x = np.arange(n + 1) * CELL
    return LagrangianSolver(x, np.full(n + 1, velocity), np.full(n, rho), e, closure, material=M, **options)


def rates(law, n, **options):
    closure = RateClosure(law, **options)
    closure.register(np.arange(n))
    return closure


@pytest.mark.parametrize("up", [300.0, 1000.0])
def test_a_piston_drives_the_exact_shock_and_its_work_is_the_energy(up):
    n, s = 300, shock_from_piston(up, M)
    x = np.arange(n + 1) * CELL
    run = LagrangianSolver(
        x, np.where(x > 0, 0.0, up), np.full(n, M.rho0), ends=("piston", "free"), material=M
    )
    start = run.totals()
    run.run(0.8 * n * CELL / s.us)
    f = {name: float(v[40:150].mean()) for name, v in run.fields().items()}
    assert f["pressure"] == pytest.approx(s.p, rel=5e-4)
    assert f["density"] == pytest.approx(s.rho, rel=1e-4)
    assert f["velocity"] == pytest.approx(up, rel=5e-4)
    assert run.x[0] == pytest.approx(up * run.time, rel=1e-12)
    after = run.totals()
    assert after[0] == start[0]
    assert after[2] - start[2] == pytest.approx(run.work, rel=1e-12)


def test_a_free_surface_springs_off():
    n, up = 400, 1000.0
    x = np.arange(n + 1) * CELL
    run = LagrangianSolver(
        x, np.where(x > 0, 0.0, up), np.full(n, M.rho0), ends=("piston", "free"), material=M
    )
    run.run(1.25 * n * CELL / shock_from_piston(up, M).us)
    assert run.u[-40:-10].mean() == pytest.approx(free_surface_velocity(up, M), rel=5e-3)


def test_momentum_of_a_free_body_and_energy_are_kept_to_round_off():
    n = 60
    x = np.arange(n + 1) * CELL
    closure = rates(GivenRate(4e7), n)
    run = LagrangianSolver(
        x, 400 * np.sin(x / x[-1] * 7), np.full(n, 2200.0), np.full(n, 4e5), closure, ends=("free", "free"),
        material=M,
    )  # fmt: skip
    before = run.totals()
    run.run(30e-9)
    after = run.totals()
    assert run.fields()["reaction_progress"].min() > 0.5
    assert after[0] == before[0]
    assert after[1] == pytest.approx(before[1], abs=1e-12 * (run.mass.sum() * 400))
    assert after[2] - before[2] == pytest.approx(run.released, rel=1e-11)
    assert run.released == pytest.approx(run.heat * after[3], rel=1e-12)
    assert run.work == 0


def test_a_body_at_rest_stays_so_and_one_in_motion_moves_on():
    run = body(20, 700.0, ends=("free", "free"))
    run.run(50e-9)
    assert run.u == pytest.approx(700.0, rel=1e-12)
    assert run.x == pytest.approx(np.arange(21) * CELL + 700 * 50e-9, rel=1e-12)


def test_mirrored_slabs_meet_as_one_does_a_wall():
    n, up = 40, 800.0
    x = np.arange(-n, n + 1) * CELL
    u = -up * np.sign(x)
    both = LagrangianSolver(x, u, np.full(2 * n, 1710.0), ends=("free", "free"), material=M)
    one = LagrangianSolver(x[n:], u[n:], np.full(n, 1710.0), ends=("wall", "free"), material=M)
    for run in (both, one):
        run.run(15e-9)
    p, alone = both.fields()["pressure"], one.fields()["pressure"]
    assert np.abs(p - p[::-1]).max() < 1e-7 * p.max()
    assert p[n:] == pytest.approx(alone, rel=1e-6, abs=1e-3 * p.max())


def test_the_entropy_of_burning_solid_is_kept_at_constant_volume():
    n = 8
    run = body(n, closure=rates(GivenRate(5e7), n), rho=2200.0, e=4e5, ends=("wall", "wall"))
    A = run.fields()["entropy"].copy()
    run.run(40e-9)
    assert run.fields()["reaction_progress"].max() > 0.8
    assert run.fields()["entropy"] == pytest.approx(A, rel=1e-12)


class Scripted:
    """A closure that answers from a list and writes down what is asked of it."""

    inputs = ("entropy", "viscous_pressure")

    def __init__(self, *answers):
        self.answers, self.calls, self.given = list(answers), [], []

    def begin_step(self, t, dt):
        self.calls.append("begin")
        self.given.append((t, dt))

    def advance(self, ids, **inputs):
        self.calls.append("advance")
        self.inputs_given = inputs
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return Burned(np.full(len(ids), answer[0]), np.zeros(len(ids)), answer[1])

    def commit(self):
        self.calls.append("commit")

    def rollback(self):
        self.calls.append("rollback")


def test_the_closure_is_given_what_it_names_and_a_long_step_is_repeated():
    closure = Scripted((0.1, 1e-15), (0.01, 1.0))
    run = body(6, -300.0, closure, velocity_ahead=-300.0, ends=("free", "free"))
    dt = run.step()
    assert closure.calls == ["begin", "advance", "rollback", "begin", "advance", "commit"]
    assert closure.given[1][1] == dt < 0.5 * closure.given[0][1]
    assert set(closure.inputs_given) == {"pressure", "velocity", "entropy", "viscous_pressure"}
    assert closure.inputs_given["velocity"].tolist() == [0] * 6
    assert (run.steps, run.rejected, run.forced) == (1, 1, 0)
    twin = body(6, -300.0, Scripted((0.01, 1.0)), velocity_ahead=-300.0, ends=("free", "free"))
    twin.step(dt)
    assert all(np.array_equal(twin.fields()[k], v) for k, v in run.fields().items())
    Scripted.inputs, kept = ("temper",), Scripted.inputs
    try:
        with pytest.raises(ValueError, match="asks for temper; there is entropy"):
            body(6, closure=Scripted())
    finally:
        Scripted.inputs = kept


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (RuntimeError("device lost"), RuntimeError, "device lost"),
        ((np.nan, 1.0), FloatingPointError, "burned fraction nan after 0.1 in cell 0"),
        ((0.05, 1.0), FloatingPointError, "must not fall"),
    ],
)
def test_a_failing_closure_leaves_the_state_of_before_the_step(answer, error, words):
    closure = Scripted((0.1, 1.0), answer)
    run = body(6, closure=closure, rho=2100.0, e=3e5)
    run.step()
    before = run.state()
    with pytest.raises(error, match=words):
        run.step()
    assert closure.calls[-1] == "rollback"
    assert all(before[k].tobytes() == v.tobytes() for k, v in run.state().items())


def test_a_restart_gives_the_same_bits():
    def slab():
        return thrown_slab(example_curves(), np.zeros(4, int), 900.0)

    whole, again = slab(), slab()
    whole.run(12e-9)
    kept, closure = whole.state(), whole.closure.state()
    whole.run(20e-9)
    again.restore(kept)
    again.closure.restore(closure)
    again.run(20e-9)
    assert whole.burned.max() > 0.3
    assert all(v.tobytes() == again.state()[k].tobytes() for k, v in whole.state().items())
    with pytest.raises(ValueError, match=r"'nodes' must have shape \(2, 7\), got \(2, 33\)"):
        body(6).restore(kept)


def test_burning_replayed_gives_the_flow_it_came_from():
    run = thrown_slab(example_curves(), np.zeros(3, int), 900.0)
    times, fractions = [0.0], [run.burned]
    run.run(12e-9, each=lambda s: times.append(s.time) or fractions.append(s.burned) or False)
    closure = ReplayClosure(run.ids, np.array(times), np.array(fractions), max_change=1.0)
    x = np.arange(25) * CELL
    again = LagrangianSolver(
        x, np.where(x > 0, -900.0, 0.0), np.full(24, 1710.0), closure=closure, material=run.material
    )
    for start, end in pairwise(times):
        again.step(end - start)
    for name in ("pressure", "density", "reaction_progress"):
        a, b = run.fields()[name], again.fields()[name]
        assert b == pytest.approx(a, rel=1e-8, abs=1e-8 * a.max()), name
    assert run.burned.max() > 0.3


def test_histories_that_cannot_be_are_refused():
    ids, t = np.arange(2), np.array([0.0, 1e-9])
    with pytest.raises(ValueError, match="must not fall"):
        ReplayClosure(ids, t, np.array([[0.2, 0.2], [0.1, 0.3]]))
    with pytest.raises(ValueError, match=r"2 times and 2 ids, but histories of shape \(2, 3\)"):
        ReplayClosure(ids, t, np.zeros((2, 3)))
    with pytest.raises(ValueError, match="from 0 to 1"):
        ReplayClosure(ids, t, np.array([[0.0, 0.0], [0.5, 1.5]]))


def test_what_cannot_start_is_refused():
    x, u, rho = np.arange(4.0), np.zeros(4), np.full(3, 1900.0)
    with pytest.raises(ValueError, match="4 nodes need as many velocities and one cell fewer"):
        LagrangianSolver(x, u, rho[:2])
    with pytest.raises(ValueError, match="must increase"):
        LagrangianSolver(x[::-1], u, rho)
    with pytest.raises(ValueError, match="an end must be one of wall, piston, free, got 'open'"):
        LagrangianSolver(x, u, rho, ends=("wall", "open"))
    with pytest.raises(FloatingPointError, match="in cell 1: rho = 6000"):
        LagrangianSolver(x, u, np.array([1900.0, 6000, 1900]), 1e6, burned=0.01)


def test_the_end_time_is_met_and_steps_are_limited():
    run = body(10, closure=rates(PressureIgnitionGrowth().law(), 10), rho=2200.0, e=4e5)
    run.run(5e-9)
    assert run.time == 5e-9
    with pytest.raises(RuntimeError, match="2 steps taken"):
        run.run(1.0, max_steps=2)


def test_heat_of_the_first_burning_is_not_taken_for_entropy():
    n = 8
    run = body(n, closure=rates(GivenRate(2e5), n), rho=2200.0, e=4e5, ends=("wall", "wall"))
    A = run.fields()["entropy"].copy()
    while run.fields()["reaction_progress"].max() < 0.0015:
        run.step(1e-9)
    assert run.steps > 5
    assert run.fields()["entropy"] == pytest.approx(A, rel=1e-9)
