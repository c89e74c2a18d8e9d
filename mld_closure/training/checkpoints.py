"""Checkpoints: crash-safe atomic writes, read without running code from the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from .. import durable

FORMAT = 1


def save(path: str | Path, state: dict[str, Any]) -> None:
    """Write the state of a stage; `path` holds the complete old or the complete new state at any time.

    Parameters
    ----------
    path : path
        Checkpoint file; its folder is created.
    state : dict
        Tensors, numbers, texts, lists and dicts.
    """
    path = Path(path)
    durable.make_folder(path.absolute().parent)
    with durable.published(path) as temporary, open(temporary, "wb") as file:
        torch.save({"format": FORMAT, **state}, file)


def load(path: str | Path) -> dict[str, Any] | None:
    """Read the state written by `save`, on the CPU.

    Returns
    -------
    dict or None
        None if there is no file.

    Raises
    ------
    ValueError
        A file that cannot be read or has another format.
    """
    path = Path(path)
    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as err:
        raise ValueError(f"{path} is not a readable checkpoint ({err}); remove it to train again") from None
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise ValueError(f"{path}: this version reads checkpoint format {FORMAT}; remove it to train again")
    return state


def write_text(path: str | Path, text: str) -> None:
    """Replace a text file in one crash-safe atomic step; its folder is created."""
    path = Path(path)
    durable.make_folder(path.absolute().parent)
    durable.write_text(path, text)
