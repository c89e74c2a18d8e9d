"""Burning from the curves of patches: the reference for what a learned closure does with a perfect surrogate.

For each point, with A the entropy of its solid, p its pressure and q its viscous pressure:

    arrival  the first time p >= 2.5 GPa (interpolated inside the step)
    load     up with A_H(up) = A, the greatest so far, frozen once q < 0.05 p after the arrival
    clock    d tau = clip(p/p_frame(tau), 0.25, 4)^m dt
    burning  of the unburned the share (F1 - F0)/(1 - F0), F0 and F1 the curve at tau and tau + d tau

A point next to a wall takes another's load: there a captured shock leaves too much heat.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from mld_closure.dns.eos import jit
from mld_closure.macro.curves import BurnCurves, load_of, table_value, unburned
from mld_closure.macro.protocol import OWN
from mld_closure.macro.step_closure import Burned, StepClosure

ARRIVAL = 2.5e9  # Pa
SHOCK_PASSED = 0.05  # of p: viscous pressure below which the load is frozen
SLOWEST, FASTEST = 0.25, 4.0  # of p/p_frame in the clock


class TabulatedClosure(StepClosure):
    """Points that burn along the curves of their patches; several points may share a patch."""

    inputs: tuple[str, str] = ("entropy", "viscous_pressure")
    columns: ClassVar[dict[str, Any]] = {
        "burned": 0.0,
        "patch": 0,
        "group": 0,  # points of one group share a load, where loads are shared
        "leader": OWN,  # id of the point whose load is taken
        "pressure": 0.0,  # Pa, of the last step
        "load": 0.0,  # m/s, greatest so far
        "entropy": 0.0,  # J/kg, of that load
        "arrived": False,
        "frozen": False,
        "tau": 0.0,  # s
    }

    def __init__(
        self,
        curves: BurnCurves,
        *,
        exponent: float = 0.5,
        share_load: bool = False,
        arrival: float = ARRIVAL,
        passed: float = SHOCK_PASSED,
        max_change: float = 0.05,
    ) -> None:
        """Follow `curves`.

        exponent: m of the clock, 0 to 3. share_load: the points of a group follow the load of the mean
        entropy of those that have arrived, not each its own. arrival: Pa. passed: share of p below which q
        ends a shock.
        """
        super().__init__(max_change=max_change)
        if not 0 <= exponent <= 3 or not arrival > 0 or not 0 < passed < 1:
            raise ValueError(
                "exponent must be from 0 to 3, arrival positive and passed between 0 and 1, "
                f"got {exponent}, {arrival} and {passed}"
            )
        self.curves: BurnCurves = curves
        self.exponent: float = exponent
        self.share_load: bool = share_load
        self.arrival: float = arrival
        self.passed: float = passed

    def register(
        self,
        ids: np.ndarray,
        patch: np.ndarray | int = 0,
        leader: np.ndarray | int = OWN,
        group: np.ndarray | None = None,
        **columns: Any,
    ) -> None:
        """Take in points by their ids (n,), each with the number of its patch and, where it is not to use its
        own load, the id of the point whose load it takes. group: from 0, what shares a load; the patch by
        default."""
        if np.min(patch) < 0 or np.max(patch) >= self.curves.patches:
            raise ValueError(
                f"patches must be from 0 to {self.curves.patches - 1}, got {np.min(patch)} to {np.max(patch)}"
            )
        super().register(ids, patch=patch, leader=leader, group=patch if group is None else group, **columns)

    def advance(
        self,
        ids: np.ndarray,
        *,
        pressure: np.ndarray,
        velocity: np.ndarray,
        entropy: np.ndarray,
        viscous_pressure: np.ndarray,
    ) -> Burned:
        """Burn the points through the open step; the velocity is not used."""
        at, given = self._opened(ids, pressure=pressure, entropy=entropy, viscous_pressure=viscous_pressure)
        now, curves = self._now, self.curves
        old, new = [{n: columns[n][at] for n in self.columns} for columns in (now, self._next)]
        rate = np.empty(at.size)
        follow(
            given["pressure"], given["entropy"], given["viscous_pressure"], self._step[1],
            old["burned"], old["pressure"], old["load"], old["arrived"], old["frozen"], old["tau"],
            new["burned"], new["load"], new["arrived"], new["frozen"], new["tau"], rate,
            old["patch"], self._taken(at), curves.up, curves.tau, curves.burned,
            curves.burned[:0] if curves.pressure is None else curves.pressure,
            curves.entropy, curves.load, self.arrival, self.passed, self.exponent,
        )  # fmt: skip
        new["pressure"] = given["pressure"]
        new["entropy"] = np.where(old["frozen"], old["entropy"], np.maximum(old["entropy"], given["entropy"]))
        for name in ("burned", "pressure", "load", "entropy", "arrived", "frozen", "tau"):
            self._next[name][at] = new[name]
        return self._result(at, rate)

    def _taken(self, at: np.ndarray) -> np.ndarray:
        """Load (n,) that each point takes from others, as committed; 0 where it uses its own."""
        now = self._now
        taken = np.zeros(at.size)
        if self.share_load:
            counted = now["arrived"] & (now["leader"] == OWN)
            groups = int(now["group"].max(initial=0)) + 1
            number = np.bincount(now["group"][counted], minlength=groups)
            total = np.bincount(now["group"][counted], now["entropy"][counted], minlength=groups)
            mean = (total / np.maximum(number, 1))[now["group"][at]]
            loads_of(mean, now["patch"][at], self.curves.entropy, self.curves.load, taken)
            taken[number[now["group"][at]] == 0] = 0.0
        led = now["leader"][at] != OWN
        if led.any():
            leaders = self._find(now["leader"][at][led])
            taken[led] = np.where(now["arrived"][leaders], now["load"][leaders], taken[led])
        return taken


@jit
def loads_of(A, patch, entropies, loads, out):
    """Loads (n,) in m/s of entropies A (n,) by the tables of the points' patches, into `out`."""
    for i in range(A.shape[0]):
        out[i] = load_of(A[i], entropies[patch[i]], loads)


@jit
def follow(
    p, A, q, dt,
    burned, p_before, load, arrived, frozen, tau,
    burned_end, load_end, arrived_end, frozen_end, tau_end, rate,
    patch, taken, ups, taus, F, frame, entropies, loads, arrival, passed, exponent,
):  # fmt: skip
    """Carry points (n,) through a step of dt (s): see the equations at the head of this file."""
    for i in range(p.shape[0]):
        k = patch[i]
        best = load[i]
        if not frozen[i]:
            best = max(best, load_of(A[i], entropies[k], loads))
        load_end[i] = best
        arrived_end[i] = arrived[i] or p[i] >= arrival
        frozen_end[i] = frozen[i] or (arrived_end[i] and q[i] < passed * p[i])
        burned_end[i], tau_end[i], rate[i] = burned[i], tau[i], 0.0
        if not arrived_end[i]:
            continue
        since = dt
        if not arrived[i] and p[i] > p_before[i]:
            since *= min((p[i] - arrival) / (p[i] - p_before[i]), 1.0)
        span = since
        up = taken[i] if taken[i] > 0.0 else best
        if frame.shape[0] > 0:
            usual = table_value(up, tau[i], frame[k], ups, taus)
            ratio = p[i] / usual if usual > 0.0 else FASTEST
            span *= min(max(ratio, SLOWEST), FASTEST) ** exponent
        tau_end[i] = tau[i] + span
        before = unburned(up, tau[i], F[k], ups, taus)
        after = unburned(up, tau_end[i], F[k], ups, taus)
        share = 1.0 - after / before if before > 0.0 else 1.0
        burned_end[i] = burned[i] + (1.0 - burned[i]) * min(max(share, 0.0), 1.0)
        rate[i] = (burned_end[i] - burned[i]) / max(since, 1e-6 * dt)
