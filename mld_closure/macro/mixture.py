"""Equation of state of a partly burned cell: cold solid and hot products at one pressure.

With v = 1/rho, e, the burned mass fraction lam and the entropy A of the solid, x = rho/rho0 and pc, ec, G of
`dns.eos`:

    solid on its isentrope   e_s = ec(x_s) + A x_s^G,   p_s = pc(x_s) + G A x_s^G / v_s
    products hold the rest   v_p = (v - (1 - lam) v_s)/lam,   e_p = (e - (1 - lam) e_s)/lam,
                             p_p = pc(x_p) + G (e_p - ec(x_p))/v_p
    v_s from p_s = p_p,      p = max(p_s, 0),
    v^2/c^2 = (1 - lam) v_s^2/c_s^2 + lam v_p^2/c_p^2

A = (e - ec)/x^G is constant along isentropes of this equation of state: it is the thermal energy (J/kg) that
the solid would have at rho0. Below lam = 0.002 and above 0.998 the cell is one material.
Why: taken as one uniform material, cold solid and hot products give 10-20 % too little pressure.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mld_closure.dns.eos import Material, cold, constants, jit
from mld_closure.dns.eos import entropy as entropy_of

FEW, MOST = 0.002, 0.998  # burned fractions between which a cell holds two phases
DENSEST = 1.9  # x_s where the search for the solid's volume begins
NEWTON_END = 1e-13  # relative change of the solid's volume at which the search ends
ROUNDS = 200
NO_EQUILIBRIUM = -1.0  # in place of x_s


@jit
def one_material(rho, e, c):
    """(p, c^2) of a cell of one material, p cut off at zero and c floored, as in the DNS."""
    pc, ec, c2 = cold(rho * c.inv_rho0, c.rho0 / rho, c)
    heat = e - ec
    p = pc + c.G * rho * heat
    c2 += c.GG1 * (heat if heat > 0.0 else 0.0)
    return (p if p > 0.0 else 0.0), (c2 if c2 > c.cmin2 else c.cmin2)


@jit
def entropy(rho, e, c):
    """A (J/kg) of the solid at density (kg/m3) and energy (J/kg); zero where it is colder than at rest."""
    x = rho * c.inv_rho0
    _, ec, _ = cold(x, 1.0 / x, c)
    return max((e - ec) / x**c.G, 0.0)


@jit
def _phases(v_s, v, e, lam, A, c):
    """(p_s, p_p, c_s^2, c_p^2, v_p) for a trial volume v_s of the solid."""
    x = c.inv_rho0 / v_s
    pc, ec, c2 = cold(x, 1.0 / x, c)
    heat = A * x**c.G
    p_s = pc + c.G * heat / v_s
    c2_s = c2 + c.GG1 * heat
    v_p = (v - (1.0 - lam) * v_s) / lam
    e_p = (e - (1.0 - lam) * (ec + heat)) / lam
    x = c.inv_rho0 / v_p
    pc, ec, c2 = cold(x, 1.0 / x, c)
    heat = e_p - ec
    return p_s, pc + c.G * heat / v_p, c2_s, c2 + c.GG1 * heat, v_p


@jit
def two_phases(rho, e, lam, A, c):
    """(p, c^2, x_s) of solid and products at one pressure; x_s = NO_EQUILIBRIUM where there is none.

    Newton's method on p_s - p_p, which falls as v_s grows, kept inside a bracket that bisection narrows.
    """
    v = 1.0 / rho
    low, high = 1.0 / (DENSEST * c.rho0), v / (1.0 - lam) * (1.0 - 1e-9)
    if not low < high:
        return 0.0, 0.0, NO_EQUILIBRIUM
    share = (1.0 - lam) / lam
    v_s = min(max(v, low), high)
    if not low < v_s < high:
        v_s = 0.5 * (low + high)
    p_s, p_p, c2_s, c2_p, v_p = _phases(v_s, v, e, lam, A, c)
    found = False
    for _ in range(ROUNDS):
        gap = p_s - p_p
        if not np.isfinite(gap):
            return 0.0, 0.0, NO_EQUILIBRIUM
        if gap > 0.0:
            low = v_s
        else:
            high = v_s
        # d p_s/d v_s = -(c_s/v_s)^2, and p_p rises as the products are squeezed and take the solid's work
        slope = -c2_s / (v_s * v_s) - share * (c2_p / (v_p * v_p) + c.G * gap / v_p)
        step = -gap / slope if slope < 0.0 else 2.0 * (high - low)
        if abs(step) <= NEWTON_END * v_s:
            found = True
            break
        following = v_s + step
        if not low < following < high:
            following = 0.5 * (low + high)
            if following in (low, high):
                found = True
                break
        v_s = following
        p_s, p_p, c2_s, c2_p, v_p = _phases(v_s, v, e, lam, A, c)
    stiffness = c2_s / (v_s * v_s)
    if not found or abs(p_s - p_p) > 1e-6 * (stiffness * v_s + abs(p_s)):
        return 0.0, 0.0, NO_EQUILIBRIUM
    c2_s = c2_s if c2_s > c.cmin2 else c.cmin2
    c2_p = c2_p if c2_p > c.cmin2 else c.cmin2
    c2 = v * v / ((1.0 - lam) * v_s * v_s / c2_s + lam * v_p * v_p / c2_p)
    return (p_s if p_s > 0.0 else 0.0), (c2 if c2 > c.cmin2 else c.cmin2), c.inv_rho0 / v_s


@jit
def mixture(rho, e, lam, A, c):
    """(p, c^2, x_s) of a cell: of one material outside FEW < lam < MOST, of two phases inside."""
    if FEW <= lam <= MOST:
        return two_phases(rho, e, lam, A, c)
    p, c2 = one_material(rho, e, c)
    return p, c2, rho * c.inv_rho0


@jit
def mixture_row(rho, e, lam, A, p, c2, x_s, c):
    """`mixture` on arrays (n,), into p, c2 and x_s; the first cell without equilibrium, or -1."""
    for i in range(rho.shape[0]):
        p[i], c2[i], x_s[i] = mixture(rho[i], e[i], lam[i], A[i], c)
        if not (x_s[i] > 0.0 and np.isfinite(p[i])):
            return i
    return -1


@dataclass(frozen=True)
class MixtureState:
    """Cells of solid and products; arrays of one shape in SI units."""

    pressure: np.ndarray
    sound_speed: np.ndarray
    solid_density: np.ndarray


def mixture_state(
    rho: np.ndarray, e: np.ndarray, lam: np.ndarray, A: np.ndarray, m: Material | None = None
) -> MixtureState:
    """Pressure, sound speed and density of the solid in partly burned cells.

    Parameters
    ----------
    rho, e, lam, A : array
        Density (kg/m3), specific internal energy (J/kg), burned mass fraction and entropy of the solid
        (J/kg); any shapes that broadcast.
    m : Material
        Constants of the solid and of the products; the HMX of `dns` by default.

    Raises
    ------
    FloatingPointError
        Naming the first cell without pressure equilibrium and its state.

    Examples
    --------
    >>> s = mixture_state(2000.0, 2e6, 0.3, 1e5)
    >>> round(float(s.pressure) / 1e9, 2)
    8.07
    """
    c = constants(m or Material())
    arrays = [np.asarray(a, float) for a in np.broadcast_arrays(rho, e, lam, A)]
    shape = arrays[0].shape
    flat = [np.ascontiguousarray(a).ravel() for a in arrays]
    p, c2, x_s = (np.empty(flat[0].size) for _ in range(3))
    bad = mixture_row(*flat, p, c2, x_s, c)
    if bad >= 0:
        raise no_equilibrium(bad, *(a[bad] for a in flat))
    return MixtureState(p.reshape(shape), np.sqrt(c2).reshape(shape), (x_s * c.rho0).reshape(shape))


def no_equilibrium(cell: object, rho: float, e: float, lam: float, A: float) -> FloatingPointError:
    """The error that names a cell without pressure equilibrium, and its state."""
    return FloatingPointError(
        f"no pressure equilibrium of solid and products in cell {cell}: rho = {rho:.6g} kg/m3, "
        f"e = {e:.6g} J/kg, lam = {lam:.6g}, A = {A:.6g} J/kg"
    )


def solid_entropy(rho: np.ndarray, e: np.ndarray, m: Material | None = None) -> np.ndarray:
    """Entropy A (J/kg) of unburned solid at density (kg/m3) and energy (J/kg), arrays of one shape."""
    return entropy_of(np.asarray(rho, float), np.asarray(e, float), m or Material())
