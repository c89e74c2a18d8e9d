"""The networks of a bundle as safetensors files: what is stored, read and checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import nn

from ..errors import BundleError
from .dynamics import LatentDynamics, MesoDynamics, MicroDynamics
from .manifest import MANIFEST, read_file
from .settings import ModelConfig

SCALES: dict[str, type[MicroDynamics] | type[MesoDynamics]] = {"micro": MicroDynamics, "meso": MesoDynamics}


def stored_parts(model: LatentDynamics) -> dict[str, nn.Module]:
    """Everything of a model that is stored: its networks and the scaling of its latents."""
    return {**model.parts(), "scaling": model.scaling}


def load_models(
    directory: Path, manifest: dict[str, Any], config: ModelConfig
) -> list[LatentDynamics] | list[None]:
    """Both models, or two None where the manifest lists parts of neither; a part whose file they share is one
    module in both."""
    if not any(manifest["parts"][scale] for scale in SCALES):
        return [None] * len(SCALES)
    # without memory: a configuration may ask for more than there is, and is compared with the files first;
    # the caller's random numbers stay
    with torch.device("meta"), torch.random.fork_rng(devices=[]):
        models = {scale: kind(config) for scale, kind in SCALES.items()}
    loaded: dict[str, nn.Module] = {}
    for scale, model in models.items():
        for part, module in stored_parts(model).items():
            name = manifest["parts"][scale].get(part)
            if name is None:
                raise BundleError(f"{directory / MANIFEST} lists no file for {part} of the {scale} model")
            if name not in loaded:
                state = read_tensors(directory, name, manifest)
                _check_tensors(state, module.state_dict(), directory / name)
                fill(module, state)
                loaded[name] = module
            setattr(model, part, loaded[name])
        model.eval().requires_grad_(False)
    return list(models.values())


def fill(module: nn.Module, state: dict[str, torch.Tensor]) -> None:
    """Give a module that has no memory yet copies of these tensors, laid out as it lays out its own."""
    own = module.state_dict()
    copies = {}
    for name, values in state.items():  # not empty_like: of a tensor without memory it loads sympy
        size, stride = own[name].shape, own[name].stride()
        copies[name] = torch.empty_strided(size, stride, dtype=own[name].dtype, device=values.device)
        copies[name].copy_(values)
    module.load_state_dict(copies, assign=True)


def _check_tensors(there: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor], path: Path) -> None:
    if missing := sorted(set(wanted) - set(there)):
        raise BundleError(f"{path} lacks the tensor {missing[0]} that the configuration asks for")
    if unknown := sorted(set(there) - set(wanted)):
        raise BundleError(f"{path} holds the tensor {unknown[0]} that the configuration does not know")
    for name, tensor in wanted.items():
        if there[name].shape != tensor.shape or there[name].dtype != tensor.dtype:
            raise BundleError(
                f"{path}: tensor {name} is {tuple(there[name].shape)} {there[name].dtype}; the configuration "
                f"asks for {tuple(tensor.shape)} {tensor.dtype}"
            )


def read_tensors(directory: Path, name: str, manifest: dict[str, Any]) -> dict[str, torch.Tensor]:
    """The tensors of one file by name; BundleError where it is missing, altered or of another kind, and where
    a number is not finite."""
    try:
        found = safetensors.torch.load(read_file(directory, name, manifest))
    except (
        safetensors.SafetensorError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        RuntimeError,
    ) as err:
        if isinstance(err, BundleError):
            raise
        raise BundleError(f"{directory / name} is not a safetensors file: {err}") from None
    for key, tensor in found.items():
        if tensor.is_floating_point() and tensor.numel() and not _all_finite(tensor):
            raise BundleError(f"{directory / name}: tensor {key} holds numbers that are not finite")
    return found


def _all_finite(tensor: torch.Tensor) -> bool:
    """Whether every number is finite: the ends tell it, in a twentieth of the time, as NaN counts as both."""
    return all(bool(torch.isfinite(end)) for end in torch.aminmax(tensor))


def count_parameters(model: nn.Module) -> int:
    """Number of trainable and frozen parameters of a model."""
    return sum(p.numel() for p in model.parameters())


def tensor_bytes(state: dict[str, torch.Tensor]) -> bytes:
    """Tensors by name as the bytes of a safetensors file."""
    return safetensors.torch.save({k: v.detach().cpu().contiguous() for k, v in state.items()})
