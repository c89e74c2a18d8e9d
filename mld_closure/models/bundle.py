"""The trained surrogate as one thing: both scales, what they mean in SI units, and where they came from."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch

from .. import fields as field_table
from .. import intake
from ..config import to_dict
from ..device import Precision
from .bundle_files import SCALES, count_parameters, load_models, read_tensors, stored_parts, tensor_bytes
from .dynamics import LatentDynamics
from .manifest import (
    FORMAT,
    MANIFEST,
    SAYS,
    VERSION,
    BundleError,
    describe,
    field_scaling,
    file_entry,
    is_bundle,
    read_config,
    read_manifest,
    resolve,
    write_directory,
)
from .settings import ModelConfig

CURVES = "curves"  # among the extras: a network of whole burn curves

__all__ = ["Bundle", "BundleError", "Extra", "describe", "is_bundle"]


class Extra(NamedTuple):
    """A further network or table that travels with a bundle.

    Attributes
    ----------
    config
        Its configuration, JSON-ready.
    state
        Its tensors by name.
    """

    config: dict[str, Any]
    state: dict[str, torch.Tensor]


@dataclass(repr=False)
class Bundle:
    """The micro and the meso model with everything needed to use them.

    Attributes
    ----------
    micro, meso
        The two models; they have the same configuration and may share networks. Both None in a bundle of
        burn curves alone (`extras["curves"]`).
    pixel
        Side of a pixel (m).
    micro_step
        Time of one micro step (s).
    horizon
        Meso frames that the model was trained to roll out.
    load_range
        Least and greatest piston speed (m/s) that the model was trained on.
    provenance
        JSON-ready facts about its origin.
    extras
        Further networks and tables by name, such as a readout head.
    microstructure
        By scale, what the patches of training were like (`surrogate.novelty.Familiar`); {} for unknown.
    errors
        By scale, what is known of the errors (`surrogate.known_errors.KnownErrors`); {} for unknown.

    Raises
    ------
    ValueError
        The configurations differ, a length or time is not positive, or the name of an extra is no identifier.

    References
    ----------
    Azarfar et al., arXiv:2506.12996.

    Examples
    --------
    >>> import mld_closure as mld
    >>> mld.Bundle.load("hmx-compact")
    Bundle of temperature, pressure, microstructure
      pixel 50 nm, micro step 0.172 ns, meso step 0.344 ns, horizon 31 meso frames
      trained on piston speeds from 503.9 to 1397 m/s
      3.11 million parameters (micro), 3.11 million (meso); extras: loading, readout_head
    """

    micro: LatentDynamics | None
    meso: LatentDynamics | None
    pixel: float
    micro_step: float
    horizon: int
    load_range: tuple[float, float]
    provenance: dict[str, Any] = field(default_factory=dict)
    extras: dict[str, Extra] = field(default_factory=dict)
    microstructure: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.micro is None) != (self.meso is None):
            raise ValueError("a bundle has both a micro and a meso model, or neither")
        if self.meso is None and CURVES not in self.extras:
            raise ValueError("a bundle without models needs a network of burn curves")
        if self.meso is not None and self.micro.config != self.meso.config:
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
        return ModelConfig(meso_micro_ratio=1) if self.meso is None else self.meso.config

    def model(self, scale: str) -> LatentDynamics:
        """The model of a scale, `micro` or `meso`; BundleError where there are burn curves alone."""
        found: LatentDynamics | None = getattr(self, scale)
        if found is None:
            raise BundleError(f"this bundle holds burn curves and no {scale} model; use another bundle")
        return found

    @property
    def meso_step(self) -> float:
        """Time of one meso step (s)."""
        return self.micro_step * self.config.meso_micro_ratio

    @classmethod
    def load(
        cls, path_or_name: str | Path, device: str | torch.device = "cpu", *, unsealed: bool = False
    ) -> Bundle:
        """Open a bundle by path, or a shipped one by name.

        The models are frozen and in evaluation mode. No code from the bundle is run.

        Parameters
        ----------
        path_or_name
            Directory of the bundle, or the name of one that is shipped with the package.
        device
            Torch device of models and extras.
        unsealed
            Also take the format version before, in which nothing tells an altered manifest.

        Returns
        -------
        Bundle
            The opened bundle.

        Raises
        ------
        BundleError
            The bundle is missing, damaged, altered or of another version, or its tensors do not fit its
            configuration.

        Examples
        --------
        >>> from mld_closure import Bundle
        >>> bundle = Bundle.load("hmx-compact")
        >>> bundle.config.fields
        ('temperature', 'pressure', 'microstructure')
        """
        directory = resolve(path_or_name)
        manifest = read_manifest(directory, unsealed=unsealed)
        config = read_config(manifest, directory)
        models = load_models(directory, manifest, config)
        extras = {}
        for name, extra in manifest["extras"].items():
            extras[name] = Extra(extra["config"], read_tensors(directory, extra["file"], manifest))
        try:
            bundle = cls(
                *models,
                pixel=manifest["pixel"],
                micro_step=manifest["micro_step"],
                horizon=manifest["horizon"],
                load_range=tuple(manifest["load_range"]),
                provenance=manifest["provenance"],
                extras=extras,
                **{name: manifest[name] for name in SAYS},
            )
        except (TypeError, ValueError) as err:
            raise BundleError(f"{directory / MANIFEST}: {err}") from None
        return bundle.to(device)

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write the bundle as a directory; an interrupted write leaves `path` as it was.

        Networks that both scales share are stored once.

        Parameters
        ----------
        path
            Directory to write.
        overwrite
            Replace a bundle that is there.

        Raises
        ------
        FileExistsError
            `path` exists, unless it is a bundle and `overwrite` is set.

        Examples
        --------
        >>> import mld_closure as mld
        >>> bundle = mld.testing.random_networks(base=2)
        >>> bundle.save("copy")
        >>> mld.Bundle.load("copy").content_hash() == bundle.content_hash()
        True
        """
        manifest, files = self._serialise()
        write_directory(Path(path), {**files, MANIFEST: intake.canonical(intake.sealed(manifest))}, overwrite)

    def content_hash(self) -> str:
        """SHA-256 over everything a saved copy of this bundle holds."""
        return intake.digest(self._serialise()[0])

    def to(self, device: str | torch.device) -> Bundle:
        """Move both models and the tensors of the extras to a device.

        Parameters
        ----------
        device
            Torch device, such as `cpu` or `cuda:0`.

        Returns
        -------
        Bundle
            The bundle itself.
        """
        for scale in SCALES:
            if (model := getattr(self, scale)) is not None:
                model.to(device)
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

        Parameters
        ----------
        fields
            Frame 0 in SI units, (field, y, x) or (batch, field, y, x), fields in the order of
            `config.fields`; y and x are multiples of 32 pixels.
        n_steps
            Number of frames, each one step of the scale after the one before.
        scale
            `meso` or `micro`.
        load
            Piston speed (m/s), one for all or one per sample, (batch,); needed where the model was trained
            with it.
        generator
            Samples the latents instead of decoding their means: a seed, or a torch generator on the bundle's
            device.
        outputs
            Names of the fields wanted; all by default.
        precision
            `fp32`, `bf16` (networks in bfloat16) or `bf16-decode` (only the decoder in bfloat16).

        Returns
        -------
        numpy.ndarray
            float32 (time, field, y, x), or (batch, time, field, y, x) for a batch, in SI units.

        Raises
        ------
        ValueError
            Shapes or values do not fit, a load is missing, or the model cannot sample.

        Examples
        --------
        >>> import numpy as np
        >>> import mld_closure as mld
        >>> bundle = mld.testing.random_networks(base=2)
        >>> frame0 = np.stack([np.full((32, 64), v) for v in (300.0, 0.0, 1.0)])  # T (K), P (Pa), mu
        >>> bundle.rollout(frame0, n_steps=2, load=900.0).shape
        (2, 3, 32, 64)
        """
        if scale not in SCALES:
            raise ValueError(f"scale '{scale}': choose {' | '.join(SCALES)}")
        if n_steps < 1:
            raise ValueError(f"n_steps must be at least 1, got {n_steps}")
        model = self.model(scale)
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

    def __repr__(self) -> str:
        low, high = self.load_range
        if self.meso is None:
            return "\n".join(
                [
                    "Bundle of burn curves",
                    f"  pixel {1e9 * self.pixel:.4g} nm, {self.horizon} intervals of "
                    f"{1e9 * self.micro_step:.4g} ns",
                    f"  trained on piston speeds from {low:.4g} to {high:.4g} m/s",
                    f"  extras: {', '.join(sorted(self.extras))}",
                ]
            )
        counts = {scale: count_parameters(getattr(self, scale)) / 1e6 for scale in SCALES}
        return "\n".join(
            [
                f"Bundle of {', '.join(self.config.fields)}",
                f"  pixel {1e9 * self.pixel:.4g} nm, micro step {1e9 * self.micro_step:.4g} ns, "
                f"meso step {1e9 * self.meso_step:.4g} ns, horizon {self.horizon} meso frames",
                f"  trained on piston speeds from {low:.4g} to {high:.4g} m/s",
                f"  {counts['micro']:.3g} million parameters (micro), {counts['meso']:.3g} million (meso); "
                f"extras: {', '.join(sorted(self.extras)) or 'none'}",
            ]
        )

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
        models = {scale: getattr(self, scale) for scale in SCALES}
        stored = {scale: {} if m is None else stored_parts(m) for scale, m in models.items()}
        for part in stored["micro"]:
            data = {scale: tensor_bytes(stored[scale][part].state_dict()) for scale in SCALES}
            same = data["micro"] == data["meso"]
            for scale in SCALES:
                name = f"{part}.safetensors" if same else f"{scale}_{part}.safetensors"
                files[name] = data[scale]
                parts[scale][part] = name
        extras = {}
        for name, extra in self.extras.items():
            file = f"extra_{name}.safetensors"
            files[file] = tensor_bytes(extra.state)
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
            **{name: getattr(self, name) for name in SAYS},
        }
        return manifest, files


def _autocast(device: torch.device, on: bool) -> Any:
    return torch.autocast(device.type, dtype=torch.bfloat16) if on else nullcontext()
