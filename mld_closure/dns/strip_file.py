"""What a resolved strip leaves behind: the image of its microstructure and the curves of its parts.

The file is numpy's compressed archive, well below a megabyte; units are SI.
"""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mld_closure.durable import published, write

FORMAT, VERSION = "mld_closure strip", 1
CURVES = (
    *("burned_share", "mean_pressure", "hot_share", "hot_temperature"),
    *("mean_density", "mean_energy", "kept_share"),
)
NUMBERS = ("up", "pixel", "halo", "tail")


@dataclass(frozen=True)
class Strip:
    """A strip of patches thrown at a wall, resolved (SI units).

    up: piston speed. pixel: side (m). halo, tail: columns before the first and behind the last patch. times:
    (time,). arrival: (patch, part) s, nan where none came. solid: solid fraction (y, x) in 255ths, uint8.
    curves: `CURVES` by name, float32 (time, patch, part), as `dns.curves` measures them; hot_share is the hot
    area to that of the part at rest. facts: how the microstructure was drawn.
    """

    up: float
    pixel: float
    halo: int
    tail: int
    times: np.ndarray
    arrival: np.ndarray
    solid: np.ndarray
    curves: dict[str, np.ndarray]
    facts: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shape = (len(self.times), *self.arrival.shape)
        for name in CURVES:
            if name not in self.curves or self.curves[name].shape != shape:
                got = self.curves[name].shape if name in self.curves else "nothing"
                raise ValueError(f"a strip needs {name} of shape {shape}, got {got}")
        if self.solid.ndim != 2 or self.solid.dtype != np.uint8 or self.width % self.arrival.shape[1]:
            raise ValueError(
                f"the image {self.solid.shape} has no {self.arrival.shape} patches and parts beside "
                f"{self.halo} and {self.tail} columns"
            )

    @property
    def patches(self) -> int:
        """Number of patches."""
        return self.arrival.shape[0]

    @property
    def width(self) -> int:
        """Columns of a patch."""
        return (self.solid.shape[1] - self.halo - self.tail) // self.patches

    @property
    def patch_size(self) -> float:
        """Length (m) of a patch."""
        return self.width * self.pixel

    def image(self, patch: int) -> np.ndarray:
        """Solid fraction (y, x) of a patch with its halo ahead, as models take it; float32 from 0 to 1."""
        first = self.width * patch
        return self.solid[:, first : first + self.halo + self.width].astype(np.float32) / 255

    def porosity(self, groups: int = 1) -> np.ndarray:
        """Porosity (patch, groups) of equal column groups of each patch."""
        columns = 1.0 - self.solid[:, self.halo : self.solid.shape[1] - self.tail].mean(axis=0) / 255.0
        return columns.reshape(self.patches, groups, -1).mean(axis=2)

    def save(self, path: Path) -> None:
        """Write the file, in one atomic step."""
        numbers = {name: getattr(self, name) for name in NUMBERS}
        about = {"format": FORMAT, "version": VERSION, **numbers, "facts": self.facts}
        buffer = io.BytesIO()
        np.savez_compressed(
            buffer, about=np.array(json.dumps(about)), times=self.times,
            arrival=self.arrival.astype(np.float32), solid=self.solid, **self.curves,
        )  # fmt: skip
        with published(Path(path)) as temporary:
            write(temporary, buffer.getvalue())

    @classmethod
    def load(cls, path: Path) -> Strip:
        """Read a file that `save` wrote; ValueError where it is another or damaged."""
        data = io.BytesIO(Path(path).read_bytes())
        try:
            with np.load(data, allow_pickle=False) as file:
                about = json.loads(str(file["about"]))
                if (about.get("format"), about.get("version")) != (FORMAT, VERSION):
                    raise ValueError(f"it is '{about.get('format')}' {about.get('version')}")
                return cls(
                    **{name: about[name] for name in NUMBERS},
                    times=file["times"],
                    arrival=file["arrival"],
                    solid=file["solid"],
                    curves={name: file[name] for name in CURVES},
                    facts=about["facts"],
                )
        except (KeyError, ValueError, OSError, EOFError, AttributeError, zipfile.BadZipFile) as err:
            raise ValueError(f"{path}: no file of a strip ({err})") from None
