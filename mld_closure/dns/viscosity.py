"""Newtonian stress of the material, a compiled step of its own between flow and conduction.

    tau_xx = mu (4/3 u_x - 2/3 v_y)      tau_yy = mu (4/3 v_y - 2/3 u_x)      tau_xy = mu (u_y + v_x)
    d_t (rho u) = div tau,      d_t (rho E) = div(tau u),      mu = viscosity rho / rho0

Plane flow with Stokes' hypothesis. The stress lives on faces between two cells that are denser than the
density rule of the material asks, so voids feel none. On a face mu takes the harmonic mean of the densities,
derivatives along the face are means of the central ones in its two cells, and a neighbour that is a void
counts as moving with the cell. What one cell loses the next one gains, and kinetic energy that is lost stays
as heat because the total energy is kept.
Why: mu goes with the density, so that one limit of stability holds in cold solid and in light products, and
the number of substeps does not depend on the state (nor on how a grid is shared among ranks).
"""

from __future__ import annotations

import math

from mld_closure.dns.eos import jit

STABLE = 0.2  # largest nu dt / dx^2 of a substep; the highest mode of a uniform body decays up to 3/14


def substeps(number: float) -> int:
    """Steps into which a step of nu dt / dx^2 = number must be cut."""
    return max(1, math.ceil(number / STABLE - 1e-9))


@jit
def velocity_row(U, j, R, c):
    """R[:, i] = (rho, u, v, 1 where the cell is dense enough to be viscous, else 0) of row j."""
    for i in range(R.shape[1]):
        rho = U[0, j, i]
        inv = c.one / rho
        R[0, i] = rho
        R[1, i] = U[1, j, i] * inv
        R[2, i] = U[2, j, i] * inv
        R[3, i] = c.one if rho > c.rho_active else c.zero


@jit
def stress_x(below, R, above, F, a, c):
    """F (3, nx + 4): momentum and energy through the right face of each cell of row R; a = nu dt/dx^2."""
    quarter = c.half * c.half
    third = c.two_thirds
    for i in range(1, R.shape[1] - 2):
        k = i + 1
        mu = a * R[3, i] * R[3, k] * (R[0, i] * R[0, k]) / (c.half * (R[0, i] + R[0, k]))
        u_x, v_x = R[1, k] - R[1, i], R[2, k] - R[2, i]
        u_y = above[3, i] * (above[1, i] - R[1, i]) + below[3, i] * (R[1, i] - below[1, i])
        u_y += above[3, k] * (above[1, k] - R[1, k]) + below[3, k] * (R[1, k] - below[1, k])
        v_y = above[3, i] * (above[2, i] - R[2, i]) + below[3, i] * (R[2, i] - below[2, i])
        v_y += above[3, k] * (above[2, k] - R[2, k]) + below[3, k] * (R[2, k] - below[2, k])
        along = mu * third * (u_x + u_x - quarter * v_y)
        across = mu * (v_x + quarter * u_y)
        F[0, i] = along
        F[1, i] = across
        F[2, i] = c.half * (along * (R[1, i] + R[1, k]) + across * (R[2, i] + R[2, k]))


@jit
def stress_y(R, above, F, a, c):
    """F (3, nx + 4): momentum and energy through the upper face of each cell of row R; a = nu dt/dx^2."""
    quarter = c.half * c.half
    third = c.two_thirds
    for i in range(2, R.shape[1] - 2):
        left, right = i - 1, i + 1
        mu = a * R[3, i] * above[3, i] * (R[0, i] * above[0, i]) / (c.half * (R[0, i] + above[0, i]))
        u_y, v_y = above[1, i] - R[1, i], above[2, i] - R[2, i]
        u_x = R[3, right] * (R[1, right] - R[1, i]) + R[3, left] * (R[1, i] - R[1, left])
        u_x += above[3, right] * (above[1, right] - above[1, i]) + above[3, left] * (
            above[1, i] - above[1, left]
        )
        v_x = R[3, right] * (R[2, right] - R[2, i]) + R[3, left] * (R[2, i] - R[2, left])
        v_x += above[3, right] * (above[2, right] - above[2, i]) + above[3, left] * (
            above[2, i] - above[2, left]
        )
        along = mu * third * (v_y + v_y - quarter * u_x)
        across = mu * (u_y + quarter * v_x)
        F[0, i] = across
        F[1, i] = along
        F[2, i] = c.half * (across * (R[1, i] + above[1, i]) + along * (R[2, i] + above[2, i]))


@jit
def add_stress(U, j, Fx, Fy_low, Fy_high):
    """Add what comes through the four faces to the cells of row j."""
    for v in range(3):
        for i in range(2, U.shape[2] - 2):
            U[v + 1, j, i] += (Fx[v, i] - Fx[v, i - 1]) + (Fy_high[v, i] - Fy_low[v, i])


@jit
def viscous_step(U, a, W, F, c):
    """One substep of viscosity, a = nu dt / dx^2, with filled ghosts; W, F (3, 5, nx + 4): row buffers."""
    below, middle, above = W[0], W[1], W[2]
    Fx, Fy_low, Fy_high = F[0], F[1], F[2]
    velocity_row(U, 1, middle, c)
    velocity_row(U, 2, above, c)
    stress_y(middle, above, Fy_high, a, c)
    for j in range(2, U.shape[1] - 2):
        below, middle, above = middle, above, below
        Fy_low, Fy_high = Fy_high, Fy_low
        velocity_row(U, j + 1, above, c)
        stress_x(below, middle, above, Fx, a, c)
        stress_y(middle, above, Fy_high, a, c)
        add_stress(U, j, Fx, Fy_low, Fy_high)
