"""The fallback as a shadow: a share of the served cells computed by physics too, both results kept.

It changes nothing: where the physics fails, the run goes on and the record holds NaN. Each rank shadows the
cells it owns."""

from __future__ import annotations

import logging

import numpy as np

from ...fields import QUANTITIES
from ...ids import in_sample
from ...surrogate.pairs import Pairs
from ..fallback import Fallback, FallbackRequest

NAMES = tuple(QUANTITIES)
_BURNED, _AREA = NAMES.index("burned_fraction"), NAMES.index("hotspot_area_fraction")
log: logging.Logger = logging.getLogger("mld_closure")
FALLBACK_SHADOW = np.dtype(
    [("id", "i8"), ("tau", "f8"), ("served", "f8", (len(NAMES),)), ("other", "f8", (len(NAMES),))]
)


class FallbackShadow:
    """Asks the fallback what it would have returned for a share of the cells, chosen by their ids.

    Each cell has a course of its own there, from rest, so that a law that integrates is not led by the model.
    `pairs`: rows of `FALLBACK_SHADOW`, SI units; tau: the cell's clock (s).
    """

    def __init__(self, fallback: Fallback, share: float) -> None:
        self.fallback: Fallback = fallback
        self.share: float = share
        self.pairs: Pairs = Pairs(FALLBACK_SHADOW)
        self._course: dict[int, np.ndarray] = {}  # quantities (6,) by id, as committed
        self._pending: dict[int, np.ndarray] = {}  # rows by id of the open step: the last call counts

    def chosen(self, ids: np.ndarray) -> np.ndarray:
        """Which cells (n,) are in the sample."""
        return in_sample(ids, self.share)

    def before(self, ids: np.ndarray, served: np.ndarray) -> np.ndarray:
        """Quantities (n, 6) of the fallback at the last commit; those served, unburned, for new cells."""
        start = served.copy()
        start[:, [_BURNED, _AREA]] = 0.0
        return np.array([self._course.get(int(i), s) for i, s in zip(ids, start, strict=True)])

    def see(self, request: FallbackRequest, served: np.ndarray) -> None:
        """Run the fallback over the request's step, beside what was served (n, 6)."""
        try:
            other = np.asarray(self.fallback(request), np.float64).reshape(served.shape)
        except Exception as err:
            log.warning("the shadow's fallback failed: %s: %s", type(err).__name__, err)
            other = np.full(served.shape, np.nan)
        seen = np.empty(len(served), FALLBACK_SHADOW)
        seen["id"], seen["tau"], seen["served"], seen["other"] = request.ids, request.until, served, other
        self._pending |= {int(row["id"]): row for row in seen}

    def commit(self) -> None:
        """Keep what was seen since the last commit."""
        if self._pending:
            rows = np.array([*self._pending.values()], FALLBACK_SHADOW)
            self.pairs.add(rows)
            self.pairs.commit()
            for row in rows[np.isfinite(rows["other"][:, _BURNED])]:
                self._course[int(row["id"])] = row["other"]
        self._pending = {}

    def rollback(self) -> None:
        """Forget what was seen since the last commit."""
        self._pending = {}

    def forget(self, ids: np.ndarray | None = None) -> None:
        """Forget the courses of cells (k,) that are no longer there, or of all."""
        if ids is None:
            self._course = {}
        else:
            for cell in ids:
                self._course.pop(int(cell), None)
