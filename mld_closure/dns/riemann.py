"""HLLC flux through a row of faces, with Davis wave speeds.

Source: Toro, Riemann Solvers and Numerical Methods for Fluid Dynamics, 3rd ed., sections 10.4-10.5.
"""

from __future__ import annotations

import numpy as np

from mld_closure.dns.eos import cold, jit


@jit
def hllc_row(left, right, shift, first, last, normal, flux, c):
    """Fill flux[:, first:last] between left[:, k] and right[:, k + shift].

    left, right, flux: (5, nx) rows; the states hold primitive (rho, u, v, e, lam), the flux is that of
    (rho, rho u, rho v, rho E, rho lam). normal: 1 for faces across x, 2 across y. Transverse velocity and
    lam ride on the mass flux.
    """
    tangent = 3 - normal
    for k in range(first, last):
        rl, rr = left[0, k], right[0, k + shift]
        ul, ur = left[normal, k], right[normal, k + shift]
        el, er = left[3, k], right[3, k + shift]
        inv = c.rho0 / (rl * rr)
        xl, xr = rl * c.inv_rho0, rr * c.inv_rho0
        pcl, ecl, c2l = cold(xl, inv * rr, c)
        pcr, ecr, c2r = cold(xr, inv * rl, c)
        hl, hr = el - ecl, er - ecr
        pl, pr = pcl + c.G * rl * hl, pcr + c.G * rr * hr
        pl = pl if pl > c.zero else c.zero
        pr = pr if pr > c.zero else c.zero
        c2l += c.GG1 * (hl if hl > c.zero else c.zero)
        c2r += c.GG1 * (hr if hr > c.zero else c.zero)
        cl = np.sqrt(c2l if c2l > c.cmin2 else c.cmin2)
        cr = np.sqrt(c2r if c2r > c.cmin2 else c.cmin2)
        a, b = ul - cl, ur - cr
        sl = a if a < b else b
        a, b = ul + cl, ur + cr
        sr = a if a > b else b
        ml, mr = rl * (sl - ul), rr * (sr - ur)
        jump = (pr - pl - mr * (ur - ul)) / (ml - mr)  # contact speed - ul: exactly 0 in a uniform flow
        s = ul + jump
        # the side the contact leaves the face on, and that side's outer wave
        at_left = s >= c.zero
        rho = rl if at_left else rr
        u = ul if at_left else ur
        p = pl if at_left else pr
        v = left[tangent, k] if at_left else right[tangent, k + shift]
        e = el if at_left else er
        lam = left[4, k] if at_left else right[4, k + shift]
        mass = ml if at_left else mr
        slip = jump if at_left else jump - (ur - ul)  # contact speed - u of this side
        wave = sl if at_left else sr
        past = (wave < c.zero) if at_left else (wave > c.zero)
        speed = wave if past else c.zero  # zero where the whole fan lies on the other side
        q = speed / (wave - s)
        f0 = rho * u + q * mass - speed * rho
        push = q * slip
        flux[0, k] = f0
        flux[normal, k] = f0 * u + p + push * mass
        flux[tangent, k] = f0 * v
        flux[3, k] = f0 * (e + c.half * (u * u + v * v)) + p * u + push * (mass * s + p)
        flux[4, k] = f0 * lam
