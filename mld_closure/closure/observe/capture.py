"""The capture file: cells that needed a policy, as a trajectory file of one frame each.

Each case holds frame 0 of the cell (temperature, pressure, microstructure), its load among the scalars, and
in its description what went in and came out: enough to simulate it and to learn from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...data.growing import GrowingTrajectories, Scalar
from ...data.layout import TrajectorySpec
from ...fields import MODEL_FIELDS

SCALARS = {
    "piston_speed": Scalar("m/s"),
    "shock_pressure": Scalar("Pa"),
    "shock_speed": Scalar("m/s"),
    "porosity": Scalar("1"),
    "cell": Scalar("1", integer=True),
    "status": Scalar("1", integer=True),
    "time": Scalar("s"),
    "clock": Scalar("s"),
    "macro_pressure": Scalar("Pa"),
    "burned_fraction": Scalar("1"),
    "burn_rate": Scalar("1/s"),
}


class Capture:
    """Appends cells to a capture file.

    Parameters
    ----------
    path : path
        The file, new or of an earlier run on patches of the same size.
    shape : tuple of int
        (ny, nx) of the patches.
    pixel : float
        Side of a pixel in m.
    configuration : mapping
        JSON-ready facts about the run, kept with the file it begins.

    Raises
    ------
    ValueError
        Where the file exists with other patches or is no trajectory file.
    """

    def __init__(
        self, path: str | Path, shape: tuple[int, int], pixel: float, configuration: Mapping[str, Any]
    ) -> None:
        spec = TrajectorySpec(1, tuple(shape), pixel, (0.0,), configuration, fields=MODEL_FIELDS)
        self._file = GrowingTrajectories(path, spec, SCALARS)

    def append(
        self,
        frames: np.ndarray,
        scalars: Mapping[str, np.ndarray],
        descriptions: Sequence[Mapping[str, Any]],
    ) -> None:
        """Add k cells, crash-safe.

        Parameters
        ----------
        frames : ndarray (k, field, y, x) of float32
            Frame 0 of `MODEL_FIELDS`, SI units.
        scalars : mapping
            `SCALARS` by name, (k,) each.
        descriptions : sequence of mapping
            k JSON-ready descriptions.
        """
        fields = np.asarray(frames, np.float32)[:, :, None]  # (k, field, time, y, x)
        self._file.append({n: fields[:, i] for i, n in enumerate(MODEL_FIELDS)}, scalars, descriptions)

    def close(self) -> None:
        """Put all cells into the one file."""
        self._file.fold()
