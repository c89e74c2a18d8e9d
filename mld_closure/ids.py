"""Numbers from ids that are spread evenly, whatever the ids are: samples of cells, and cells to ranks."""

from __future__ import annotations

import numpy as np

_MIX = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: spreads ids evenly (Knuth, TAOCP 3, 6.4)


def mixed(ids: np.ndarray) -> np.ndarray:
    """An evenly spread uint64 (n,) for each id (n,), always the same one."""
    return ids.astype(np.uint64) * _MIX


def in_sample(ids: np.ndarray, share: float) -> np.ndarray:
    """Which cells (n,) belong to a sample of this share of all ids: the same ones in every step."""
    return mixed(ids).astype(np.float64) < share * 2.0**64
