"""What a closure is made of, from what a host names: bundle, settings, device, load table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ..config import from_dict
from ..device import Device, choose
from ..models.bundle import Bundle
from ..surrogate.frame0 import LoadTable
from .options import Settings


def load_parts(
    bundle: str | Path | Bundle,
    device: str,
    precision: str,
    settings: Mapping[str, Any],
    threads: int | None,
    load_table: LoadTable | Mapping[str, Any] | None,
) -> tuple[Bundle, Settings, Device, LoadTable]:
    """What a closure is made of, from the arguments of `open`."""
    chosen = from_dict(Settings, settings, "settings")
    before = torch.get_num_threads()
    where = choose(device, precision, threads)
    torch.set_num_threads(before)
    loaded = bundle.to(where.name) if isinstance(bundle, Bundle) else Bundle.load(bundle, where.name)
    if load_table is None:
        table = LoadTable.from_bundle(loaded)
    else:
        table = load_table if isinstance(load_table, LoadTable) else LoadTable.from_arrays(load_table)
        table.check_pixel(loaded.pixel)
    return loaded, chosen, where, table
