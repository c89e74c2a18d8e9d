"""The compiled step: one Runge-Kutta stage over row buffers, then conduction and chemistry.

Arrays are (5, ny + 4, nx + 4): (rho, rho u, rho v, rho E, rho lam) with two ghost layers, x contiguous.
Why: rows of primitives, slopes and fluxes stay in cache and every long loop has no branch, so the step is
bound by arithmetic and not by memory.
"""

from __future__ import annotations

import numpy as np

from mld_closure.dns.eos import cold, jit, temperature_from_cold
from mld_closure.dns.kinetics import burn
from mld_closure.dns.riemann import hllc_row

COPY, MIRROR, PERIODIC, FIXED, HELD = 0, 1, 2, 3, 4


@jit
def fill_ghosts(U, sides, inflow, held):
    """Fill two ghost layers. sides: codes (left, right, bottom, top); inflow: (5,) beyond a FIXED left.

    held: (11,) the state beyond a HELD right, the velocity of the last cell above which it stands there, and
    the state that stands there until then, a copy where it has no mass.
    """
    ny, nx = U.shape[1] - 4, U.shape[2] - 4
    for v in range(5):
        flip_x = -U.dtype.type(1) if v == 1 else U.dtype.type(1)
        flip_y = -U.dtype.type(1) if v == 2 else U.dtype.type(1)
        for g in range(2):
            for j in range(2, ny + 2):
                if sides[0] == COPY:
                    U[v, j, 1 - g] = U[v, j, 2]
                elif sides[0] == MIRROR:
                    U[v, j, 1 - g] = flip_x * U[v, j, 2 + g]
                elif sides[0] == PERIODIC:
                    U[v, j, 1 - g] = U[v, j, nx + 1 - g]
                else:
                    U[v, j, 1 - g] = inflow[v]
                if sides[1] == COPY:
                    U[v, j, nx + 2 + g] = U[v, j, nx + 1]
                elif sides[1] == MIRROR:
                    U[v, j, nx + 2 + g] = flip_x * U[v, j, nx + 1 - g]
                elif sides[1] == HELD:
                    arrived = U[1, j, nx + 1] > held[5] * U[0, j, nx + 1]
                    if arrived:
                        U[v, j, nx + 2 + g] = held[v]
                    elif held[6] > 0:
                        U[v, j, nx + 2 + g] = held[6 + v]
                    else:
                        U[v, j, nx + 2 + g] = U[v, j, nx + 1]
                else:
                    U[v, j, nx + 2 + g] = U[v, j, 2 + g]
        for g in range(2):
            low, low_sign = 2, U.dtype.type(1)
            high, high_sign = ny + 1, U.dtype.type(1)
            if sides[2] == MIRROR:
                low, low_sign = 2 + g, flip_y
            elif sides[2] == PERIODIC:
                low = ny + 1 - g
            if sides[3] == MIRROR:
                high, high_sign = ny + 1 - g, flip_y
            elif sides[3] == PERIODIC:
                high = 2 + g
            for i in range(nx + 4):
                U[v, 1 - g, i] = low_sign * U[v, low, i]
                U[v, ny + 2 + g, i] = high_sign * U[v, high, i]


@jit
def primitive_row(U, j, W, c):
    """W[:, i] = (rho, u, v, e, lam) of row j, with the floors on rho and e written back to U."""
    for i in range(W.shape[1]):
        rho = U[0, j, i]
        rho = rho if rho > c.rho_floor else c.rho_floor
        inv = c.one / rho
        u, v = U[1, j, i] * inv, U[2, j, i] * inv
        kinetic = c.half * (u * u + v * v)
        e = U[3, j, i] * inv - kinetic
        U[3, j, i] = U[3, j, i] if e >= c.zero else rho * kinetic
        U[0, j, i] = rho
        W[0, i] = rho
        W[1, i] = u
        W[2, i] = v
        W[3, i] = e if e > c.zero else c.zero
        W[4, i] = U[4, j, i] * inv


@jit
def edges_x(W, low, high, c):
    """low, high (5, nx + 4): van Leer limited states at the left and right edge of each cell of a row."""
    for v in range(5):
        for i in range(1, W.shape[1] - 1):
            a, b = W[v, i] - W[v, i - 1], W[v, i + 1] - W[v, i]
            ab = a * b
            up = ab > c.zero
            h = (ab if up else c.zero) / (a + b if up else c.one)
            low[v, i] = W[v, i] - h
            high[v, i] = W[v, i] + h


@jit
def edges_y(below, W, above, low, high, c):
    """low, high (5, nx + 4): van Leer limited states at the lower and upper edge of each cell of a row."""
    for v in range(5):
        for i in range(W.shape[1]):
            a, b = W[v, i] - below[v, i], above[v, i] - W[v, i]
            ab = a * b
            up = ab > c.zero
            h = (ab if up else c.zero) / (a + b if up else c.one)
            low[v, i] = W[v, i] - h
            high[v, i] = W[v, i] + h


@jit
def blend_row(target, U, j, Fx, Fy_low, Fy_high, keep, take, ratio):
    """target = keep target + take (U + ratio div F) on the interior of row j; ratio = dt/dx."""
    for v in range(5):
        for i in range(2, U.shape[2] - 2):
            change = (Fx[v, i - 1] - Fx[v, i]) + (Fy_low[v, i] - Fy_high[v, i])
            target[v, j, i] = keep * target[v, j, i] + take * (U[v, j, i] + ratio * change)


@jit
def stage(U, target, keep, take, ratio, W, E, F, c):
    """target = keep target + take (U + dt L(U)) on the interior: one stage, rows from bottom to top.

    W (3, 5, nx + 4): rows of primitives; E (5, 5, nx + 4): cell-edge states; F (3, 5, nx + 4): fluxes.
    """
    rows, nx = U.shape[1], U.shape[2] - 4
    low, high, high_before = E[0], E[1], E[2]
    left, right = E[3], E[4]
    Fx, Fy, Fy_before = F[0], F[1], F[2]
    below, middle, above = W[0], W[1], W[2]
    for r in range(rows):
        below, middle, above = middle, above, below
        primitive_row(U, r, above, c)
        if r < 2:
            continue
        high_before, high = high, high_before
        Fy_before, Fy = Fy, Fy_before
        edges_y(below, middle, above, low, high, c)  # of row r - 1
        if r < 3:
            continue
        hllc_row(high_before, low, 0, 2, nx + 2, 2, Fy, c)  # between rows r - 2 and r - 1
        if r < 4:
            continue
        edges_x(below, left, right, c)  # of row r - 2
        hllc_row(right, left, 1, 1, nx + 2, 1, Fx, c)
        blend_row(target, U, r - 2, Fx, Fy_before, Fy, keep, take, ratio)


@jit
def temperature_row(U, j, T, solid, c):
    """T (K) of row j and solid = 1 where the cell conducts, else 0."""
    for i in range(T.shape[0]):
        rho = U[0, j, i]
        inv = c.one / rho
        u, v = U[1, j, i] * inv, U[2, j, i] * inv
        e = U[3, j, i] * inv - c.half * (u * u + v * v)
        e = e if e > c.zero else c.zero
        x = rho * c.inv_rho0
        pc, ec, _ = cold(x, c.rho0 * inv, c)
        T[i] = temperature_from_cold(x, rho, e, pc, ec, c)
        dense = rho > c.rho_active
        if c.pressed:
            dense = dense and pc + c.G * rho * (e - ec) > c.zero
        solid[i] = c.one if dense else c.zero


@jit
def conduct_row(U, j, T_below, T, T_above, s_below, s, s_above, factor):
    """Add the conducted heat of one step to row j: factor = dt kappa / dx^2."""
    for i in range(2, T.shape[0] - 2):
        t = T[i]
        heat = s[i - 1] * (T[i - 1] - t) + s[i + 1] * (T[i + 1] - t)
        heat += s_below[i] * (T_below[i] - t) + s_above[i] * (T_above[i] - t)
        U[3, j, i] += factor * s[i] * heat


@jit
def _pressed(rho, e, c):
    """Whether the pressure is above its cut-off."""
    x = rho * c.inv_rho0
    pc, ec, _ = cold(x, c.rho0 / rho, c)
    return pc + c.G * rho * (e - ec) > c.zero


@jit
def burn_row(U, j, dt, c, k):
    """React the cells of row j that are dense, hot and not yet burned."""
    for i in range(2, U.shape[2] - 2):
        rho = U[0, j, i]
        if rho > c.rho_active and U[3, j, i] > rho * k.e_min:
            inv = c.one / rho
            kinetic = c.half * (U[1, j, i] * U[1, j, i] + U[2, j, i] * U[2, j, i]) * inv * inv
            e = U[3, j, i] * inv - kinetic
            lam = U[4, j, i] * inv
            if e > k.e_min and lam < k.done and (not c.pressed or _pressed(rho, e, c)):
                e_new, lam_new = burn(rho, e, lam, dt, c, k)
                U[3, j, i] += rho * (e_new - e)
                U[4, j, i] += rho * (lam_new - lam)


@jit
def speed_row(U, j, fastest, c):
    """fastest[i] = max(fastest[i], |u| + c, |v| + c) of row j."""
    for i in range(2, fastest.shape[0] - 2):
        rho = U[0, j, i]
        rho = rho if rho > c.rho_floor else c.rho_floor
        inv = c.one / rho
        u, v = U[1, j, i] * inv, U[2, j, i] * inv
        e = U[3, j, i] * inv - c.half * (u * u + v * v)
        _, ec, c2 = cold(rho * c.inv_rho0, c.rho0 * inv, c)
        c2 += c.GG1 * (e - ec if e > ec else c.zero)
        c2 = c2 if c2 > c.cmin2 else c.cmin2
        u, v = abs(u), abs(v)
        s = np.sqrt(c2) + (u if u > v else v)
        fastest[i] = fastest[i] if fastest[i] > s else s


@jit
def finish(U, dt, factor, react, T, solid, fastest, c, k):
    """Conduction, chemistry and the fastest wave (m/s) of the next step, in one pass over the rows.

    T, solid: (3, nx + 4) row buffers; fastest: (nx + 4,). Needs filled ghosts where factor > 0.
    """
    ny = U.shape[1] - 4
    fastest[:] = c.zero
    if factor > c.zero:
        temperature_row(U, 1, T[1], solid[1], c)
        temperature_row(U, 2, T[2], solid[2], c)
    for j in range(2, ny + 2):
        if factor > c.zero:
            a, b, d = (j + 2) % 3, j % 3, (j + 1) % 3
            temperature_row(U, j + 1, T[d], solid[d], c)
            conduct_row(U, j, T[a], T[b], T[d], solid[a], solid[b], solid[d], factor)
        if react:
            burn_row(U, j, dt, c, k)
        speed_row(U, j, fastest, c)
    most = fastest[0]
    for i in range(2, fastest.shape[0] - 2):
        most = fastest[i] if fastest[i] > most else most
    return most
