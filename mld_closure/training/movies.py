"""A data file as training sees it: scaled frames and latents in memory maps, and the split of its cases.

Both are computed once and kept beside the run, named after what they were made from: the data file's
identity, the fields, and for latents the VAEs' weights. When one of these changes, so does the name, and the
old map is removed.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ..data.trajectories import Trajectories
from ..data.windows import Split
from ..fields import get
from ..grids import LATENT_FACTOR, check_frame
from ..models.dynamics import Latent, LatentDynamics
from ..models.readout_head import QUANTITIES
from ..models.readout_maps import NEEDED, maps_from_fields
from .parallel import World

Fill = Callable[[np.ndarray], None]


class Movies:
    """One data file: `frames` (case, time, field, y, x), scaled; after `encode` also `mean` and `logvar`.

    Latents are (variant, case, time, channel, y/8, x/8); variant 1, where asked for, is the movie mirrored in
    y. `load` (case,) is the piston speed in m/s, None where the file does not say. Raises ValueError for
    frames whose sides are no multiples of 32 and KeyError for a field the file lacks.
    """

    def __init__(
        self,
        role: str,
        trajectories: Trajectories,
        fields: Sequence[str],
        split: Split,
        folder: str | Path,
        world: World | None = None,
    ) -> None:
        check_frame(*trajectories.shape)
        self.role: str = role
        self.trajectories: Trajectories = trajectories
        self.fields: tuple[str, ...] = tuple(fields)
        self.split: Split = split
        self.folder: Path = Path(folder)
        self.world: World = world or World()
        self.load: np.ndarray | None = trajectories.scalars.get("piston_speed")
        self.identity: str = digest({"file": file_identity(trajectories.path), "fields": list(self.fields)})
        shape = (trajectories.n_cases, trajectories.n_frames, len(self.fields), *trajectories.shape)
        self.frames: np.ndarray = self._map(f"{role}-frames", self.identity, shape, self._fill_frames)
        self.mean: np.ndarray | None = None
        self.logvar: np.ndarray | None = None
        self.rolled: np.ndarray | None = None
        self._maps: np.ndarray | None = None

    @property
    def n_frames(self) -> int:
        """Frames of each case."""
        return self.frames.shape[1]

    def channel(self, name: str) -> int:
        """Place of a field in `frames`; ValueError with the fields there are."""
        if name not in self.fields:
            raise ValueError(f"no field '{name}' among those trained on: {', '.join(self.fields)}")
        return self.fields.index(name)

    def encode(self, model: LatentDynamics, *, mirror: bool, bf16: bool = False) -> None:
        """Encode all frames with the model's VAEs, or open what an earlier call left."""
        device = next(model.parameters()).device
        key = digest(
            {"data": self.identity, "vaes": weights_hash(model.vaes), "mirror": mirror, "bf16": bf16}
        )
        variants, (cases, times, _, ny, nx) = 1 + mirror, self.frames.shape
        shape = (2, variants, cases, times, model.config.latent_size, ny // 8, nx // 8)

        @torch.inference_mode()
        def fill(out: np.ndarray) -> None:
            for variant in range(variants):
                for case in range(cases):
                    for time in range(0, times, 8):
                        frames = self.frames[case, time : time + 8]
                        frames = mirrored(frames, self.fields) if variant else frames
                        x = torch.from_numpy(np.array(frames)).to(device)
                        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=bf16):
                            latent = model.encode(x)
                        for kind, values in enumerate(latent):
                            out[kind, variant, case, time : time + 8] = values.float().cpu().numpy()

        self.mean, self.logvar = self._map(f"{self.role}-latents", key, shape, fill)

    def roll(self, model: LatentDynamics, *, bf16: bool = False) -> None:
        """Roll the model out from frame 0 of every case: `rolled`, means of the same shape as `mean`.

        Frame 0 is the encoded one. Opens what an earlier call with the same weights left.
        """
        device = next(model.parameters()).device
        key = digest({"data": self.identity, "model": weights_hash(model), "bf16": bf16})
        load = None
        if model.config.load_conditioning:
            load = torch.as_tensor(model.config.scale_load(self.load), dtype=torch.float32, device=device)

        @torch.inference_mode()
        def fill(out: np.ndarray) -> None:
            for variant, case in np.ndindex(out.shape[:2]):
                first = (
                    torch.from_numpy(np.array(part[variant, case, :1])) for part in (self.mean, self.logvar)
                )
                latent = Latent(*(z.to(device) for z in first))
                out[variant, case, 0] = self.mean[variant, case, 0]
                with torch.autocast(device.type, dtype=torch.bfloat16, enabled=bf16):
                    for time in range(1, self.n_frames):
                        latent = model.advance(latent, None if load is None else load[case : case + 1])
                        out[variant, case, time] = latent.mean[0].float().cpu().numpy()

        self.rolled = self._map(f"{self.role}-rolled", key, self.mean.shape, fill)

    @property
    def maps(self) -> np.ndarray:
        """What a readout head learns, (case, time, 6, y/8, x/8); see `models.readout_maps`."""
        if self._maps is None:
            cases, times, _, ny, nx = self.frames.shape
            shape = (cases, times, len(QUANTITIES), ny // LATENT_FACTOR, nx // LATENT_FACTOR)
            self._maps = self._map(f"{self.role}-maps", self.identity, shape, self._fill_maps)
        return self._maps

    def _fill_maps(self, out: np.ndarray) -> None:
        names = [name for name in NEEDED if name in self.trajectories.fields]
        for case in range(len(out)):
            values = self.trajectories.read(case, names)  # (time, field, y, x)
            out[case] = maps_from_fields({name: values[:, i] for i, name in enumerate(names)})

    def _fill_frames(self, out: np.ndarray) -> None:
        for case in range(len(out)):
            values = self.trajectories.read(case, self.fields)  # (time, field, y, x)
            for i, name in enumerate(self.fields):
                out[case, :, i] = get(name).scale(values[:, i])

    def _map(self, role: str, key: str, shape: tuple[int, ...], fill: Fill) -> np.ndarray:
        """The memory map called `role` made from what `key` stands for; computed if it is not there."""
        path = self.folder / f"{role}-{key}.npy"
        if self.world.rank == 0 and not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
            try:
                array = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.float32, shape=shape)
                fill(array)
                array.flush()
                os.replace(temporary, path)
            finally:
                temporary.unlink(missing_ok=True)
            for old in self.folder.glob(f"{role}-*.npy"):
                if old != path:
                    old.unlink()
        self.world.wait()
        return np.load(path, mmap_mode="r")


def mirrored(frames: np.ndarray, fields: Sequence[str]) -> np.ndarray:
    """Scaled frames (..., field, y, x) turned upside down; velocity across changes its sign."""
    out = frames[..., ::-1, :]
    if "velocity_y" in fields:
        i, field = list(fields).index("velocity_y"), get("velocity_y")
        out = out.copy()
        out[..., i, :, :] = field.scale(-field.unscale(out[..., i, :, :]))
    return out


def file_identity(path: str | Path) -> dict[str, str | int]:
    """What tells a data file from another or from its own later self: place, size, time of last change."""
    info = Path(path).stat()
    return {"path": str(Path(path).resolve()), "size": info.st_size, "modified": info.st_mtime_ns}


def weights_hash(module: nn.Module) -> str:
    """SHA-256 over names, shapes and bytes of a module's parameters and buffers."""
    total = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        total.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
        total.update(value.detach().cpu().contiguous().numpy().tobytes())
    return total.hexdigest()


def digest(value: object) -> str:
    """Short name for a JSON-ready value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
