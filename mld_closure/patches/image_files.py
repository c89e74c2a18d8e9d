"""Images of a microstructure in files: datasets of HDF5 files and grey pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

GREY_MODES = {"1": 1, "L": 255, "I;16": 65535, "F": 1}  # Pillow's names, and the value of solid


def image_dataset(file: Any, name: str | None, path: Path) -> Any:
    """The two-dimensional dataset of an open HDF5 file: the only one, or the one named; else ValueError."""
    found: list[str] = []
    file.visititems(lambda key, item: found.append(key) if len(getattr(item, "shape", ())) == 2 else None)
    if name is None and len(found) == 1:
        name = found[0]
    if name is None:
        raise ValueError(f"{path} has {len(found)} images ({', '.join(found) or 'none'}); name one: dataset=")
    if name.strip("/") not in found:
        raise ValueError(f"{path} has no image '{name}'; it has: {', '.join(found) or 'none'}")
    return file[name]


def grey_picture(path: Path) -> np.ndarray:
    """A grey picture as float32 (ny, nx), black 0 and white 1; ValueError for a picture in colour."""
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError as err:
        raise ImportError(
            f"reading {path} needs Pillow, which comes with matplotlib; "
            f"install it, or store the image as HDF5 or .npy"
        ) from err
    try:
        with Image.open(path) as picture:
            if picture.mode not in GREY_MODES:
                raise ValueError(f"{path} is a picture of mode {picture.mode}; save it in grey without alpha")
            return np.asarray(picture, np.float32) / GREY_MODES[picture.mode]
    except UnidentifiedImageError as err:
        raise ValueError(f"{path} is not a picture; specimens are .h5, .npy or grey pictures") from err
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as err:
        raise ValueError(f"{path} is too large for a picture: {err}; store it as HDF5 or .npy") from err
