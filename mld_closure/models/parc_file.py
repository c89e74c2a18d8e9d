"""A PARCv2 baseline on disk: one safetensors file with the configuration in its header.

Reading such a file cannot run code.
"""

from __future__ import annotations

import json
from pathlib import Path

import safetensors
import safetensors.torch
import torch

from ..config import from_dict, to_dict
from ..durable import published
from .parc import Parc, ParcConfig

FORMAT = "mld-closure-parc-1"


def save_parc(model: Parc, path: str | Path) -> None:
    """Write a model to `path` in one crash-safe atomic step."""
    path = Path(path)
    state = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    with published(path) as temporary:
        safetensors.torch.save_file(
            state, temporary, metadata={"format": FORMAT, "config": json.dumps(to_dict(model.config))}
        )


def load_parc(path: str | Path, device: str | torch.device = "cpu") -> Parc:
    """Read a model written by `save_parc`; it is frozen and in evaluation mode.

    Parameters
    ----------
    path : path
        The file.
    device : str or torch.device
        Where to put the model.

    Returns
    -------
    Parc

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        A file of another kind, or tensors that do not fit its configuration.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"no such baseline file: {path}")
    try:
        with safetensors.safe_open(path, "pt") as file:
            head = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except safetensors.SafetensorError as err:
        raise ValueError(f"{path} is not a safetensors file: {err}") from None
    if head.get("format") != FORMAT:
        raise ValueError(f"{path}: its format is {head.get('format')!r}; a PARCv2 baseline has '{FORMAT}'")
    with torch.device("meta"):
        model = Parc(from_dict(ParcConfig, json.loads(head["config"]), f"{path}: config"))
    try:
        model.load_state_dict(state, assign=True)
    except RuntimeError as err:
        raise ValueError(f"{path}: tensors do not fit the configuration: {err}") from None
    return model.to(device).to(memory_format=torch.channels_last).eval().requires_grad_(False)
