"""Checkpoints that a kill cannot tear: written beside, synced, renamed; read without running code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from ..durable import published

FORMAT = 1


def save(path: str | Path, state: dict[str, Any]) -> None:
    """Write `state` (tensors, numbers, text, lists, dicts) so that `path` holds either the old or the new."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with published(path) as temporary, open(temporary, "wb") as file:
        torch.save({"format": FORMAT, **state}, file)


def load(path: str | Path) -> dict[str, Any] | None:
    """The state written by `save`, on the CPU; None where there is no file. ValueError for another format."""
    path = Path(path)
    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as err:
        raise ValueError(f"{path} is no readable checkpoint ({err}); remove it to train anew") from None
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise ValueError(f"{path}: this version reads checkpoint format {FORMAT}; remove it to train anew")
    return state


def write_text(path: str | Path, text: str) -> None:
    """Replace the text file at `path` in one move."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with published(path) as temporary:
        temporary.write_text(text)
