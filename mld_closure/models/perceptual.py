"""The feature extractor of the perceptual loss: the convolutions of an InceptionV3 trained on ImageNet.

No weights are included and none are downloaded: torchvision is an optional package, and the user provides the
file with its weights.
"""

from __future__ import annotations

import pickle
from pathlib import Path

import torch
from torch import nn

SMALLEST_SIDE = 75  # pixels; poolings and unpadded convolutions reduce smaller images to nothing


class InceptionFeatures(nn.Module):
    """Frozen network: images (b, 3, y, x) in [0, 1] -> features (b, 2048, about y/32, about x/32)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        stages = []
        for name, stage in network.named_children():
            if name == "avgpool":
                break
            if name != "AuxLogits":
                stages.append(stage)
        self.stages: nn.Sequential = nn.Sequential(*stages)
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> InceptionFeatures:
        """Do nothing: the network stays in evaluation mode, with the batch statistics of ImageNet."""
        return super().train(False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if min(x.shape[-2:]) < SMALLEST_SIDE:
            raise ValueError(
                f"images of {x.shape[-2]} x {x.shape[-1]} pixels; InceptionV3 needs {SMALLEST_SIDE} per side"
            )
        return self.stages(2.0 * x - 1.0)  # trained on [-1, 1]


def inception_v3(weights: str | Path) -> InceptionFeatures:
    """Load InceptionV3 from a file.

    Parameters
    ----------
    weights : path
        The state dict of torchvision's InceptionV3.

    Returns
    -------
    InceptionFeatures

    Raises
    ------
    ImportError
        torchvision is not installed.
    FileNotFoundError
        There is no such file.
    ValueError
        The file holds something else.
    """
    try:
        from torchvision.models import inception_v3 as build
    except ImportError:
        raise ImportError(
            "the perceptual loss needs torchvision: pip install torchvision, or give it weight 0"
        ) from None
    path = Path(weights)
    if not path.is_file():
        raise FileNotFoundError(f"no InceptionV3 weights at {path}; save torchvision's state dict there")
    network = build(weights=None, aux_logits=True, transform_input=False, init_weights=False)
    try:
        network.load_state_dict(torch.load(path, weights_only=True, map_location="cpu"))
    except (RuntimeError, AttributeError, ValueError, EOFError, pickle.UnpicklingError) as err:
        raise ValueError(f"{path} does not hold torchvision's InceptionV3 weights: {err}") from None
    return InceptionFeatures(network)
