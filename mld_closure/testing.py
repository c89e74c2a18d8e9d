"""Networks with random weights in place of trained ones, for benchmarks, examples and tests.

What they compute means nothing; what they cost, and how they are called, is the same as of trained ones.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from .dns.cases import MICRO_STEP
from .dns.load_table import load_table, wall_table
from .models.bundle import CURVES, Bundle
from .models.curve_net import CurveConfig, CurveNet
from .models.dynamics import MesoDynamics, MicroDynamics
from .models.readout_head import EXTRA as HEAD
from .models.readout_head import HeadConfig, ReadoutHead
from .models.settings import PRESETS
from .surrogate.frame0 import EXTRA as LOADING
from .surrogate.frame0 import LoadTable

__all__ = ["random_bundle", "random_curves", "random_networks"]

SPEEDS = (500.0, 900.0, 1400.0)  # m/s
WALL_SPEEDS = tuple(float(up) for up in range(400, 1801, 100))
WALL_POROSITIES = (0.005, 0.1, 0.2, 0.3)


def random_networks(base: int = PRESETS["compact"].base) -> Bundle:
    """A bundle of random networks for the material, pixel and frame times of the DNS.

    It has a readout head and a load table, so that it can be opened, and takes half a second to make.

    Parameters
    ----------
    base : int
        Channels of the networks' first level; by default those of the shipped compact networks.

    Returns
    -------
    Bundle
        The same weights at every call.

    Examples
    --------
    >>> bundle = random_networks(base=2)
    >>> bundle.load_range
    (500.0, 1400.0)
    """
    table = LoadTable.from_arrays(load_table(SPEEDS))
    return random_bundle(table, MICRO_STEP, (SPEEDS[0], SPEEDS[-1]), base)


def random_bundle(
    table: LoadTable, micro_step: float, load_range: tuple[float, float], base: int = PRESETS["compact"].base
) -> Bundle:
    """A bundle of random networks for a given material.

    Parameters
    ----------
    table : LoadTable
        Frame 0 by load; it gives the pixel size too.
    micro_step : float
        Time of a micro step in s.
    load_range : tuple of float
        Lowest and highest piston speed (m/s) that the networks count as trained for.
    base : int
        Channels of the networks' first level; fewer cost less.

    Returns
    -------
    Bundle
        With a readout head and the load table; the same weights at every call.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        micro = MicroDynamics(
            replace(PRESETS["compact"], base=base, evolve_logvar=False, load_conditioning=True)
        )
        meso = MesoDynamics.from_micro(micro)
        head = ReadoutHead(HeadConfig(micro.config.latent_size))
    for model in (micro, meso):
        model.eval().requires_grad_(False)
    extras = {HEAD: head.to_extra(), LOADING: table.to_extra()}
    return Bundle(micro, meso, table.pixel, micro_step, 25, load_range, extras=extras)


def random_curves(steps: int = 16, duration: float = 256e-9, halo: int = 8, parts: int = 4) -> Bundle:
    """A bundle of burn curves of a random network, for points of the DNS's material in pixels of 200 nm.

    Parameters
    ----------
    steps : int
        Intervals of the curves.
    duration : float
        Their length in s.
    halo : int
        Columns of a patch ahead of its first part.
    parts : int
        Column parts of a patch.

    Returns
    -------
    Bundle
        With a load table that knows entropies; the same weights at every call. It takes a second to make.

    Examples
    --------
    >>> random_curves().load_range
    (500.0, 1600.0)
    """
    config = CurveConfig(duration, steps, halo=halo, parts=parts, width=8, hidden=16)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = CurveNet(config)
        net.out.bias.data.view(4, -1)[0] += 1.0  # so that something burns
    table = LoadTable.from_arrays(wall_table(WALL_POROSITIES, WALL_SPEEDS))
    extras = {CURVES: net.to_extra(), LOADING: table.to_extra()}
    return Bundle(None, None, table.pixel, duration / steps, steps, (500.0, 1600.0), extras=extras)
