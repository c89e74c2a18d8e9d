"""What it costs to describe a patch, beside what it costs to encode it."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch

from .. import fields as field_table
from ..models.bundle import Bundle
from ..patches.descriptors import describe
from ..patches.specimen import Specimen
from ..surrogate.frame0 import LoadTable


def description(
    bundle: str = "hmx-compact", shape: tuple[int, int] = (320, 480), repeats: int = 5
) -> dict[str, Any]:
    """Seconds for one patch (ny, nx), one thread, the best of some: to describe, and to encode frame 0."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        loaded = Bundle.load(bundle)
        table = LoadTable.from_bundle(loaded)
        mu = Specimen.generate(shape, loaded.pixel, 1, porosity=0.1).window(0, 0, shape[1], shape[0])[None]
        names = loaded.config.fields
        frame = table.frame0(mu, np.array([900.0]), names)
        for i, name in enumerate(names):
            frame[:, i] = field_table.get(name).scale(frame[:, i])
        scaled = torch.from_numpy(frame)
        describe(mu, loaded.pixel, table.entry)
        with torch.inference_mode():
            loaded.model("meso").encode(scaled)
            best = {"describe": float("inf"), "encode": float("inf")}
            for _ in range(repeats):
                begun = time.perf_counter()
                describe(mu, loaded.pixel, table.entry)
                middle = time.perf_counter()
                loaded.model("meso").encode(scaled)
                best["describe"] = min(best["describe"], middle - begun)
                best["encode"] = min(best["encode"], time.perf_counter() - middle)
    finally:
        torch.set_num_threads(before)
    return {"shape": list(shape), "seconds": best, "share": best["describe"] / best["encode"]}
