"""The compiled step of an Eulerian flow of partly burned material: one stage, and the entropy of the solid.

Arrays are (6, ny + 4, nx + 4): (rho, rho u, rho v, rho E, rho lam, rho A) with two ghost layers; A is the
entropy of the solid (`mixture`), which rides on the mass flux like lam. MUSCL with van Leer's limiter on
(rho, u, v, e, lam, A) and HLLC with Davis speeds, as in `dns`.
Why: a row keeps its edge states, so that the search for equilibrium is made once for each.
"""

from __future__ import annotations

import numpy as np

from mld_closure.dns.eos import jit
from mld_closure.macro.mixture import FEW, entropy, mixture
from mld_closure.macro.vnr import viscosity

RHO, U, V, E, LAM, A = range(6)  # of a primitive state
P, C = 6, 7  # rows that an edge state has besides


@jit
def primitives(state, W, c):
    """W (8, rows, columns) = (rho, u, v, e, lam, A, p, c) with the floors on rho and e written back.

    Returns the flat index of the first cell without equilibrium, or -1; such cells keep their last p and c.
    """
    lost = -1
    rows, columns = state.shape[1], state.shape[2]
    for j in range(rows):
        for i in range(columns):
            rho = max(state[0, j, i], c.rho_floor)
            u, v = state[1, j, i] / rho, state[2, j, i] / rho
            kinetic = 0.5 * (u * u + v * v)
            e = max(state[3, j, i] / rho - kinetic, 0.0)
            if state[3, j, i] < rho * kinetic:
                state[3, j, i] = rho * kinetic
            state[0, j, i] = rho
            lam, a = min(max(state[4, j, i] / rho, 0.0), 1.0), max(state[5, j, i] / rho, 0.0)
            p, c2, x_s = mixture(rho, e, lam, a, c)
            W[RHO, j, i], W[U, j, i], W[V, j, i], W[E, j, i], W[LAM, j, i] = rho, u, v, e, lam
            W[A, j, i] = a
            if x_s > 0.0 and np.isfinite(p):
                W[P, j, i], W[C, j, i] = p, np.sqrt(c2)
            elif lost < 0:
                lost = j * columns + i
    return lost


@jit
def edge(W, j, i, dj, di, side, out, c):
    """The state (8,) at the edge of cell (j, i) in direction (dj, di), side -1 or 1.

    Where that state has no equilibrium it is the mean of the cell.
    """
    for k in range(6):
        a, b = W[k, j, i] - W[k, j - dj, i - di], W[k, j + dj, i + di] - W[k, j, i]
        out[k] = W[k, j, i] + (side * a * b / (a + b) if a * b > 0.0 else 0.0)
    p, c2, x_s = mixture(out[RHO], out[E], out[LAM], out[A], c)
    if x_s > 0.0 and np.isfinite(p):
        out[P], out[C] = p, np.sqrt(c2)
    else:
        out[:] = W[:, j, i]


@jit
def hllc(left, right, normal, flux):
    """Flux (6,) of the conserved variables between two edge states; normal: U or V."""
    tangent = U + V - normal
    sl = min(left[normal] - left[C], right[normal] - right[C])
    sr = max(left[normal] + left[C], right[normal] + right[C])
    ml, mr = left[RHO] * (sl - left[normal]), right[RHO] * (sr - right[normal])
    jump = (right[P] - left[P] - mr * (right[normal] - left[normal])) / (ml - mr)
    s = left[normal] + jump
    at_left = s >= 0.0
    side = left if at_left else right
    slip = jump if at_left else s - right[normal]
    wave, mass = (sl, ml) if at_left else (sr, mr)
    past = wave < 0.0 if at_left else wave > 0.0
    speed = wave if past else 0.0  # zero where the whole fan lies on the other side
    q = speed / (wave - s)
    rho, u, p = side[RHO], side[normal], side[P]
    f0 = rho * u + q * mass - speed * rho
    push = q * slip
    flux[0] = f0
    flux[normal] = f0 * u + p + push * mass
    flux[tangent] = f0 * side[tangent]
    flux[3] = f0 * (side[E] + 0.5 * (u * u + side[tangent] ** 2)) + p * u + push * (mass * s + p)
    flux[4] = f0 * side[LAM]
    flux[5] = f0 * side[A]


@jit
def stage(state, target, W, keep, take, ratio, plane, c):
    """target = keep target + take (state + dt L(state)) on the interior; ratio = dt/dx.

    plane: whether there is a flow across y. W (8, rows, columns) holds the primitives of `state`.
    """
    ny, nx = state.shape[1] - 4, state.shape[2] - 4
    rest = np.empty((6, ny, nx))
    rest[:] = state[:, 2 : ny + 2, 2 : nx + 2]
    left, right, flux = np.empty(8), np.empty(8), np.empty(6)
    for j in range(ny):
        for i in range(nx + 1):  # face between cells i - 1 and i of the interior
            edge(W, j + 2, i + 1, 0, 1, 1.0, left, c)
            edge(W, j + 2, i + 2, 0, 1, -1.0, right, c)
            hllc(left, right, U, flux)
            for k in range(6):
                if i > 0:
                    rest[k, j, i - 1] -= ratio * flux[k]
                if i < nx:
                    rest[k, j, i] += ratio * flux[k]
    if plane:
        for j in range(ny + 1):
            for i in range(nx):
                edge(W, j + 1, i + 2, 1, 0, 1.0, left, c)
                edge(W, j + 2, i + 2, 1, 0, -1.0, right, c)
                hllc(left, right, V, flux)
                for k in range(6):
                    if j > 0:
                        rest[k, j - 1, i] -= ratio * flux[k]
                    if j < ny:
                        rest[k, j, i] += ratio * flux[k]
    for k in range(6):
        for j in range(ny):
            for i in range(nx):
                target[k, j + 2, i + 2] = keep * target[k, j + 2, i + 2] + take * rest[k, j, i]


@jit
def keep_entropy(state, W, q, dt, dx, plane, heat, q1, q2, c):
    """Entropy of the solid at the end of a step, and the viscous pressure q (ny, nx) of its cells.

    Until FEW has burned A is read from the energy, less the heat of what has; from then on a compression du
    over a cell in dt raises it by the viscous work, q |du|/dx dt/(rho x_s^G). Needs filled ghosts.
    """
    ny, nx = q.shape
    for j in range(2, ny + 2):
        for i in range(2, nx + 2):
            du = 0.5 * (W[U, j, i + 1] - W[U, j, i - 1])
            if plane:
                du += 0.5 * (W[V, j + 1, i] - W[V, j - 1, i])
            rho, lam = W[RHO, j, i], W[LAM, j, i]
            push = viscosity(du, rho, W[C, j, i], q1, q2)
            q[j - 2, i - 2] = push
            if lam < FEW:
                x = rho * c.inv_rho0
                a = max(entropy(rho, W[E, j, i], c) - heat * lam / x**c.G, 0.0)
            elif push > 0.0:
                _, _, x_s = mixture(rho, W[E, j, i], lam, W[A, j, i], c)
                a = W[A, j, i] - push * du / dx * dt / rho / x_s**c.G
            else:
                continue
            W[A, j, i] = a
            state[5, j, i] = rho * a


@jit
def fastest_wave(W):
    """Greatest max(|u|, |v|) + c of the interior (m/s)."""
    most = 0.0
    for j in range(2, W.shape[1] - 2):
        for i in range(2, W.shape[2] - 2):
            most = max(most, max(abs(W[U, j, i]), abs(W[V, j, i])) + W[C, j, i])
    return most
