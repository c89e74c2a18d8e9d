"""Which reader serves a closure, and the shadow: a second reader that looks at some of the same cells."""

from __future__ import annotations

import numpy as np

from ..closure.options import Settings
from ..closure.readout import NAMES, DecodeReader, HeadReader
from ..models.bundle import Bundle, BundleError
from ..models.dynamics import Latent, LatentDynamics
from ..models.readout_head import EXTRA, ReadoutHead
from .engine import Engine, one_kernel

_MIX = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: spreads ids evenly (Knuth, TAOCP 3, 6.4)
SHADOW = np.dtype(
    [("id", "i8"), ("frame", "i4"), ("served", "f8", (len(NAMES),)), ("other", "f8", (len(NAMES),))]
)


def make_reader(
    bundle: Bundle, model: LatentDynamics, settings: Settings
) -> tuple[HeadReader | DecodeReader, float]:
    """The reader that the settings ask for, and the uncertainty (1/s) where it can draw none (NaN: unknown).

    Raises BundleError where the bundle has no head for it, or one for other latents.
    """
    head = None
    if EXTRA in bundle.extras:
        head = ReadoutHead.from_extra(bundle.extras[EXTRA])
        one_kernel(head)
        if head.config.latent_size != model.config.latent_size:
            raise BundleError(
                f"the readout head reads {head.config.latent_size} channels, the model has "
                f"{model.config.latent_size}; export the bundle again"
            )
    error = head.config.burn_rate_error if head is not None else None
    spread = float("nan") if error is None else error
    samples = model.config.evolve_logvar
    if settings.readout == "head":
        if head is None:
            raise BundleError("this bundle has no readout head; use readout='decode' or train a head")
        return HeadReader(head, samples), spread
    return DecodeReader(model, settings.threshold, settings.decode_fields, head if samples else None), spread


def chosen_ids(ids: np.ndarray, share: float) -> np.ndarray:
    """Which of the cells (n,) a share samples: spread evenly, and the same ones in every step."""
    return (ids.astype(np.uint64) * _MIX).astype(np.float64) < share * 2.0**64


class Shadow:
    """Reads a sample of the cells a second time, with the other readout; changes nothing, remembers both.

    share: of the cells, chosen by their ids.
    """

    def __init__(self, reader: HeadReader | DecodeReader, share: float) -> None:
        self.reader, self.share = reader, share
        self._pending: list[np.ndarray] = []
        self._kept: list[np.ndarray] = []

    def __call__(
        self,
        engine: Engine,
        latents: Latent,
        index: np.ndarray,
        loads: np.ndarray,
        ids: np.ndarray,
        frames: np.ndarray,
        values: np.ndarray,
    ) -> None:
        """Look at frames just reached: latents at rows `index` (k,), what was served (k, 6)."""
        chosen = np.flatnonzero(chosen_ids(ids, self.share))
        if len(chosen):
            seen = np.empty(len(chosen), SHADOW)
            seen["id"], seen["frame"], seen["served"] = ids[chosen], frames[chosen], values[chosen]
            seen["other"] = engine.read(latents, index[chosen], loads[chosen], ids[chosen], self.reader)
            self._pending.append(seen)

    def commit(self) -> None:
        """Keep what was seen since the last commit."""
        self._kept, self._pending = self._kept + self._pending, []

    def rollback(self) -> None:
        """Forget what was seen since the last commit."""
        self._pending = []

    def records(self) -> np.ndarray:
        """All committed pairs of readings (n,) of `SHADOW`, SI units, as the readers gave them."""
        return np.concatenate(self._kept) if self._kept else np.empty(0, SHADOW)


def make_shadow(bundle: Bundle, model: LatentDynamics, settings: Settings) -> Shadow | None:
    """The shadow that the settings ask for; None for a share of 0, or one by the fallback."""
    if settings.shadow == 0 or settings.shadow_with != "readout":
        return None
    other = "decode" if settings.readout == "head" else "head"
    swapped = Settings(readout=other, threshold=settings.threshold, decode_fields=settings.decode_fields)
    return Shadow(make_reader(bundle, model, swapped)[0], settings.shadow)
