"""Problems of partly burned material with known answers, and what the hydrocodes give for them.

Each problem is a function of `full` (a finer run) that returns `Check`s, as in `dns.problems`. The expected
values come from `exact`, from the other hydrocode, from symmetry and conservation.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mld_closure.dns.checks import Check
from mld_closure.dns.eos import Material
from mld_closure.dns.exact import bisect, chapman_jouguet, hugoniot_pressure
from mld_closure.dns.kinetics import Kinetics
from mld_closure.dns.solver import Boundaries
from mld_closure.grids import Grid
from mld_closure.macro import exact
from mld_closure.macro.exact import Mixture
from mld_closure.macro.lagrangian import LagrangianSolver
from mld_closure.macro.laws import GivenRate
from mld_closure.macro.mixture import mixture_state, solid_entropy
from mld_closure.macro.mixture_flow import MixtureFlow
from mld_closure.macro.porous import porous_shock
from mld_closure.macro.rates import RateClosure
from mld_closure.macro.replay import ReplayClosure
from mld_closure.macro.verification_points import closed_box, slabs, transport

HMX = Material(kappa=0.0)
HEAT = Kinetics.Q
TUBE = Boundaries("copy", "copy", "copy", "copy")
HOT = Mixture(12e9, 0.4, 3e5, 4.5e6, HMX)
COOL = Mixture(4e9, 0.3, 1e5, 4e6, HMX)


def equilibrium(full: bool = False) -> list[Check]:
    """Pressure and sound speed of mixtures whose state is known from the entropies of both phases."""
    rng = np.random.default_rng(14)
    states = [
        Mixture(
            10 ** rng.uniform(8, 10.7), rng.uniform(0.003, 0.997), rng.uniform(0, 1e6),
            rng.uniform(2e6, 5e6), HMX,
        )
        for _ in range(400 if full else 60)
    ]  # fmt: skip
    p, rho, e, lam, A = np.array([(s.p, 1 / s.v, s.e, s.lam, s.A) for s in states]).T
    c = np.array([s.v * s.softness(s.p) ** -0.5 for s in states])
    got = mixture_state(rho, e, lam, A, HMX)
    return [
        Check(
            "equilibrium: greatest error of p", float(np.abs(got.pressure / p - 1).max()), 0, 1e-10, "below"
        ),
        Check(
            "equilibrium: greatest error of c", float(np.abs(got.sound_speed / c - 1).max()), 0, 1e-7, "below"
        ),
    ]


def standing_wave(n: int, periods: float = 0.5, **options: float) -> LagrangianSolver:
    """A smooth standing wave of partly burned material between walls, of n cells."""
    length, amplitude = 1e-3, 150.0
    rest = Mixture(6e9, 0.3, 2e5, 4e6, HMX)
    x = np.linspace(0, length, n + 1)
    run = LagrangianSolver(
        x, amplitude * np.sin(np.pi * x / length), np.full(n, 1 / rest.v), np.full(n, rest.e),
        burned=rest.lam, entropy=np.full(n, rest.A), ends=("wall", "wall"), material=HMX, **options,
    )  # fmt: skip
    c = rest.v * rest.softness(rest.p) ** -0.5
    run.run(periods * 2 * length / c)
    return run


def isentrope(full: bool = False) -> list[Check]:
    """Smooth flow keeps the entropies of both phases; the order at which it does, and that of the fields."""
    rest = Mixture(6e9, 0.3, 2e5, 4e6, HMX)
    sizes = (100, 200, 400) if full else (50, 100, 200)
    runs = [standing_wave(n, q1=0.0, q2=0.0).fields() for n in sizes]
    off = []
    for f in runs:
        v = np.array([rest.volume(p) for p in f["pressure"]])
        off.append(float(np.abs(f["density"] * v - 1).max()))
    fine = standing_wave(4 * sizes[-1], q1=0.0, q2=0.0).fields()["pressure"]
    errors = [
        float(np.abs(f["pressure"] - fine.reshape(f["pressure"].size, -1).mean(axis=1)).mean()) for f in runs
    ]
    damped = [standing_wave(n).fields()["pressure"] for n in sizes[:2]]
    coarse, better = (float(np.abs(p - fine.reshape(p.size, -1).mean(axis=1)).mean()) for p in damped)
    return [
        Check("isentrope: density at the pressure reached, greatest error", off[-1], 0, 1e-4, "below"),
        Check("isentrope: order of that error", float(np.log2(off[-2] / off[-1])), None, 1.8, "above"),
        Check("smooth wave, no viscosity: order", float(np.log2(errors[1] / errors[2])), None, 1.8, "above"),
        Check("smooth wave, q1 = 0.3: order", float(np.log2(coarse / better)), None, 0.8, "above"),
    ]


def halves(n: int, width: float) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Nodes (n + 1,) and cell values of the Riemann problem between HOT and COOL, contact at 0."""
    x = np.linspace(-width / 2, width / 2, n + 1)
    left = x[1:] < width / n / 2
    values = {k: np.where(left, getattr(HOT, k), getattr(COOL, k)) for k in ("v", "e", "lam", "A")}
    return x, values


def riemann(full: bool = False) -> list[Check]:
    """Two mixtures at different pressures side by side: rarefaction, contact, shock; in both hydrocodes."""
    n, width, end = (800 if full else 400), 2e-3, 1e-7
    p, u, behind = exact.riemann(HOT, COOL)
    x, s = halves(n, width)
    line = LagrangianSolver(
        x, np.zeros(n + 1), 1 / s["v"], s["e"], burned=s["lam"], entropy=s["A"], ends=("wall", "wall"),
        material=HMX,
    )  # fmt: skip
    line.run(end)
    f, at = line.fields(), slice(n // 2 + n // 16, n // 2 + n // 8)
    W = np.array([1 / s["v"], 0 * s["v"], 0 * s["v"], s["e"], s["lam"], s["A"]])[:, None]
    euler = MixtureFlow(Grid(1, n, width / n), W, heat=HEAT, material=HMX, boundaries=TUBE)
    euler.run(end)
    contact = n // 2 + round(u * end / (width / n))
    there = slice(contact + n // 16, contact + n // 8)
    g, A = euler.fields(), euler.primitive()[5, 0]
    rise = behind.A - COOL.A
    return [
        Check("Riemann: p*", float(f["pressure"][at].mean()) / 1e9, p / 1e9, 1e-3, units="GPa"),
        Check("Riemann: u*", float(f["velocity"][at].mean()), u, 1e-3, units="m/s"),
        Check("Riemann: density behind the shock", float(f["density"][at].mean()), 1 / behind.v, 1e-3),
        Check("Riemann: rise of A in the shock", float(f["entropy"][at].mean()) - COOL.A, rise, 0.1),
        Check(
            "Riemann, Eulerian: p*", float(g["pressure"][0, there].mean()) / 1e9, p / 1e9, 1e-3, units="GPa"
        ),
        Check("Riemann, Eulerian: u*", float(g["velocity_x"][0, there].mean()), u, 1e-3, units="m/s"),
        Check("Riemann, Eulerian: rise of A in the shock", float(A[there].mean()) - COOL.A, rise, 0.6),
    ]


def porous_shocks(full: bool = False) -> list[Check]:
    """Porous solid thrown at a wall: the state behind the shock, and the load its entropy tells."""
    checks = []
    n, cell = (800 if full else 300), 3e-6
    for up, porosity in ((500.0, 0.05), (850.0, 0.1), (1050.0, 0.1)):
        s, x = porous_shock(up, porosity, HMX), np.arange(n + 1) * cell
        thrown = np.where(x > 0, -up, 0.0)
        run = LagrangianSolver(x, thrown, np.full(n, HMX.rho0 * (1 - porosity)), material=HMX)
        run.run(0.8 * n * cell / s.us)
        f = {name: float(v[n // 6 : n // 2].mean()) for name, v in run.fields().items()}
        A = float(solid_entropy(np.float64(s.rho), np.float64(s.e), HMX))
        what = f"porous shock {up:.0f} m/s"
        checks += [
            Check(f"{what}: p", f["pressure"] / 1e9, s.p / 1e9, 1e-3, units="GPa"),
            Check(f"{what}: A", f["entropy"], A, 1e-2, units="J/kg"),
        ]
    return checks


def detonation(full: bool = False) -> list[Check]:
    """A steady detonation that a piston drives 10 % above Chapman-Jouguet, burning at a given rate."""
    n, cell, rate = (800, 1.5e-6, 2e8) if full else (400, 3e-6, 2e8)
    speed = 1.1 * chapman_jouguet(HMX, HEAT)[0]
    flux = HMX.rho0 * speed

    def gap(v: float) -> float:
        return hugoniot_pressure(1 / v, HMX, HMX.rho0, 0.0, HEAT) - flux**2 * (1 / HMX.rho0 - v)

    v = bisect(gap, 0.65 / HMX.rho0, 0.8 / HMX.rho0)
    piston = speed * (1 - v * HMX.rho0)
    closure = RateClosure(GivenRate(rate, p_start=2e9))
    closure.register(np.arange(n))
    x = np.arange(n + 1) * cell
    moving = np.where(x > 0, 0.0, piston)
    run = LagrangianSolver(
        x, moving, np.full(n, HMX.rho0), closure=closure, ends=("piston", "free"), material=HMX
    )
    energy, rows, fronts = run.totals()[2], [], []

    def watch(s: LagrangianSolver) -> None:
        f = s.fields()
        rows.append((f["reaction_progress"][int(0.75 * n)], f["pressure"][int(0.75 * n)]))
        fronts.append((s.time, np.flatnonzero(f["pressure"] > 1e10)[-1:].sum() * cell))

    run.run(0.96 * n * cell / speed, each=watch)
    lam, p = np.array(rows)[np.array(rows)[:, 0] > 0].T
    t, front = np.array(fronts).T
    late = front > 0.5 * n * cell
    want = np.array([0.2, 0.4, 0.6, 0.8])
    zone = exact.reaction_zone(speed, want, HEAT, HMX)[0]
    balance = run.totals()[2] - energy - run.work - run.released
    return [
        Check(
            "driven detonation: D", float(np.polyfit(t[late], front[late], 1)[0]), speed, 3e-3, units="m/s"
        ),
        *(
            Check(f"driven detonation: p at {part:g} burned", got / 1e9, right / 1e9, 0.02, units="GPa")
            for part, got, right in zip(want, np.interp(want, lam, p), zone, strict=True)
        ),
        Check("driven detonation: energy - work - heat", abs(balance) / run.work, 0, 1e-12, "below"),
    ]


def replay(full: bool = False) -> list[Check]:
    """Prescribed burning of material at rest: the pressure at constant volume, and the balance of energy."""
    n, rho, e0, end = 12, 2100.0, 2.5e5, 40e-9
    times = np.linspace(0, end, 41)
    history = 0.9 * (times / end) ** 2
    closure = ReplayClosure(np.arange(n), times, np.repeat(history[:, None], n, axis=1))
    x = np.arange(n + 1) * 3e-6
    run = LagrangianSolver(
        x, np.zeros(n + 1), np.full(n, rho), np.full(n, e0), closure, ends=("wall", "wall"), material=HMX
    )
    A, energy = run.fields()["entropy"][0], run.totals()[2]
    seen = []
    run.run(end, each=lambda s: seen.append((s.time, s.fields()["pressure"][n // 2])))
    t, p = np.array(seen).T
    lam = np.interp(t, times, history)
    late = lam > 0.01
    right = np.array([exact.equilibrium(1 / rho, e0 + HEAT * part, part, A, HMX)[0] for part in lam[late]])
    gained = run.totals()[2] - energy
    burned = run.totals()[3]
    return [
        Check("replay: greatest error of p", float(np.abs(p[late] / right - 1).max()), 0, 1e-9, "below"),
        Check("replay: energy gained - heat burned", abs(gained / (HEAT * burned) - 1), 0, 1e-12, "below"),
    ]  # fmt: skip


PROBLEMS: dict[str, Callable[[bool], list[Check]]] = {
    f.__name__: f
    for f in (
        equilibrium, isentrope, riemann, porous_shocks, detonation, replay, transport, slabs, closed_box,
    )
}  # fmt: skip
