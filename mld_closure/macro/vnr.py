"""The compiled step of the Lagrangian hydrocode: nodes move, cells keep their mass.

Positions and velocities live at the nodes (n + 1,), density, energy and pressure in the cells (n,). A step is
made twice from the same start: first with the pressure at its beginning, then with the mean of that pressure
and the one the first pass arrived at. With u_mean = (u_before + u_after)/2 of a node and P = p + q:

    m_node (u_after - u_before) = dt (P_left - P_right),    x_after = x_before + dt u_mean,
    m_cell (e_after - e_before) = -P dt (u_mean_right - u_mean_left)
    q = rho (q2^2 du^2 + q1 c |du|) where du = u_right - u_left < 0, else 0

Source: J. von Neumann and R. D. Richtmyer, J. Appl. Phys. 21, 232 (1950); linear term R. Landshoff, LANL
report LA-1930 (1955); work taken from the forces, so that the total energy is kept to round-off: E. J.
Caramana et al., J. Comput. Phys. 146, 227 (1998).
"""

from __future__ import annotations

import numpy as np

from mld_closure.dns.eos import jit
from mld_closure.macro.mixture import FEW, entropy, mixture

WALL, FREE = 0, 1  # what an end of the slab is: moved at a given speed, or at p = 0
SQUEEZED_OUT = -2  # and below, in place of a cell number: cell SQUEEZED_OUT - i has lost its volume
ROWS = RHO, E, LAM, A, EARLY, P, C, X_SOLID, Q = tuple(range(9))  # of a cell array; EARLY: see `burn_cells`


@jit
def viscosity(du, rho, c, q1, q2):
    """Viscous pressure (Pa) at a velocity difference du (m/s) across a cell."""
    return rho * (q2 * q2 * du * du - q1 * c * du) if du < 0.0 else 0.0


@jit
def sweep(nodes, cells, nodes_end, cells_end, mass, node_mass, ends, dt, q1, q2, eos):
    """Two passes of a step; (cell without equilibrium or -1, work done by the ends in J/m2).

    nodes, nodes_end: (2, n + 1) positions and velocities. cells, cells_end: (9, n), see `ROWS`. mass (n,) and
    node_mass (n + 1,) in kg/m2. ends: kinds of the left and right end.
    """
    n = mass.shape[0]
    push = np.empty(n + 2)  # P of the cells, with nothing beyond the ends
    push[0] = push[n + 1] = 0.0
    u, u_end = nodes[1], nodes_end[1]
    for second in range(2):
        for i in range(n):
            if second:
                du = 0.5 * ((u[i + 1] + u_end[i + 1]) - (u[i] + u_end[i]))
                rho = 0.5 * (cells[RHO, i] + cells_end[RHO, i])
                p = 0.5 * (cells[P, i] + cells_end[P, i])
                q = viscosity(du, rho, 0.5 * (cells[C, i] + cells_end[C, i]), q1, q2)
            else:
                p = cells[P, i]
                q = viscosity(u[i + 1] - u[i], cells[RHO, i], cells[C, i], q1, q2)
            cells_end[Q, i] = q
            push[i + 1] = p + q
        for j in range(n + 1):
            held = (j == 0 and ends[0] == WALL) or (j == n and ends[1] == WALL)
            u_end[j] = u[j] if held else u[j] + dt * (push[j] - push[j + 1]) / node_mass[j]
            nodes_end[0, j] = nodes[0, j] + 0.5 * dt * (u[j] + u_end[j])
        for i in range(n):
            v = (nodes_end[0, i + 1] - nodes_end[0, i]) / mass[i]
            if not v > 0.0:
                return SQUEEZED_OUT - i, 0.0
            stretch = 0.5 * dt * ((u[i + 1] + u_end[i + 1]) - (u[i] + u_end[i])) / mass[i]
            rho, e, lam = 1.0 / v, cells[E, i] - push[i + 1] * stretch, cells[LAM, i]
            if lam < FEW:
                a = max(entropy(rho, e, eos) - cells[EARLY, i], 0.0)
            else:
                a = cells[A, i] + max(-cells_end[Q, i] * stretch, 0.0) / cells[X_SOLID, i] ** eos.G
            p, c2, x_s = mixture(rho, e, lam, a, eos)
            cells_end[RHO, i], cells_end[E, i], cells_end[LAM, i], cells_end[A, i] = rho, e, lam, a
            cells_end[EARLY, i], cells_end[X_SOLID, i] = cells[EARLY, i], x_s
            cells_end[P, i], cells_end[C, i] = p, np.sqrt(c2)
            if not (x_s > 0.0 and np.isfinite(p)):
                return i, 0.0
    work = 0.0
    if ends[0] == WALL:
        work += push[1] * 0.5 * dt * (u[0] + u_end[0])
    if ends[1] == WALL:
        work -= push[n] * 0.5 * dt * (u[n] + u_end[n])
    return -1, work


@jit
def burn_cells(cells, share, heat, eos):
    """Burn the share (n,) of what is unburned at constant volume; the cell without equilibrium, or -1.

    The heat of the first FEW of a cell is kept apart (EARLY, J/kg at rho0), because until then the entropy
    of the solid is read from the energy of the whole cell.
    """
    for i in range(share.shape[0]):
        if share[i] > 0.0:
            burned = (1.0 - cells[LAM, i]) * share[i]
            cells[EARLY, i] += heat * burned / (cells[RHO, i] * eos.inv_rho0) ** eos.G
            cells[LAM, i] += burned
            cells[E, i] += heat * burned
            p, c2, x_s = mixture(cells[RHO, i], cells[E, i], cells[LAM, i], cells[A, i], eos)
            cells[P, i], cells[C, i], cells[X_SOLID, i] = p, np.sqrt(c2), x_s
            if not (x_s > 0.0 and np.isfinite(p)):
                return i
    return -1


@jit
def longest_step(nodes, cells, mass, q1, q2):
    """Least dx/(c + 2 (q2^2 |du| + q1 c)) in s: the crossing time of a cell, viscosity counted in."""
    least = np.inf
    for i in range(mass.shape[0]):
        du = nodes[1, i + 1] - nodes[1, i]
        c = cells[C, i]
        spread = q1 * c + q2 * q2 * abs(du) if du < 0.0 else 0.0
        least = min(least, mass[i] / cells[RHO, i] / (c + 2.0 * spread))
    return least
