"""A second reader that looks at some of the cells; it changes nothing, and both readings are kept."""

from __future__ import annotations

import numpy as np

from ..ids import in_sample
from ..models.bundle import Bundle
from ..models.dynamics import Latent, LatentDynamics
from .engine import Engine
from .options import ReadoutOptions
from .pairs import Pairs
from .readers import NAMES, DecodeReader, HeadReader, make_reader

SHADOW = np.dtype(
    [("id", "i8"), ("frame", "i4"), ("served", "f8", (len(NAMES),)), ("other", "f8", (len(NAMES),))]
)


class ReadoutShadow:
    """Reads a share of the cells, chosen by their ids, with the other readout too.

    `pairs`: readings of `SHADOW`, SI units, as the readers gave them.
    """

    def __init__(self, reader: HeadReader | DecodeReader, share: float) -> None:
        self.reader: HeadReader | DecodeReader = reader
        self.share: float = share
        self.pairs: Pairs = Pairs(SHADOW)

    def see(
        self,
        engine: Engine,
        latents: Latent,
        index: np.ndarray,
        loads: np.ndarray,
        ids: np.ndarray,
        frames: np.ndarray,
        values: np.ndarray,
    ) -> None:
        """Read frames (k,) just reached, latents at rows `index` (k,), of which `values` (k, 6) are
        served."""
        chosen = np.flatnonzero(in_sample(ids, self.share))
        if len(chosen):
            seen = np.empty(len(chosen), SHADOW)
            seen["id"], seen["frame"], seen["served"] = ids[chosen], frames[chosen], values[chosen]
            seen["other"] = engine.read(latents, index[chosen], loads[chosen], ids[chosen], self.reader)
            self.pairs.add(seen)


def make_shadow(
    bundle: Bundle, model: LatentDynamics, options: ReadoutOptions, share: float
) -> ReadoutShadow | None:
    """The shadow that reads a share of the cells with the other readout; None for a share of 0."""
    if share == 0:
        return None
    other = ReadoutOptions("decode" if options.kind == "head" else "head", options.threshold, options.fields)
    return ReadoutShadow(make_reader(bundle, model, other)[0], share)
