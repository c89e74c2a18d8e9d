"""Compiled files: a model's step as native code for one machine, and the checks before it is loaded.

A compiled file is an AOTInductor package (a zip archive) whose metadata say what it was made from and for.
It is read without pickle; but its content is a native library, so loading one runs what its maker compiled:
load only files you made or trust, as with any program. The bundle itself stays free of code, and is still
needed: it encodes, reads out and says what the numbers mean.

Why: kernels are generated for one processor, torch version, frame size and precision, and another one's would
crash or be wrong in silence; so everything is compared before the library is touched, and the first step of a
loaded library is compared with the eager one.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import torch

from ..config import ConfigError, from_dict
from ..device import Device
from ..grids import LATENT_FACTOR
from ..intake import IntakeError, require_regular
from ..models.bundle import BundleError
from ..models.dynamics import Latent, LatentDynamics
from .agreement import require_agreement, trial_latents
from .options import EngineOptions

KEY = "mld_closure"  # of our facts in the metadata of a package
FORMAT = 2
NAME = "model"  # of the one model in a package
_SEAL = b"mld_closure sha256 "  # the archive's comment: this, then the hash of all bytes before the hash
_HASH = 64  # its length in hexadecimal digits


@dataclass(frozen=True)
class Facts:
    """What a compiled file was made from and for.

    bundle: its content hash. precision: of the step, fp32 | bf16. frame_shape: (ny, nx). micro_batch: the
    fixed number of cells it takes at once, None for any. isa: instruction sets of the processor it was made
    on, all of which it may use. torch: version, to the last letter.
    """

    format: int
    bundle: str
    scale: str
    precision: str
    frame_shape: tuple[int, int]
    isa: tuple[str, ...]
    torch: str
    micro_batch: int | None = None


def instruction_sets() -> tuple[str, ...]:
    """Architecture and instruction sets of this processor."""
    found = torch.cpu.get_capabilities()
    return (str(found.get("architecture")), *sorted(name for name, there in found.items() if there is True))


def read_facts(path: str | Path) -> Facts:
    """What a compiled file says of itself; runs nothing of it.

    Raises FileNotFoundError, and BundleError for a file that is damaged, or was not made by `export`.
    """
    path = Path(path)
    try:
        require_regular(path)
    except FileNotFoundError:
        raise FileNotFoundError(f"no compiled file at {path}; make one with mld-closure export") from None
    except IntakeError as err:
        raise BundleError(f"{err}; make a compiled file with mld-closure export") from None
    try:
        if not _sealed(path):
            raise BundleError(
                f"{path} is no compiled file, or was altered (its SHA-256 differs); export it again"
            )
        with zipfile.ZipFile(path) as archive:
            if torn := archive.testzip():
                raise BundleError(f"{path} is damaged at {Path(torn).name}; export it again")
            metadata = [
                json.loads(archive.read(n)) for n in archive.namelist() if n.endswith("metadata.json")
            ]
    except (zipfile.BadZipFile, ValueError, EOFError, OSError, RuntimeError, NotImplementedError) as err:
        if isinstance(err, BundleError):
            raise
        raise BundleError(f"{path} is no compiled file, or a damaged one ({err}); export it again") from None
    found = [m[KEY] for m in metadata if isinstance(m, dict) and KEY in m]
    if not found:
        raise BundleError(f"{path} was not made by mld-closure export; export it again")
    try:
        facts: dict[str, Any] = json.loads(found[0])
        if facts.get("format") != FORMAT:
            raise BundleError(f"{path} has format {facts.get('format')}, this version reads {FORMAT}")
        return from_dict(Facts, facts, str(path))
    except (ConfigError, TypeError, AttributeError, json.JSONDecodeError, RecursionError) as err:
        raise BundleError(f"{path} cannot be used ({err}); export it again") from None


def seal(path: Path) -> None:
    """Write the hash of a compiled file into it, as the comment of the archive."""
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = _SEAL + b"0" * _HASH
    with open(path, "r+b") as file:
        found = _digest(file)
        file.seek(-_HASH, os.SEEK_END)
        file.write(found)


def _sealed(path: Path) -> bool:
    """Whether a file ends with a seal, and is as it was when it was sealed."""
    size = _HASH + len(_SEAL)
    with open(path, "rb") as file:
        if file.seek(0, os.SEEK_END) < size:
            return False
        file.seek(-size, os.SEEK_END)
        end = file.read()
        return end.startswith(_SEAL) and end.removeprefix(_SEAL) == _digest(file)


def _digest(file: BinaryIO) -> bytes:
    """SHA-256, in hexadecimal, of all bytes of a file but those of the hash at its end."""
    left = file.seek(0, os.SEEK_END) - _HASH
    file.seek(0)
    found = hashlib.sha256()
    while left > 0 and (part := file.read(min(left, 1 << 20))):
        found.update(part)
        left -= len(part)
    return found.hexdigest().encode()


def check(path: str | Path, facts: Facts, bundle: str, scale: str, device: Device, micro_batch: int) -> None:
    """BundleError unless a compiled file serves this bundle (its hash), scale, device and batch."""
    precision = "bf16" if device.precision == "bf16" else "fp32"
    lacking = [name for name in facts.isa if name not in instruction_sets()]
    wrong = None
    if facts.bundle != bundle:
        wrong = f"was made from the bundle {facts.bundle[:12]}, not from {bundle[:12]}"
    elif facts.scale != scale:
        wrong = f"holds the {facts.scale} model, the closure serves the {scale} one"
    elif facts.precision != precision:
        wrong = f"computes in {facts.precision}, the closure was asked for {device.precision}"
    elif device.torch.type != "cpu":
        wrong = f"was made for the CPU, the closure runs on {device.name}"
    elif facts.torch != torch.__version__:
        wrong = f"was made with torch {facts.torch}, this is {torch.__version__}"
    elif lacking:
        wrong = f"was made for a processor with {', '.join(lacking)}, which this one lacks"
    elif facts.micro_batch is not None and micro_batch > facts.micro_batch:
        wrong = f"takes {facts.micro_batch} cells at once, the closure was asked for {micro_batch}"
    if wrong:
        raise BundleError(f"{path} {wrong}; export it again for this, or leave out compiled")


class CompiledStep:
    """A model's `advance` by one frame, compiled; stands in for it in `Engine(step=...)`.

    path: checked by `check` before. model: whose step it is. Cells beyond a whole batch are padded.
    """

    def __init__(self, path: str | Path, facts: Facts, model: LatentDynamics) -> None:
        self.facts: Facts = facts
        self._repeats = model.steps_per_frame
        self._with_logvar = model.config.evolve_logvar
        ny, nx = facts.frame_shape
        self._shape = (model.config.latent_size, ny // LATENT_FACTOR, nx // LATENT_FACTOR)
        self._loader = torch._C._aoti.AOTIModelPackageLoader(str(path), NAME, False, 1, -1)

    def fit(self, options: EngineOptions) -> EngineOptions:
        """The options with patches of this step's frame size; BundleError where they ask for another."""
        wanted = options.patch_shape
        if wanted is not None and tuple(wanted) != self.facts.frame_shape:
            raise BundleError(
                f"{options.compiled} was made for patches of {_size(self.facts.frame_shape)}, the closure "
                f"was asked for {_size(wanted)}; export it again for this, or leave out compiled"
            )
        return replace(options, patch_shape=self.facts.frame_shape)

    def __call__(self, latent: Latent, load: torch.Tensor) -> Latent:
        """Latents (b, channel, y, x) under scaled loads (b,) one frame later; ValueError for other shapes."""
        count = len(load)
        if latent.mean.shape != (count, *self._shape):
            raise ValueError(
                f"latents of shape {tuple(latent.mean.shape)}; this compiled step takes "
                f"({count}, {', '.join(map(str, self._shape))})"
            )
        tensors = [latent.mean, latent.logvar, load] if self._with_logvar else [latent.mean, load]
        tensors = [self._padded(t.float()).contiguous() for t in tensors]
        for _ in range(self._repeats):  # the library takes its inputs as packed, in whatever order they lie
            tensors[:-1] = [t.contiguous() for t in self._loader.run(tensors)]
        if self._with_logvar:
            return Latent(tensors[0][:count], tensors[1][:count])
        return Latent(tensors[0][:count], latent.logvar)

    def _padded(self, x: torch.Tensor) -> torch.Tensor:
        missing = (self.facts.micro_batch or len(x)) - len(x)
        return x if missing == 0 else torch.cat([x, x[:1].expand(missing, *x.shape[1:])])


def load_step(
    options: EngineOptions, bundle: str, model: LatentDynamics, device: Device
) -> CompiledStep | None:
    """The compiled step that the options name, checked against what it is to serve; None for none.

    Raises FileNotFoundError, and BundleError for a file that does not fit, or whose step of random latents
    differs from the eager one (`agreement.TOLERANCE`).
    """
    if options.compiled is None:
        return None
    path = options.compiled
    facts = read_facts(path)
    check(path, facts, bundle, options.scale, device, options.micro_batch)
    step = CompiledStep(path, facts, model)
    step.fit(options)
    require_agreement(str(path), step, model, facts.precision, *trial_latents(model, facts.frame_shape))
    return step


def _size(shape: tuple[int, int]) -> str:
    return f"{shape[0]} x {shape[1]} pixels"
