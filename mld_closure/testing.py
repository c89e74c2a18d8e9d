"""Networks with random weights in place of trained ones, for benchmarks, examples and tests.

What they say means nothing; what they cost, and how they are called, is the same.
"""

from __future__ import annotations

from .benchmarks.closure import random_bundle
from .dns.cases import MICRO_STEP
from .dns.load_table import load_table
from .models.bundle import Bundle
from .models.settings import PRESETS
from .surrogate.frame0 import LoadTable

SPEEDS = (500.0, 900.0, 1400.0)  # m/s


def random_networks(base: int = PRESETS["compact"].base) -> Bundle:
    """A bundle for the material, pixel and frame times of the DNS, with readout head and load table.

    base: channels of the networks' first level. Takes half a second; the same weights at every call.
    """
    table = LoadTable.from_arrays(load_table(SPEEDS))
    return random_bundle(table, MICRO_STEP, (SPEEDS[0], SPEEDS[-1]), base)
