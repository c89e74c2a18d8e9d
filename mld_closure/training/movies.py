"""A data file as training uses it: scaled frames and latents in memory maps, and its split into cases.

Both are computed once and stored in the folder of the run. The name of a map contains a hash of what it was
made from: the data file, the fields and, for latents, the weights of the VAEs. When one of these changes, a
new map is made and the old one is removed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ..data.trajectories import Trajectories
from ..data.windows import Split
from ..durable import published
from ..fields import QUANTITIES, get
from ..grids import LATENT_FACTOR, check_frame
from ..models.dynamics import Latent, LatentDynamics
from ..models.readout_maps import NEEDED, maps_from_fields
from .parallel import World

Fill = Callable[[np.ndarray], None]


class Movies:
    """The movies of one data file.

    Parameters
    ----------
    role : {"micro", "meso"}
        Scale of the file, used in the names of the maps.
    trajectories : Trajectories
        The file.
    fields : sequence of str
        Fields wanted.
    split : Split
        Cases for training and for validation.
    folder : path
        Where maps are stored.
    world : World, optional
        The processes that train together; rank 0 computes the maps.

    Attributes
    ----------
    frames : array (case, time, field, y, x)
        Frames scaled to [0, 1].
    mean, logvar : array (variant, case, time, channel, y/8, x/8)
        Latents, after `encode`. Variant 1, if requested, is the movie mirrored in y.
    rolled : array like `mean`
        Latent means of rollouts, after `roll`.
    load : array (case,) or None
        Piston speeds [m/s]; None if the file has none.

    Raises
    ------
    ValueError
        Frames whose sides are no multiples of 32.
    KeyError
        A field that the file does not have.
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
        """Return the position of a field in `frames`; ValueError for a field that is not there."""
        if name not in self.fields:
            raise ValueError(f"no field '{name}' among those trained on: {', '.join(self.fields)}")
        return self.fields.index(name)

    def encode(self, model: LatentDynamics, *, mirror: bool, bf16: bool = False) -> None:
        """Encode all frames with the VAEs of the model, or open the map of an earlier call.

        Parameters
        ----------
        model : LatentDynamics
            Its VAEs encode.
        mirror : bool
            Whether mirrored movies are encoded too.
        bf16 : bool
            Compute in bfloat16 by autocast.
        """
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
        """Roll the model out from frame 0 of every case into `rolled`, or open the map of an earlier call.

        Frame 0 of `rolled` is the encoded true frame.
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
        """Targets of a readout head, (case, time, 6, y/8, x/8), from `models.readout_maps`."""
        if self._maps is None:
            cases, times, _, ny, nx = self.frames.shape
            shape = (cases, times, len(QUANTITIES), ny // LATENT_FACTOR, nx // LATENT_FACTOR)
            self._maps = self._map(f"{self.role}-maps", self.identity, shape, self._fill_maps)
        return self._maps

    def _fill_maps(self, out: np.ndarray) -> None:
        """Compute the targets of a readout head."""
        names = [name for name in NEEDED if name in self.trajectories.fields]
        for case in range(len(out)):
            values = self.trajectories.read(case, names)  # (time, field, y, x)
            out[case] = maps_from_fields({name: values[:, i] for i, name in enumerate(names)})

    def _fill_frames(self, out: np.ndarray) -> None:
        """Read and scale all frames."""
        for case in range(len(out)):
            values = self.trajectories.read(case, self.fields)  # (time, field, y, x)
            for i, name in enumerate(self.fields):
                out[case, :, i] = get(name).scale(values[:, i])

    def _map(self, role: str, key: str, shape: tuple[int, ...], fill: Fill) -> np.ndarray:
        """The memory map called `role` for the hash `key`; computed by `fill` if it does not exist."""
        path = self.folder / f"{role}-{key}.npy"
        if self.world.rank == 0 and not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            with published(path) as temporary:
                array = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.float32, shape=shape)
                fill(array)
                array.flush()
            for old in self.folder.glob(f"{role}-*.npy"):
                if old != path:
                    old.unlink()
        self.world.wait()
        return np.load(path, mmap_mode="r")


def mirrored(frames: np.ndarray, fields: Sequence[str]) -> np.ndarray:
    """Return scaled frames (..., field, y, x) mirrored in y; velocity_y changes its sign."""
    out = frames[..., ::-1, :]
    if "velocity_y" in fields:
        i, field = list(fields).index("velocity_y"), get("velocity_y")
        out = out.copy()
        out[..., i, :, :] = field.scale(-field.unscale(out[..., i, :, :]))
    return out


def file_identity(path: str | Path) -> dict[str, str | int]:
    """Return path, size and time of change, which tell a data file from others and from later versions."""
    info = Path(path).stat()
    return {"path": str(Path(path).resolve()), "size": info.st_size, "modified": info.st_mtime_ns}


def weights_hash(module: nn.Module) -> str:
    """Return the SHA-256 of names, shapes and bytes of the parameters and buffers of a module."""
    total = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        total.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
        total.update(value.detach().cpu().contiguous().numpy().tobytes())
    return total.hexdigest()


def digest(value: object) -> str:
    """Return a short hash of a value that can be written as JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
