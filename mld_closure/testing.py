"""Networks with random weights in place of trained ones, for benchmarks, examples and tests.

What they compute means nothing; what they cost, and how they are called, is the same as of trained ones.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from .dns.cases import MICRO_STEP
from .dns.load_table import load_table
from .models.bundle import Bundle
from .models.dynamics import MesoDynamics, MicroDynamics
from .models.readout_head import EXTRA as HEAD
from .models.readout_head import HeadConfig, ReadoutHead
from .models.settings import PRESETS
from .surrogate.frame0 import EXTRA as LOADING
from .surrogate.frame0 import LoadTable

__all__ = ["random_bundle", "random_networks"]

SPEEDS = (500.0, 900.0, 1400.0)  # m/s


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
