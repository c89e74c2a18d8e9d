"""What the owners of cells ask the server of their latent states, and what it answers; plain arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

DRAWS = 4  # latent samples behind an uncertainty
NO_SLOT = -1
WHOLE_PATCH = -1  # in place of the number of a column part
FINISHED = 0.999  # burned fraction from which a cell counts as burned


@dataclass(frozen=True)
class Requests:
    """Cells (k,) to be brought from a model frame to a later one.

    id; slot of their latent state (`NO_SLOT` for those that start); frame that they have reached (-1 before
    frame 0) and frame that is wanted; up: load (m/s); solid: mean solid fraction of the patch, once known;
    part: column part of the patch, -1 for the whole patch.
    patches(positions): solid fractions (p, ny, nx), float32, of some of the k, asked for those that start.
    """

    id: np.ndarray
    slot: np.ndarray
    frame: np.ndarray
    wanted: np.ndarray
    up: np.ndarray
    solid: np.ndarray
    part: np.ndarray
    patches: Callable[[np.ndarray], np.ndarray]

    @property
    def counts(self) -> np.ndarray:
        """Frames (k,) asked for."""
        return self.wanted - self.frame


@dataclass(frozen=True)
class Answers:
    """Readings of requests (k,), frame by frame, SI units.

    block, place (k,): where the server keeps the new latent states until the step ends. reached (k,): frame
    that was reached; a cell stops early where it has burned out or its reading is not finite. solid (k,):
    mean solid fraction of the patch at rest, of cells that started, else NaN. values (sum counts, 6) of
    `fields.QUANTITIES` and draws (sum counts, DRAWS), burned fractions of latent samples: one row per frame
    asked for, request after request; NaN in rows beyond the frame reached."""

    block: np.ndarray
    place: np.ndarray
    reached: np.ndarray
    solid: np.ndarray
    values: np.ndarray
    draws: np.ndarray
