"""The hydrocode's step: verified flow, burning with exact answers, rejected steps, restarts to the bit."""

import numpy as np
import pytest

from mld_closure.closure.fallback.ignition_growth import PressureIgnitionGrowth
from mld_closure.dns import exact
from mld_closure.dns.eos import Material, pressure
from mld_closure.dns.kinetics import Kinetics
from mld_closure.dns.loading import at_rest, shock_front
from mld_closure.dns.solver import Boundaries, Solver
from mld_closure.grids import Grid
from mld_closure.macro.laws import GivenRate
from mld_closure.macro.rates import Burned, RateClosure
from mld_closure.macro.solver import MacroSolver

M = Material(kappa=0.0)
Q = Kinetics().Q
CELL = 24e-6
OPEN = Boundaries("copy", "copy", "copy", "copy")
WALLS = Boundaries("mirror", "mirror", "mirror", "mirror")


def rate_closure(law, n, **options):
    closure = RateClosure(law, **options)
    closure.register(np.arange(n))
    return closure


def swirl(n=12):
    """A dense box with an eddy and a pressure that differs from cell to cell."""
    y, x = (np.mgrid[:n, :n] + 0.5) / n
    W = np.zeros((5, n, n))
    W[0], W[3] = 2200 + 80 * np.sin(2 * np.pi * x) * np.cos(2 * np.pi * y), 0.4e6
    W[1], W[2] = 300 * np.sin(np.pi * x) * np.cos(np.pi * y), -300 * np.cos(np.pi * x) * np.sin(np.pi * y)
    return W


def burning_box(n=12, **options):
    law = PressureIgnitionGrowth(ignition=5e6, growth=4e7).law()
    return MacroSolver(Grid(n, n, CELL), swirl(n), rate_closure(law, n * n), boundaries=WALLS, **options)


def test_sod():
    gas = Material(rho0=1.0, K=0.0, G=0.4, kappa=0.0, rho_void=1e-6, rho_floor=1e-9, cmin=1e-9)
    x = (np.arange(200) + 0.5) / 200
    W = np.zeros((5, 1, 200))
    W[0, 0], W[3, 0] = np.where(x < 0.5, 1.0, 0.125), np.where(x < 0.5, 2.5, 2.0)
    run = MacroSolver(Grid(1, 200, 1 / 200), W, material=gas, boundaries=OPEN)
    run.run(0.2)
    truth = exact.ideal_gas_tube((x - 0.5) / 0.2, (1, 0, 1), (0.125, 0, 0.1), 1.4)
    f = run.fields()
    assert np.abs(f["density"][0] - truth[0]).mean() < 4e-3
    assert f["pressure"][0, (x > 0.55) & (x < 0.65)].mean() == pytest.approx(0.30313, rel=1e-3)


def test_riemann_problem_of_a_hot_and_a_cold_state():
    n = 400
    W = np.zeros((5, 1, n))
    W[[0, 3], 0] = np.where(np.arange(n) < n // 2, [[2400.0], [1.5e6]], [[1900.0], [0.0]])
    run = MacroSolver(Grid(1, n, CELL), W, boundaries=OPEN)
    run.run(0.25 * n * CELL / 8000)
    middle = n // 2 + round(644.16 * run.time / CELL)
    star = slice(middle + n // 100, middle + n // 25)
    p_star, u_star = exact.riemann_star((2400.0, 0.0, 1.5e6), (1900.0, 0.0, 0.0), M)
    assert run.fields()["pressure"][0, star].mean() == pytest.approx(p_star, rel=3e-3)
    assert run.fields()["velocity_x"][0, star].mean() == pytest.approx(u_star, rel=3e-3)


def test_without_a_closure_every_bit_is_that_of_the_inert_flow():
    run = MacroSolver(Grid(12, 12, CELL), swirl(), boundaries=WALLS)
    flow = Solver(Grid(12, 12, CELL), swirl(), material=M, kinetics=Kinetics(Z=0.0), boundaries=WALLS)
    run.run(20e-9)
    flow.run(20e-9)
    assert run.rejected == 0
    assert run.flow.interior.tolist() == flow.interior.tolist()
    idle = MacroSolver(Grid(12, 12, CELL), swirl(), rate_closure(GivenRate(0.0), 144), boundaries=WALLS)
    idle.run(20e-9)
    assert idle.flow.interior.tolist() == flow.interior.tolist()


def test_uniform_burn_at_constant_volume_is_exact():
    rho, e0, rate, end = 2200.0, 0.3e6, 5e7, 60e-9
    W = np.zeros((5, 3, 4))
    W[0], W[3] = rho, e0
    run = MacroSolver(Grid(3, 4, CELL), W, rate_closure(GivenRate(rate), 12), boundaries=WALLS)
    seen = []
    run.run(end, each=lambda r: seen.append((r.time, float(r.fields()["pressure"][1, 2]), r.burned.max())))
    t, p, lam = np.array(seen).T
    truth = 1 - np.exp(-rate * t)
    assert lam == pytest.approx(truth, rel=1e-11)
    assert p == pytest.approx(pressure(np.full_like(t, rho), e0 + Q * truth, M), rel=1e-10)
    assert run.flow.primitive()[3] == pytest.approx(e0 + Q * (1 - np.exp(-rate * end)), rel=1e-11)
    assert np.abs(run.flow.primitive()[1:3]).max() == 0
    assert np.diff(np.append(0.0, lam)).max() <= 0.05
    assert run.released == pytest.approx(12 * CELL**2 * rho * Q * truth[-1], rel=1e-11)


def test_energy_gained_is_heat_times_burned_mass_to_round_off():
    run = burning_box()
    before = run.totals()
    run.run(40e-9)
    after = run.totals()
    burned = after[4] - before[4]
    assert 0.2 < burned / after[0] < 0.9
    assert after[3] - before[3] == pytest.approx(Q * burned, abs=1e-13 * after[3])
    assert run.released == pytest.approx(Q * burned, rel=1e-12)
    assert after[0] == pytest.approx(before[0], rel=1e-14)


def test_material_that_moves_through_the_cells_stays_between_unburned_and_burned():
    n = 24
    W = np.zeros((5, 1, n))
    W[0], W[3], W[1] = 2200.0, 0.4e6, 2000.0
    W[4, 0, : n // 2] = 1.0
    sides = Boundaries("periodic", "periodic", "copy", "copy")
    run = MacroSolver(Grid(1, n, CELL), W, rate_closure(GivenRate(3e7), n), boundaries=sides)
    before = run.totals()
    run.run(n * CELL / 2000)
    lam, after = run.flow.primitive()[4], run.totals()
    assert lam.min() > 0.999 * run.burned.min()
    assert lam.max() <= 1 + 1e-12
    assert after[3] - before[3] == pytest.approx(Q * (after[4] - before[4]), abs=1e-13 * after[3])


@pytest.mark.parametrize("rate", [1e9, 5e8])
def test_detonation_runs_at_the_chapman_jouguet_speed_whatever_the_rate(rate):
    n, cell = 300, 5e-6
    speed, p_cj = exact.chapman_jouguet(M, Q)
    products = exact.products_state(speed, p_cj, M, Q)
    W = at_rest(np.ones((1, n)), M)
    W[:, :, : n // 10] = products[:, None, None]
    run = MacroSolver(
        Grid(1, n, cell),
        W,
        rate_closure(GivenRate(rate, p_start=2e9), n, max_change=0.2),
        boundaries=Boundaries("fixed", "copy", "copy", "copy"),
        inflow=products,
    )
    fronts, times = [], np.array([0.4, 0.8]) * n * cell / speed
    for t in times:
        run.run(t)
        fronts.append(shock_front(run.fields()["pressure"][0], 5e9) * cell)
    assert np.diff(fronts)[0] / np.diff(times)[0] == pytest.approx(speed, rel=0.01)
    burnt_at = int(fronts[1] / cell) - n // 10
    assert run.fields()["pressure"][0, burnt_at - 20 : burnt_at].mean() == pytest.approx(p_cj, rel=0.01)


def test_a_step_that_burns_too_much_is_repeated_as_if_it_had_been_short_from_the_start():
    n = 12
    law = GivenRate(4e8)
    run = MacroSolver(Grid(n, n, CELL), swirl(n), rate_closure(law, n * n), boundaries=WALLS)
    full = run.flow.next_step
    dt = run.step()
    assert run.rejected >= 1
    assert run.forced == 0
    assert dt < 0.5 * full
    assert run.burned.max() <= 0.05
    twin = MacroSolver(Grid(n, n, CELL), swirl(n), rate_closure(law, n * n), boundaries=WALLS)
    assert twin.step(dt) == dt
    assert twin.rejected == 0
    assert twin.flow.interior.tolist() == run.flow.interior.tolist()
    assert twin.burned.tolist() == run.burned.tolist()
    assert (twin.time, twin.steps) == (run.time, run.steps)


def test_no_step_of_a_run_burns_more_than_the_closure_allows():
    run = burning_box()
    moved, last = [], [0.0]

    def record(r):
        moved.append(float((r.burned - last[-1]).max()))
        last.append(r.burned.copy())

    run.run(80e-9, each=record)
    assert run.burned.min() > 0.5
    assert 0.02 < max(moved) <= 0.05
    assert run.forced == 0


class Scripted:
    """A closure that answers from a list and writes down what is asked of it."""

    def __init__(self, answers, n):
        self.answers, self.n, self.calls, self.given = list(answers), n, [], []

    def begin_step(self, t, dt):
        self.calls.append("begin")
        self.given.append((t, dt))

    def advance(self, ids, *, pressure, velocity):
        self.calls.append("advance")
        self.inputs = ids, pressure, velocity
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        fraction, dt_max = answer
        return Burned(np.full(self.n, fraction), np.zeros(self.n), dt_max)

    def commit(self):
        self.calls.append("commit")

    def rollback(self):
        self.calls.append("rollback")


def scripted(*answers, **options):
    closure = Scripted(answers, 144)
    return MacroSolver(Grid(12, 12, CELL), swirl(), closure, boundaries=WALLS, **options), closure


def test_the_protocol_as_the_closure_sees_it():
    ids = 1000 + np.arange(144).reshape(12, 12)
    run, closure = scripted((0.0, np.inf), (0.01, 1e-15), (0.01, 1.0), ids=ids, velocity_ahead=(300.0, 0.0))
    dt = run.step()
    assert closure.calls == ["begin", "advance", "commit"]
    assert closure.given == [(0.0, dt)]
    flow = Solver(Grid(12, 12, CELL), swirl(), material=M, kinetics=Kinetics(Z=0.0), boundaries=WALLS)
    flow.step()
    W = flow.primitive()
    assert closure.inputs[0].tolist() == ids.ravel().tolist()
    assert closure.inputs[1].tolist() == pressure(W[0], W[3], M).ravel().tolist()
    assert closure.inputs[2] == pytest.approx(np.hypot(W[1] - 300, W[2]).ravel(), rel=1e-14)
    run.step()
    assert closure.calls[3:] == ["begin", "advance", "rollback", "begin", "advance", "commit"]
    (t1, dt1), (t2, dt2) = closure.given[1:]
    assert t1 == t2 == dt
    assert dt2 == pytest.approx(0.02 * dt1, rel=1e-12)


def test_a_jump_that_no_short_step_avoids_is_taken_and_counted():
    run, closure = scripted(*[(0.3, 1e-15)] * 2, (0.3, np.inf))
    full = run.flow.next_step
    run.step()
    assert closure.calls.count("rollback") == 1
    assert (run.rejected, run.forced) == (1, 1)
    assert run.flow.primitive()[4] == pytest.approx(0.3, rel=1e-12)
    assert run.step() > 0.5 * full  # the next step is not held down by the jump


def test_a_failing_commit_leaves_no_step_open():
    run, closure = scripted((0.1, 1.0), (0.2, 1.0), (0.2, 1.0))
    run.step()
    before, commit = run.state(), closure.commit

    def failing():
        closure.calls.append("commit")
        raise OSError("device lost")

    closure.commit = failing
    with pytest.raises(OSError, match="device lost"):
        run.step()
    assert closure.calls[3:] == ["begin", "advance", "commit", "rollback"]
    after = run.state()
    assert all(before[name].tobytes() == after[name].tobytes() for name in before)
    closure.commit = commit
    run.step()
    assert run.burned == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (RuntimeError("device lost"), RuntimeError, "device lost"),
        ((np.nan, 1.0), FloatingPointError, "burned fraction nan after 0.1 in cell 0"),
        ((1.2, 1.0), FloatingPointError, "must stay in"),
        ((0.05, 1.0), FloatingPointError, "must not fall"),
        ((0.2, 0.0), FloatingPointError, "dt_max = 0.0 s"),
    ],
)
def test_a_failing_closure_leaves_the_state_of_before_the_step(answer, error, words):
    run, closure = scripted((0.1, 1.0), answer, (0.2, 1.0))
    run.step()
    before = run.state()
    with pytest.raises(error, match=words):
        run.step()
    assert closure.calls[3:] == ["begin", "advance", "rollback"]
    after = run.state()
    assert all(before[name].tobytes() == after[name].tobytes() for name in before)
    run.step()
    twin, _ = scripted((0.1, 1.0), (0.2, 1.0))
    twin.step()
    twin.step()
    assert run.flow.interior.tolist() == twin.flow.interior.tolist()


def test_a_restart_gives_the_same_bits():
    whole = burning_box()
    while whole.burned.max() < 0.3:
        whole.step()
    kept, kept_closure = whole.state(), whole.closure.state()
    assert whole.step() < 0.9 * whole.flow.next_step  # the closure holds the step down, so its limit counts
    whole.run(60e-9)
    again = burning_box()
    again.restore(kept)
    again.closure.restore(kept_closure)
    assert again.steps == kept["counts"][0]
    again.run(60e-9)
    a, b = whole.state(), again.state()
    assert all(a[name].tobytes() == b[name].tobytes() for name in a)
    assert whole.fields()["burned_fraction"].tolist() == again.fields()["burned_fraction"].tolist()


def test_a_state_of_another_grid_is_refused():
    run, other = burning_box(12), burning_box(8)
    with pytest.raises(ValueError, match=r"'conserved' must have shape \(5, 12, 12\), got \(5, 8, 8\)"):
        run.restore(other.state())
    state = run.state()
    del state["clock"]
    with pytest.raises(ValueError, match=r"'clock' must have shape .* got nothing"):
        run.restore(state)


def test_an_impact_faster_than_the_first_step_foresees_is_repeated():
    """Cold porous material knows only slow waves; the step that meets the inflow must not be that long."""
    n = 40
    W = np.zeros((5, 1, n))
    W[0] = 950.0
    inflow = np.array([1962.14, 800.0, 0.0, 320000.0, 0.0])
    run = MacroSolver(
        Grid(1, n, CELL), W, boundaries=Boundaries("fixed", "copy", "copy", "copy"), inflow=inflow
    )
    run.run(100e-9, max_steps=200)
    assert run.rejected > 0
    assert run.fields()["pressure"].max() < 1.3 * 1.18e9
    assert run.flow.primitive()[3].max() < 1.3 * 320000


def test_the_end_time_is_met_and_steps_are_limited():
    run = burning_box()
    run.run(5e-9)
    assert run.time == 5e-9
    steps = run.steps
    run.run(5e-9)
    assert run.steps == steps
    with pytest.raises(RuntimeError, match="2 steps taken"):
        run.run(1.0, max_steps=2)
