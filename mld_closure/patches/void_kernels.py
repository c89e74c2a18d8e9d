"""Compiled parts of the void generator: random numbers, placement of voids, and drawing them.

A void is an ellipse, stored as a row (x, y, a, b, angle): centre [m], semi-axes a >= b [m], and the angle
from the x axis to a [rad].
"""

from __future__ import annotations

import math

import numpy as np

from ..compile_cache import njit

jit = njit(nogil=True, error_model="numpy")
SUPERSAMPLING = 4  # samples per pixel along x and along y
TRIES = 2000  # attempts to place one void
DIRECTIONS = np.deg2rad([0, *(sign * d for d in range(5, 80, 5) for sign in (1, -1))])


@jit
def _mix(z):
    """Output function of splitmix64 (Steele, Lea, Flood 2014, doi:10.1145/2660193.2660195)."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@jit
def _uniform(state):
    """Next random number in (0, 1) of the stream `state`, a uint64 array (1,)."""
    state[0] += np.uint64(0x9E3779B97F4A7C15)
    return (np.float64(_mix(state[0]) >> np.uint64(11)) + 0.5) * 2.0**-53


@jit
def _clear(a, b, gap):
    """Whether two ellipses are certainly at least `gap` apart.

    Two convex bodies are a distance g apart if and only if a strip of width g separates them; some directions
    of the strip are tried. So False may be wrong for ellipses that are just far enough apart, True is never
    wrong.
    """
    dx, dy = b[0] - a[0], b[1] - a[1]
    distance = math.hypot(dx, dy)
    if distance >= a[2] + b[2] + gap:
        return True
    if distance < a[3] + b[3] + gap:
        return False
    towards = math.atan2(dy, dx)
    for turn in DIRECTIONS:
        angle = towards + turn
        reach = 0.0
        for void in (a, b):
            along, across = math.cos(angle - void[4]), math.sin(angle - void[4])
            reach += math.hypot(void[2] * along, void[3] * across)
        if dx * math.cos(angle) + dy * math.sin(angle) - reach >= gap:
            return True
    return False


@jit
def _sizes(state, area, median, sigma, smallest, largest):
    """Diameters, largest first; the total area of the circles is right to within half of the smallest one."""
    least = 0.25 * math.pi * smallest**2
    found = np.empty(int(area / least) + 2)
    n, rest = 0, area
    while rest > 0.5 * least:
        radius = math.sqrt(-2.0 * math.log(_uniform(state)))
        normal = radius * math.cos(2.0 * math.pi * _uniform(state))
        d = min(max(median * math.exp(sigma * normal), smallest), largest)
        d = max(min(d, math.sqrt(4.0 * rest / math.pi)), smallest)
        found[n] = d
        n += 1
        rest -= 0.25 * math.pi * d**2
    return np.sort(found[:n])[::-1]


@jit
def place(seed, i, j, tile, area, sizes, aspects, gap, around):
    """Place voids at random in one tile, without overlap.

    Parameters
    ----------
    seed, i, j : int
        Seed of the plane, and column and row of the tile.
    tile : float
        Side of the tile [m].
    area : float
        Area of the voids to place [m2].
    sizes : (float, float, float, float)
        Median, sigma (of the logarithm), smallest and largest diameter; lengths in m.
    aspects : (float, float)
        Smallest and largest b/a.
    gap : float
        Smallest distance between two voids [m].
    around : array (m, 5)
        Voids of neighbouring tiles, to be avoided.

    Returns
    -------
    voids : array (n, 5)
        Fewer than drawn where no place was found for one of them; the search ends there.
    drawn : int
        Number of voids drawn.
    """
    state = np.empty(1, np.uint64)
    state[0] = _mix(_mix(_mix(np.uint64(seed)) ^ np.uint64(i)) ^ np.uint64(j))
    diameters = _sizes(state, area, sizes[0], sizes[1], sizes[2], sizes[3])
    voids = np.empty((diameters.size, 5))
    for n in range(diameters.size):
        placed = False
        for _ in range(TRIES):
            aspect = aspects[0] + (aspects[1] - aspects[0]) * _uniform(state)
            new = voids[n]
            new[0] = (i + _uniform(state)) * tile
            new[1] = (j + _uniform(state)) * tile
            new[2] = 0.5 * diameters[n] / math.sqrt(aspect)
            new[3] = 0.5 * diameters[n] * math.sqrt(aspect)
            new[4] = math.pi * _uniform(state)
            placed = True
            for other in range(n):
                placed = placed and _clear(new, voids[other], gap)
            for other in range(len(around)):
                placed = placed and _clear(new, around[other], gap)
            if placed:
                break
        if not placed:
            return voids[:n], diameters.size
    return voids, diameters.size


@jit
def carve(mu, x0, y0, pixel, voids):
    """Subtract voids from an image of the solid fraction, with 4 x 4 samples per pixel.

    Each sample counts 1/16, so sums in float32 are exact, and the result depends neither on the order of the
    voids nor on the window.

    Parameters
    ----------
    mu : float32 array (ny, nx)
        Solid fraction; changed in place.
    x0, y0 : int
        Column and row of the first pixel in the plane.
    pixel : float
        Side of a pixel [m].
    voids : array (n, 5)
        The voids.
    """
    ny, nx = mu.shape
    step = pixel / SUPERSAMPLING
    worth = np.float32(1.0 / SUPERSAMPLING**2)
    for void in voids:
        c, s = math.cos(void[4]), math.sin(void[4])
        p, q = 1.0 / void[2] ** 2, 1.0 / void[3] ** 2
        square, mixed, rest = c * c * p + s * s * q, c * s * (p - q), s * s * p + c * c * q
        half_height = math.hypot(void[2] * s, void[3] * c)
        low = max(math.floor((void[1] - half_height) / step), y0 * SUPERSAMPLING)
        high = min(math.ceil((void[1] + half_height) / step), (y0 + ny) * SUPERSAMPLING - 1)
        for line in range(low, high + 1):
            dy = (line + 0.5) * step - void[1]
            middle = -mixed * dy / square
            half = middle * middle - (rest * dy * dy - 1.0) / square
            if half <= 0.0:
                continue
            half = math.sqrt(half)
            first = math.ceil((void[0] + middle - half) / step - 0.5)
            last = math.floor((void[0] + middle + half) / step - 0.5)
            row = mu[line // SUPERSAMPLING - y0]
            for i in range(max(first // SUPERSAMPLING, x0), min(last // SUPERSAMPLING, x0 + nx - 1) + 1):
                begin = max(first, SUPERSAMPLING * i)
                end = min(last, SUPERSAMPLING * i + SUPERSAMPLING - 1)
                row[i - x0] -= worth * np.float32(end - begin + 1)
