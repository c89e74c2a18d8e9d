"""The trained surrogate as one thing: both scales, what they mean in SI units, and where they came from."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import nn

from .. import fields as field_table
from ..config import to_dict
from ..device import Precision
from .dynamics import LatentDynamics, MesoDynamics, MicroDynamics
from .manifest import (
    FORMAT,
    MANIFEST,
    VERSION,
    BundleError,
    describe,
    field_scaling,
    file_entry,
    is_bundle,
    manifest_bytes,
    read_config,
    read_file,
    read_manifest,
    resolve,
    write_directory,
)
from .settings import ModelConfig

__all__ = ["Bundle", "BundleError", "Extra", "describe", "is_bundle"]

SCALES = {"micro": MicroDynamics, "meso": MesoDynamics}


class Extra(NamedTuple):
    """A further network that travels with a bundle: configuration (JSON-ready) and tensors by name."""

    config: dict[str, Any]
    state: dict[str, torch.Tensor]


@dataclass
class Bundle:
    """The micro and the meso model with everything needed to use them.

    pixel: pixel size (m). micro_step: time of one micro step (s). horizon: meso frames the model was trained
    to roll out. load_range: piston speeds (m/s) it was trained on. provenance: JSON-ready facts about its
    origin. extras: further networks by name, such as a readout head.
    """

    micro: LatentDynamics
    meso: LatentDynamics
    pixel: float
    micro_step: float
    horizon: int
    load_range: tuple[float, float]
    provenance: dict[str, Any] = field(default_factory=dict)
    extras: dict[str, Extra] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.micro.config != self.meso.config:
            raise ValueError("the micro and the meso model of a bundle must have the same configuration")
        for name in ("pixel", "micro_step", "horizon"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        for name in self.extras:
            if not name.isidentifier():
                raise ValueError(f"extra '{name}': use letters, digits and underscores")
        low, high = (float(v) for v in self.load_range)
        self.load_range = (low, high)

    @property
    def config(self) -> ModelConfig:
        """The configuration of both models."""
        return self.meso.config

    @property
    def meso_step(self) -> float:
        """Time of one meso step (s)."""
        return self.micro_step * self.config.meso_micro_ratio

    @classmethod
    def load(cls, path_or_name: str | Path, device: str | torch.device = "cpu") -> Bundle:
        """Open a bundle by path, or a shipped one by name; models in evaluation mode, frozen.

        Runs no code from the bundle. Raises BundleError for one that is missing, damaged, altered, of another
        version, or whose tensors do not fit its configuration.
        """
        directory = resolve(path_or_name)
        manifest = read_manifest(directory)
        config = read_config(manifest, directory)
        models = _load_models(directory, manifest, config)
        extras = {}
        for name, extra in manifest["extras"].items():
            extras[name] = Extra(extra["config"], _tensors(directory, extra["file"], manifest))
        try:
            bundle = cls(
                *models,
                pixel=manifest["pixel"],
                micro_step=manifest["micro_step"],
                horizon=manifest["horizon"],
                load_range=tuple(manifest["load_range"]),
                provenance=manifest["provenance"],
                extras=extras,
            )
        except (TypeError, ValueError) as err:
            raise BundleError(f"{directory / MANIFEST}: {err}") from None
        return bundle.to(device)

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write the bundle as a directory, whole or not at all; parts that both scales share are stored once.

        Raises FileExistsError where `path` exists, unless it is a bundle and `overwrite` is set.
        """
        manifest, files = self._serialise()
        write_directory(Path(path), {**files, MANIFEST: manifest_bytes(manifest)}, overwrite)

    def content_hash(self) -> str:
        """SHA-256 over everything a saved copy of this bundle holds."""
        return hashlib.sha256(manifest_bytes(self._serialise()[0])).hexdigest()

    def to(self, device: str | torch.device) -> Bundle:
        """Move both models and the tensors of the extras; returns the bundle itself."""
        self.micro.to(device)
        self.meso.to(device)
        for name, extra in self.extras.items():
            self.extras[name] = extra._replace(state={k: v.to(device) for k, v in extra.state.items()})
        return self

    @torch.inference_mode()
    def rollout(
        self,
        fields: np.ndarray,
        n_steps: int,
        scale: Literal["micro", "meso"] = "meso",
        load: float | np.ndarray | None = None,
        generator: torch.Generator | int | None = None,
        *,
        outputs: Sequence[str] | None = None,
        precision: Precision = "fp32",
    ) -> np.ndarray:
        """Frames 1 to `n_steps` that follow from frame 0, in physical units.

        fields: frame 0, (field, y, x) or (batch, field, y, x), fields in config order and SI units.
        load: piston speed (m/s), one or one per sample, where the model conditions on it.
        generator: samples the latents; a torch generator on the bundle's device, or a seed.
        outputs: names of the fields wanted, all by default.
        Returns (time, field, y, x) or (batch, time, field, y, x), float32; times are multiples of the scale's
        step. Raises ValueError for shapes or values that do not fit.
        """
        if scale not in SCALES:
            raise ValueError(f"scale '{scale}': choose {' | '.join(SCALES)}")
        if n_steps < 1:
            raise ValueError(f"n_steps must be at least 1, got {n_steps}")
        model: LatentDynamics = getattr(self, scale)
        frame0, loads = self._inputs(np.asarray(fields), load)
        if isinstance(generator, int):
            generator = torch.Generator(frame0.device).manual_seed(generator)
        names = self.config.fields if outputs is None else tuple(outputs)
        frames = []
        with _autocast(frame0.device, precision == "bf16"):
            model.check_sampling(generator)
            latent = model.encode(frame0)
            for _ in range(n_steps):
                latent = model.advance(latent, loads)
                with _autocast(frame0.device, precision != "fp32"):
                    frames.append(model.decode(latent, names, generator).float().cpu().numpy())
        scaled = np.stack(frames, axis=1)  # (b, time, field, y, x)
        for i, name in enumerate(names):
            scaled[:, :, i] = field_table.get(name).unscale(scaled[:, :, i])
        return scaled if np.ndim(fields) == 4 else scaled[0]

    def _inputs(self, fields: np.ndarray, load: Any) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Scaled frame 0 (b, field, y, x) and scaled loads (b,) on the models' device."""
        batch = fields if fields.ndim == 4 else fields[None]
        if batch.ndim != 4 or batch.shape[1] != len(self.config.fields):
            raise ValueError(
                f"fields of shape {fields.shape}; expected ([batch,] {len(self.config.fields)}, y, x) with "
                f"{', '.join(self.config.fields)}"
            )
        if not np.isfinite(batch).all():
            raise ValueError("fields hold values that are not finite; repair frame 0")
        scaled = np.stack(
            [field_table.get(name).scale(batch[:, i]) for i, name in enumerate(self.config.fields)], axis=1
        )
        device = next(self.meso.parameters()).device
        loads = None
        if load is not None:
            speeds = np.broadcast_to(np.asarray(load, dtype=np.float64), (len(batch),))
            loads = torch.tensor(self.config.scale_load(speeds), dtype=torch.float32, device=device)
        return torch.tensor(scaled, dtype=torch.float32, device=device), loads

    def _serialise(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        """The manifest and the content of the safetensors files."""
        files: dict[str, bytes] = {}
        parts: dict[str, dict[str, str]] = {scale: {} for scale in SCALES}
        stored = {scale: stored_parts(getattr(self, scale)) for scale in SCALES}
        for part in stored["micro"]:
            data = {scale: _bytes(stored[scale][part].state_dict()) for scale in SCALES}
            same = data["micro"] == data["meso"]
            for scale in SCALES:
                name = f"{part}.safetensors" if same else f"{scale}_{part}.safetensors"
                files[name] = data[scale]
                parts[scale][part] = name
        extras = {}
        for name, extra in self.extras.items():
            file = f"extra_{name}.safetensors"
            files[file] = _bytes(extra.state)
            extras[name] = {"config": extra.config, "file": file}
        manifest = {
            "format": FORMAT,
            "version": VERSION,
            "config": to_dict(self.config),
            "fields": field_scaling(self.config.fields),
            "pixel": float(self.pixel),
            "micro_step": float(self.micro_step),
            "horizon": int(self.horizon),
            "load_range": list(self.load_range),
            "provenance": self.provenance,
            "parts": parts,
            "extras": extras,
            "files": {name: file_entry(data) for name, data in files.items()},
        }
        return manifest, files


def stored_parts(model: LatentDynamics) -> dict[str, nn.Module]:
    """Everything of a model that is stored: its networks and the scaling of its latents."""
    return {**model.parts(), "scaling": model.scaling}


def _load_models(directory: Path, manifest: dict[str, Any], config: ModelConfig) -> list[LatentDynamics]:
    """Both models; a part whose file they share is one module in both."""
    with torch.device("cpu"), torch.random.fork_rng(devices=[]):  # the caller's random numbers stay
        models = {scale: kind(config) for scale, kind in SCALES.items()}
    loaded: dict[str, nn.Module] = {}
    for scale, model in models.items():
        for part, module in stored_parts(model).items():
            name = manifest["parts"][scale].get(part)
            if name is None:
                raise BundleError(f"{directory / MANIFEST} lists no file for {part} of the {scale} model")
            if name not in loaded:
                state = _tensors(directory, name, manifest)
                _check_tensors(state, module.state_dict(), directory / name)
                module.load_state_dict(state)
                loaded[name] = module
            setattr(model, part, loaded[name])
        model.eval().requires_grad_(False)
    return list(models.values())


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


def _tensors(directory: Path, name: str, manifest: dict[str, Any]) -> dict[str, torch.Tensor]:
    try:
        return safetensors.torch.load(read_file(directory, name, manifest))
    except safetensors.SafetensorError as err:
        raise BundleError(f"{directory / name} is no safetensors file: {err}") from None


def _bytes(state: dict[str, torch.Tensor]) -> bytes:
    return safetensors.torch.save({k: v.detach().cpu().contiguous() for k, v in state.items()})


def _autocast(device: torch.device, on: bool) -> Any:
    return torch.autocast(device.type, dtype=torch.bfloat16) if on else nullcontext()
