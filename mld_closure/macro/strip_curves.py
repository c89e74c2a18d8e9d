"""Burn curves of the parts of a resolved strip: from the strip itself, or from wall frames of its patches.

Both are perfect surrogates. With the strip's own curves the load is not asked for, so what is left is the
error of flow, equation of state, arrival and clock. With curves of wall frames, which are what a network
learns, the load must be read, and a patch among others need not do what it does alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mld_closure.dns.eos import Material
from mld_closure.dns.strip_file import Strip
from mld_closure.macro.curves import BurnCurves
from mld_closure.macro.mixture import solid_entropy

BEHIND = 3e-9  # s after its arrival when a part's entropy is that of the shock, and little has burned


def part_curves(
    strips: Sequence[Strip], *, groups: int | None = None, step: float = 1e-9, until: float = 300e-9,
    porosity: np.ndarray | None = None, material: Material | None = None,
) -> BurnCurves:  # fmt: skip
    """The DNS's own curve of each part of a strip, as a table by load: a perfect surrogate of that strip.

    Parameters
    ----------
    strips : sequence of Strip
        The same microstructure at increasing piston speeds.
    groups : int
        Curves a patch, each of neighbouring parts since the arrival in each; all parts apart by default.
    step, until : float
        Times of the table (s). Where a record ends sooner, its last specific rate and pressure go on.
    porosity : (patches * groups,)
        By which loads are read from entropies; by default that of the whole patch.
    material : Material
        The solid.

    Returns
    -------
    BurnCurves
        Curve k * groups + g is group g of patch k.
    """
    one = strips[0]
    patches, parts = one.arrival.shape
    groups = parts if groups is None else groups
    tau = np.arange(0.0, until + 0.5 * step, step)
    shape = (patches * parts, len(strips), len(tau))
    burned, pressure = np.empty(shape), np.empty(shape)
    for j, strip in enumerate(strips):
        if not np.array_equal(strip.solid, one.solid):
            raise ValueError("strips of one table must have the same microstructure")
        flat = {n: strip.curves[n].reshape(len(strip.times), -1) for n in ("burned_share", "mean_pressure")}
        for i, arrival in enumerate(strip.arrival.ravel()):
            if not np.isfinite(arrival):
                raise ValueError(f"the shock of {strip.up:.0f} m/s never arrived in part {i}")
            at = arrival + tau
            burned[i, j] = _continued(at, strip.times, flat["burned_share"][:, i])
            pressure[i, j] = np.interp(at, strip.times, flat["mean_pressure"][:, i])
    burned, pressure = (
        a.reshape(patches * groups, parts // groups, *shape[1:]).mean(axis=1) for a in (burned, pressure)
    )
    if porosity is None:
        porosity = np.repeat(one.porosity()[:, 0], groups)
    up = np.array([s.up for s in strips])
    return BurnCurves(up, tau, burned, porosity, pressure, material or Material())


def _continued(at: np.ndarray, times: np.ndarray, burned: np.ndarray) -> np.ndarray:
    """Burned share (T,) since the first of the times `at`; past the record at its last specific rate."""
    found = np.interp(at, times, burned)
    left = 1.0 - np.clip(burned, 0.0, 1.0 - 1e-9)
    since = times >= times[-1] - 0.1 * (times[-1] - times[0])
    rate = np.log(left[since][0] / left[-1]) / max(times[-1] - times[since][0], 1e-30)  # 1/s
    late = at > times[-1]
    found[late] = 1.0 - left[-1] * np.exp(-max(rate, 0.0) * (at[late] - times[-1]))
    since_arrival = (found - found[0]) / (1.0 - found[0])  # of what was unburned then
    return np.clip(np.maximum.accumulate(since_arrival), 0.0, 1.0)


def frame_curves(
    frames: Sequence[Sequence[Strip]], *, step: float = 2e-9, until: float = 300e-9,
    material: Material | None = None,
) -> BurnCurves:  # fmt: skip
    """Curves of parts from wall frames: frames[k][j] is that of patch k at the j-th load, loads increasing.

    Loads are to be read by the mean entropy that the patch had in these frames. See `part_curves`.
    """
    material = material or Material()
    tables = [part_curves(of_patch, step=step, until=until, material=material) for of_patch in frames]
    parts = frames[0][0].arrival.shape[1]
    entropy = [[shock_entropy(f, material=material).mean() for f in of_patch] for of_patch in frames]
    entropy = np.maximum.accumulate(np.array(entropy), axis=1)
    return BurnCurves(
        tables[0].up,
        tables[0].tau,
        np.concatenate([t.burned for t in tables]),
        np.concatenate([t.porosity for t in tables]),
        np.concatenate([t.pressure for t in tables]),
        material,
        np.repeat(entropy, parts, axis=0),
    )


def shock_entropy(strip: Strip, behind: float = BEHIND, material: Material | None = None) -> np.ndarray:
    """Entropy A (J/kg) of each part (patch, part) of a strip, `behind` (s) after its arrival."""
    flat = {n: strip.curves[n].reshape(len(strip.times), -1) for n in ("mean_density", "mean_energy")}
    at = strip.arrival.ravel() + behind
    rho, e = (
        np.array([np.interp(t, strip.times, values[:, i]) for i, t in enumerate(at)])
        for values in (flat["mean_density"].astype(float), flat["mean_energy"].astype(float))
    )
    return solid_entropy(rho, e, material or Material()).reshape(strip.arrival.shape)
