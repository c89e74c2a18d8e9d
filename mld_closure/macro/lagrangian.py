"""The hydrocode's Lagrangian twin: a one-dimensional slab of cells that keep their material.

A cell is a material point: what the closure burned stays in it, its solid keeps its entropy and its products
the rest (`mixture`). Each step moves the nodes (`vnr`), asks the closure at the pressure reached, and burns
the share of the unburned material that the closure names (`coupling`) at constant volume.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mld_closure.dns.eos import Material, constants
from mld_closure.dns.kinetics import Kinetics
from mld_closure.macro import vnr
from mld_closure.macro.coupling import ROUND_OFF, burned_share, checked_fraction, commit
from mld_closure.macro.mixture import mixture_row, no_equilibrium, solid_entropy
from mld_closure.macro.protocol import CellClosure, wanted_inputs
from mld_closure.macro.running import advance_until

ENDS = {"wall": vnr.WALL, "piston": vnr.WALL, "free": vnr.FREE}


class LagrangianSolver:
    """Flow of a slab on cells (n,) between nodes (n + 1,), whose burning a closure gives.

    `time` (s), `x` and `u` (nodes: m, m/s), `cells` by name through `fields`, `burned` and `burn_rate` as the
    closure says, `released` heat and `work` of the ends (J/m2), `rejected` and `forced` steps.
    """

    def __init__(
        self,
        x: np.ndarray,
        velocity: np.ndarray,
        density: np.ndarray,
        energy: np.ndarray | float = 0.0,
        closure: CellClosure | None = None,
        *,
        burned: np.ndarray | float = 0.0,
        entropy: np.ndarray | None = None,
        ends: tuple[str, str] = ("wall", "free"),
        ids: np.ndarray | None = None,
        heat: float = Kinetics.Q,
        material: Material | None = None,
        velocity_ahead: float = 0.0,
        q1: float = 0.3,
        q2: float = 1.4,
        cfl: float = 0.5,
        max_change: float = 0.05,
        safety: float = 0.8,
        smallest: float = 0.02,
    ) -> None:
        """Start from nodes and cells.

        Parameters
        ----------
        x, velocity : (n + 1,)
            Node positions (m, increasing) and velocities (m/s).
        density, energy, burned : (n,)
            Of the cells: kg/m3, J/kg and burned mass fraction. A density below the solid's is porous.
        closure : CellClosure
            Cells registered under `ids`; without one nothing burns.
        entropy : (n,)
            A of the solid (J/kg) in cells that have begun to burn; read from density and energy by default.
        ends : (str, str)
            Left and right: "wall" and "piston" hold the velocity of their node, "free" leaves it at p = 0.
        ids : (n,)
            Cell ids of the closure; 0, 1, ... by default.
        heat : float
            J/kg of burned material.
        velocity_ahead : float
            Velocity of the material ahead of the shock (m/s), from which the closure's is counted.
        q1, q2 : float
            Linear and quadratic coefficient of the viscosity.
        cfl : float
            Share of the step at which a wave crosses a cell.
        max_change, safety, smallest : float
            Share of its volume that a cell may lose in a step; share of the closure's dt_max the next step
            may take; share of the first step tried that is taken even beyond dt_max.
        """
        n = len(x) - 1
        if np.shape(velocity) != (n + 1,) or np.shape(density) != (n,) or n < 1:
            raise ValueError(
                f"{len(x)} nodes need as many velocities and one cell fewer, "
                f"got {np.shape(velocity)} and {np.shape(density)}"
            )
        if not np.all(np.diff(x) > 0) or not np.all(np.asarray(density) > 0):
            raise ValueError("node positions must increase and densities be positive")
        for end in ends:
            if end not in ENDS:
                raise ValueError(f"an end must be one of {', '.join(ENDS)}, got '{end}'")
        self.material: Material = material or Material()
        self._eos = constants(self.material)
        self._ends = tuple(ENDS[end] for end in ends)
        self._nodes = np.array([x, velocity], float)
        self._cells = np.zeros((len(vnr.ROWS), n))
        self._nodes_end, self._cells_end = self._nodes.copy(), self._cells.copy()
        rows = self._cells
        rows[vnr.RHO], rows[vnr.E], rows[vnr.LAM] = density, energy, burned
        rows[vnr.A] = solid_entropy(rows[vnr.RHO], rows[vnr.E], self.material) if entropy is None else entropy
        self.mass: Any = rows[vnr.RHO] * np.diff(self._nodes[0])
        self._node_mass = 0.5 * (np.append(self.mass, 0) + np.append(0, self.mass))
        c2 = np.empty(n)
        bad = mixture_row(*rows[: vnr.A + 1], rows[vnr.P], c2, rows[vnr.X_SOLID], self._eos)
        if bad >= 0:
            raise no_equilibrium(bad, *rows[: vnr.A + 1, bad])
        rows[vnr.C] = np.sqrt(c2)
        self.closure: CellClosure | None = closure
        self.heat: float = heat
        self.velocity_ahead: float = velocity_ahead
        self._extra = () if closure is None else wanted_inputs(closure)
        self.ids: np.ndarray = np.arange(n) if ids is None else np.array(ids, np.int64)
        self.q1: float = q1
        self.q2: float = q2
        self.cfl: float = cfl
        self.max_change: float = max_change
        self.safety: float = safety
        self.smallest: float = smallest
        self.burned, self.burn_rate = np.zeros(n), np.zeros(n)
        self.time, self.steps, self.rejected, self.forced = 0.0, 0, 0, 0
        self.released = self.work = 0.0
        self._dt_limit = np.inf

    @property
    def x(self) -> np.ndarray:
        """Node positions (m), (n + 1,)."""
        return self._nodes[0].copy()

    @property
    def u(self) -> np.ndarray:
        """Node velocities (m/s), (n + 1,)."""
        return self._nodes[1].copy()

    @property
    def next_step(self) -> float:
        """Step (s) that the present state allows."""
        nodes = self._nodes
        dt = self.cfl * vnr.longest_step(nodes, self._cells, self.mass, self.q1, self.q2)
        squeeze = -np.diff(nodes[1]) / np.diff(nodes[0])  # 1/s
        dt = min(dt, self.max_change / max(float(squeeze.max()), 1e-30))
        if not dt > 0:
            raise FloatingPointError(f"no time step at t = {self.time:.4e} s: dt = {dt} s")
        return dt

    def step(self, limit: float = np.inf) -> float:
        """Advance one accepted step of at most `limit` seconds; returns the step taken (s).

        What the flow or the closure raises is passed on; the state is then that of before the call.
        """
        dt, least = min(self.next_step, limit, self._dt_limit), None
        while True:
            work = self._move(dt)
            if self.closure is None:
                self._dt_limit = np.inf
                break
            least = self.smallest * dt if least is None else least
            shorter = self._burn(dt, least)
            if shorter is None:
                break
            self.rejected += 1
            dt = shorter
        self._nodes, self._nodes_end = self._nodes_end, self._nodes
        self._cells, self._cells_end = self._cells_end, self._cells
        self.time += dt
        self.steps += 1
        self.work += work
        return dt

    def run(
        self,
        until: float,
        *,
        each: Callable[[LagrangianSolver], object] | None = None,
        max_steps: int | None = None,
    ) -> None:
        """Advance to time `until` (s), calling `each(self)` after every step until it returns True.

        Raises RuntimeError after max_steps steps of this call.
        """
        if advance_until(self, until, each, max_steps):
            self.time = until

    def fields(self) -> dict[str, np.ndarray]:
        """Cell fields by name, (n,) in SI units."""
        rows = self._cells
        return {
            "position": 0.5 * (self._nodes[0, 1:] + self._nodes[0, :-1]),
            "velocity": 0.5 * (self._nodes[1, 1:] + self._nodes[1, :-1]),
            "density": rows[vnr.RHO].copy(),
            "energy": rows[vnr.E].copy(),
            "reaction_progress": rows[vnr.LAM].copy(),
            "entropy": rows[vnr.A].copy(),
            "pressure": rows[vnr.P].copy(),
            "sound_speed": rows[vnr.C].copy(),
            "solid_density": rows[vnr.X_SOLID] * self.material.rho0,
            "viscous_pressure": rows[vnr.Q].copy(),
            "burned_fraction": self.burned.copy(),
        }

    def totals(self) -> np.ndarray:
        """Sums per m2: mass (kg), momentum (kg m/s), energy (J), burned mass (kg)."""
        u, rows = self._nodes[1], self._cells
        energy = float((self.mass * rows[vnr.E]).sum() + (0.5 * self._node_mass * u**2).sum())
        burned = float((self.mass * rows[vnr.LAM]).sum())
        return np.array([self.mass.sum(), (self._node_mass * u).sum(), energy, burned])

    def state(self) -> dict[str, np.ndarray]:
        """Everything a restart needs besides the case and the closure's own state, as plain arrays."""
        return {
            "nodes": self._nodes.copy(),
            "cells": self._cells.copy(),
            "burned": self.burned.copy(),
            "burn_rate": self.burn_rate.copy(),
            "clock": np.array([self.time, self._dt_limit, self.released, self.work]),
            "counts": np.array([self.steps, self.rejected, self.forced]),
        }

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Continue from a `state` of the same case; the closure must be restored by the caller."""
        for name, value in self.state().items():
            if name not in state or np.shape(state[name]) != value.shape:
                got = np.shape(state[name]) if name in state else "nothing"
                raise ValueError(f"restart: '{name}' must have shape {value.shape}, got {got}")
        self._nodes, self._cells = np.array(state["nodes"], float), np.array(state["cells"], float)
        self.burned, self.burn_rate = np.array(state["burned"]), np.array(state["burn_rate"])
        self.time, self._dt_limit, self.released, self.work = (float(x) for x in state["clock"])
        self.steps, self.rejected, self.forced = (int(x) for x in state["counts"])

    def _move(self, dt: float) -> float:
        """The flow of one step into the end state; the work of the ends (J/m2)."""
        bad, work = vnr.sweep(
            self._nodes, self._cells, self._nodes_end, self._cells_end, self.mass, self._node_mass,
            self._ends, dt, self.q1, self.q2, self._eos,
        )  # fmt: skip
        if bad <= vnr.SQUEEZED_OUT:
            raise FloatingPointError(
                f"cell {vnr.SQUEEZED_OUT - bad} lost its volume in the step from t = {self.time:.4e} s"
            )
        if bad >= 0:
            raise no_equilibrium(bad, *self._cells_end[: vnr.A + 1, bad])
        return float(work)

    def _burn(self, dt: float, least: float) -> float | None:
        """Closure and heat of one step; a shorter dt to try, the closure rolled back, if it went too far."""
        rows, u, closure = self._cells_end, self._nodes_end[1], self.closure
        given = {"entropy": rows[vnr.A], "viscous_pressure": rows[vnr.Q]}
        closure.begin_step(self.time, dt)
        try:
            out = closure.advance(
                self.ids,
                pressure=rows[vnr.P].copy(),
                velocity=np.abs(0.5 * (u[1:] + u[:-1]) - self.velocity_ahead),
                **{name: given[name].copy() for name in self._extra},
            )
            F = checked_fraction(out, self.burned, self.ids)
            allowed = float(out.dt_max)
            too_far = dt > allowed * (1 + ROUND_OFF)
            if too_far and dt > least * (1 + ROUND_OFF):
                closure.rollback()
                return max(min(self.safety * allowed, 0.5 * dt), least)
            before = rows[vnr.LAM].copy()
            bad = vnr.burn_cells(rows, burned_share(self.burned, F), self.heat, self._eos)
            if bad >= 0:
                raise no_equilibrium(bad, *rows[: vnr.A + 1, bad])
        except BaseException:
            closure.rollback()
            raise
        commit(closure)
        self.released += self.heat * float((self.mass * (rows[vnr.LAM] - before)).sum())
        self.burned, self.burn_rate = np.maximum(F, self.burned), np.array(out.burn_rate, float)
        self.forced += too_far
        self._dt_limit = np.inf if too_far else self.safety * allowed
        return None
