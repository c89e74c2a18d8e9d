"""Import Keras weight files (.h5) of the published TensorFlow implementation as a bundle.

A directory holds, for each field, `<field>_encoder.h5`, `<field>_decoder.h5`,
`<field>_decoupled_latent_evolution_mean.h5` and `..._var.h5`; and once `coupled_latent_evolution_mean.h5` and
`..._var.h5`. The networks called "var" give log-variances. Sizes and the kind of evolution network follow
from the shapes.

Why: Keras numbers layer names anew in each session, so names cannot identify a layer. Tensors are taken in
the order of the attributes `layer_names` and `weight_names`, and every shape is checked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import torch
from torch import nn

from ..intake import reason
from .bundle import Bundle
from .dynamics import LatentDynamics, MesoDynamics, MicroDynamics
from .resnet import Bottleneck
from .settings import ModelConfig

RESNET_CONVOLUTIONS = 17  # four blocks of four, and the last one; the U-Net has 36


class Convolution(NamedTuple):
    """Weights of one convolution: kernel (out, in, y, x) and bias (out,)."""

    kernel: np.ndarray
    bias: np.ndarray


def import_keras(
    directory: str | Path,
    *,
    pixel: float,
    micro_step: float,
    meso_micro_ratio: int = 2,
    horizon: int = 24,
    meso_directory: str | Path | None = None,
    fields: Sequence[str] = ModelConfig.fields,
) -> Bundle:
    """Build a bundle from a directory of Keras weight files.

    Parameters
    ----------
    directory : path
        Directory with the files named in the module docstring.
    pixel : float
        Side of a pixel [m].
    micro_step : float
        Time of one micro step [s].
    meso_micro_ratio : int
        Micro steps per meso step.
    horizon : int
        Number of meso frames that the model was trained for.
    meso_directory : path, optional
        Directory with the coupled networks of the meso model, if they differ from those of the micro model.
    fields : sequence of str
        Fields in the order in which latents are stacked.

    Returns
    -------
    Bundle

    Raises
    ------
    FileNotFoundError
        A weight file is missing.
    ValueError
        A file whose content does not fit.
    """
    directory = Path(directory)
    meso_from = directory if meso_directory is None else Path(meso_directory)
    config = infer_config(directory, tuple(fields), meso_micro_ratio)
    micro = MicroDynamics(config)
    read: list[Path] = []
    for name in config.fields:
        vae = micro.vaes[name]
        for network, kind in (
            (vae.encoder, "encoder"),
            (vae.decoder, "decoder"),
            (micro.decoupled_mean[name], "decoupled_latent_evolution_mean"),
            (micro.decoupled_logvar[name], "decoupled_latent_evolution_var"),
        ):
            read.append(fill(network, directory / f"{name}_{kind}.h5"))
    read += _fill_coupled(micro, directory)
    meso = MesoDynamics.from_micro(micro)
    if meso_directory is not None:
        read += _fill_coupled(meso, meso_from)
    source = {
        "origin": "Keras weight files",
        "files": {str(p.name if p.parent == directory else p): _sha256(p) for p in read},
    }
    return Bundle(
        micro,
        meso,
        pixel=pixel,
        micro_step=micro_step,
        horizon=horizon,
        load_range=config.load_range,
        provenance=source,
    )


def infer_config(directory: Path, fields: tuple[str, ...], meso_micro_ratio: int) -> ModelConfig:
    """Find widths, latent channels and kind of evolution network from the shapes in the weight files."""
    encoder = list(convolutions(directory / f"{fields[0]}_encoder.h5"))
    evolution = list(convolutions(directory / "coupled_latent_evolution_mean.h5"))
    resnet = len(evolution) == RESNET_CONVOLUTIONS
    first = evolution[2 if resnet else 0]
    return ModelConfig(
        fields=fields,
        base=len(encoder[0].bias),
        evolution_base=len(first.bias),
        latent_channels=len(encoder[-1].bias),
        evolution="resnet16" if resnet else "unet",
        meso_micro_ratio=meso_micro_ratio,
    )


def convolutions(path: Path) -> Iterator[Convolution]:
    """Yield the convolutions in a Keras weight file, in the order in which the file lists them.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        The file is no Keras weight file, or holds layers other than convolutions with bias.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no weight file {path}; the directory must hold all networks of all fields")
    try:
        with h5py.File(path, "r") as file:
            tensors = [
                np.asarray(file[layer][weight], dtype=np.float32)
                for layer in _texts(file.attrs["layer_names"])
                for weight in _texts(file[layer].attrs["weight_names"])
            ]
    except (OSError, KeyError) as err:
        raise ValueError(f"{path} is not a Keras weight file: {reason(err)}") from None
    kernels, biases = tensors[0::2], tensors[1::2]
    if len(kernels) != len(biases) or any(
        k.ndim != 4 or b.ndim != 1 for k, b in zip(kernels, biases, strict=True)
    ):
        raise ValueError(f"{path} holds layers other than convolutions with bias")
    for kernel, bias in zip(kernels, biases, strict=True):
        yield Convolution(kernel.transpose(3, 2, 0, 1), bias)  # (y, x, in, out) -> (out, in, y, x)


def fill(network: nn.Module, path: Path) -> Path:
    """Copy the weights in a file into a network of the same architecture; returns the path.

    Raises
    ------
    ValueError
        The number of convolutions or a shape differs; the message names the first one.
    """
    stored, targets = list(convolutions(path)), list(keras_order(network))
    if len(stored) != len(targets):
        raise ValueError(f"{path} holds {len(stored)} convolutions; this network has {len(targets)}")
    for i, (source, target) in enumerate(zip(stored, targets, strict=True)):
        if source.kernel.shape != tuple(target.weight.shape):
            raise ValueError(
                f"{path}: convolution {i} is {source.kernel.shape} (out, in, y, x), expected "
                f"{tuple(target.weight.shape)}"
            )
        with torch.no_grad():
            target.weight.copy_(torch.from_numpy(source.kernel.copy()))
            target.bias.copy_(torch.from_numpy(source.bias))
    return path


def keras_order(network: nn.Module) -> Iterator[nn.Conv2d]:
    """Yield the convolutions of a network in the order in which Keras lists them.

    It is the order of creation, except in the blocks of the ResNet: shortcut, third, first, second.
    """
    for child in network.children():
        if isinstance(child, Bottleneck):
            yield from (child.shortcut, child.third, child.first, child.second)
        elif isinstance(child, nn.Conv2d):
            yield child
        else:
            yield from keras_order(child)


def _fill_coupled(model: LatentDynamics, directory: Path) -> list[Path]:
    """Fill the coupled networks; returns the files read."""
    pairs = ((model.coupled_mean, "mean"), (model.coupled_logvar, "var"))
    return [fill(network, directory / f"coupled_latent_evolution_{kind}.h5") for network, kind in pairs]


def _texts(names: Sequence[str | bytes]) -> list[str]:
    """HDF5 strings as str."""
    return [name.decode() if isinstance(name, bytes) else str(name) for name in names]


def _sha256(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
