"""What a host may choose of the server of latent states: how it reads them, and how its networks run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..config import option
from ..fields import HOT


@dataclass(frozen=True)
class ReadoutOptions:
    """How quantities are read from latent states."""

    kind: Literal["auto", "curves", "head", "decode"] = option(
        "auto",
        "`curves` evaluates the whole burn curve of a point at once, `head` reads latents with a small "
        "network, `decode` decodes fields and measures them; `auto` takes curves where the bundle has them, "
        "else the head",
    )
    threshold: float = option(HOT, "temperature above which a pixel is a hot spot (for `decode`)", "K")
    fields: tuple[str, ...] | None = option(
        None, "fields that `decode` decodes; none for all. A quantity that needs another field is NaN"
    )
    read_every: int = option(
        1,
        "model frames from one that is read to the next; between them readings are linear in time",
        "frames",
    )

    def __post_init__(self) -> None:
        positive(self, "readout", "threshold", "read_every")


@dataclass(frozen=True)
class EngineOptions:
    """Which networks run, on patches of which size, and in which batches."""

    scale: Literal["meso", "micro"] = option(
        "meso", "the model that serves; `micro` where a patch is one building block"
    )
    patch_shape: tuple[int, int] | None = option(
        None, "(ny, nx) of every patch; none takes that of the first patches registered", "pixels"
    )
    horizon: int | None = option(
        None, "frames for which the model is trusted; none takes the bundle's", "frames"
    )
    micro_batch: int = option(8, "cells that the networks see at once", "cells")
    reproducible: bool = option(
        False, "every batch is padded to `micro_batch`, so that a cell gives the same bits in any company"
    )
    compiled: str | None = option(
        None, "file with the model's step compiled for this machine: native code, from a maker you trust"
    )

    def __post_init__(self) -> None:
        positive(self, "engine", "horizon", "micro_batch")


def positive(options: object, group: str, *names: str) -> None:
    """ValueError that names the first of these options that is given and not positive."""
    for name in names:
        value = getattr(options, name)
        if value is not None and not value > 0:
            raise ValueError(f"{group}.{name} must be positive, got {value}")
