"""The shadow that asks physics: a sample of the served cells run on the fallback too, both remembered.

It changes nothing: where the physics fails, the run goes on and the record holds NaN. Under several ranks
each one shadows the cells it owns.
"""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from ..surrogate.readers import chosen_ids
from .fallback import Fallback, FallbackRequest
from .readout import NAMES

log = logging.getLogger("mld_closure")
PHYSICS_SHADOW = np.dtype(
    [("id", "i8"), ("tau", "f8"), ("served", "f8", (len(NAMES),)), ("other", "f8", (len(NAMES),))]
)


class PhysicsShadow:
    """Asks `physics` what it would have returned for a share of the cells, chosen by their ids.

    Each cell has a course of its own there, from rest, so that a law that integrates is not led by the model.
    """

    def __init__(self, physics: Fallback, share: float) -> None:
        self.physics, self.share = physics, share
        self._course: dict[int, np.ndarray] = {}  # quantities (6,) by id, as committed
        self._pending: dict[int, np.ndarray] = {}  # records by id of the open step: the last call counts
        self._kept: list[np.ndarray] = []

    def chosen(self, ids: np.ndarray) -> np.ndarray:
        """Which cells (n,) are in the sample."""
        return chosen_ids(ids, self.share)

    def before(self, ids: np.ndarray, served: np.ndarray) -> np.ndarray:
        """Quantities (n, 6) of the physics at the last commit; those served, unburned, for new cells."""
        start = served.copy()
        start[:, [NAMES.index(n) for n in ("burned_fraction", "hotspot_area_fraction")]] = 0.0
        return np.array([self._course.get(int(i), s) for i, s in zip(ids, start, strict=True)])

    def see(self, request: FallbackRequest, served: np.ndarray) -> None:
        """Run the physics over the request's step, beside what was served (n, 6)."""
        try:
            other = np.asarray(self.physics(request), np.float64).reshape(served.shape)
        except Exception as err:
            log.warning("the shadow's physics failed: %s: %s", type(err).__name__, err)
            other = np.full(served.shape, np.nan)
        seen = np.empty(len(served), PHYSICS_SHADOW)
        seen["id"], seen["tau"], seen["served"], seen["other"] = request.ids, request.until, served, other
        self._pending |= {int(row["id"]): row for row in seen}

    def commit(self) -> None:
        """Keep what was seen since the last commit."""
        if self._pending:
            rows = np.array([*self._pending.values()], PHYSICS_SHADOW)
            self._kept.append(rows)
            for row in rows:
                if np.isfinite(row["other"][NAMES.index("burned_fraction")]):
                    self._course[int(row["id"])] = row["other"]
        self._pending = {}

    def rollback(self) -> None:
        """Forget what was seen since the last commit."""
        self._pending = {}

    def records(self) -> np.ndarray:
        """All committed pairs (n,) of `PHYSICS_SHADOW`, SI units; tau: the cell's clock (s)."""
        return np.concatenate(self._kept) if self._kept else np.empty(0, PHYSICS_SHADOW)


def make_physics_shadow(settings: Any, fallback: Fallback | None) -> PhysicsShadow | None:
    """The shadow that the settings ask for; None where it is none, or the other readout."""
    if settings.shadow == 0 or settings.shadow_with != "fallback":
        return None
    if fallback is None:
        raise ValueError("shadow_with is 'fallback' but no fallback was given; pass fallback=")
    return PhysicsShadow(fallback, settings.shadow)
