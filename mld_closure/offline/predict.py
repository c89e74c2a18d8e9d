"""Roll a surrogate out: from frame 0 of a case in a data file, or from a frame in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from .. import device as devices
from ..data.layout import TrajectorySpec
from ..data.store import write_trajectories
from ..data.trajectories import Trajectories
from ..device import Precision
from ..errors import ConfigError
from ..fields import get
from ..models.bundle import Bundle
from ..training import forecasts
from .surrogates import label, open_bundle, open_data, open_surrogate


@dataclass(frozen=True, repr=False)
class Prediction:
    """A predicted movie, frame 0 included, SI units.

    Attributes
    ----------
    movie
        Frames, float32 (time, field, y, x), in the units of the fields.
    times
        Time of each frame (s), (time,).
    fields
        Names of the fields, in the order of `movie`.
    pixel
        Side of a pixel (m).
    source
        Name of the surrogate.
    scale
        `meso` or `micro`; `-` for a PARCv2 baseline.
    latents
        Means of the latents by field, (time, channel, y / 8, x / 8), in the model's own units; empty where
        they were not kept.
    scalars
        Facts of the case by name, such as `piston_speed` (m/s).
    boundaries
        Type of the boundaries across y and across x.
    provenance
        JSON-ready facts on how the movie was made.
    """

    movie: np.ndarray
    times: np.ndarray
    fields: tuple[str, ...]
    pixel: float
    source: str
    scale: str
    latents: dict[str, np.ndarray] = field(default_factory=dict)
    scalars: dict[str, float] = field(default_factory=dict)
    boundaries: tuple[str, str] = ("wall", "open")
    provenance: dict[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> np.ndarray:
        """Frames (time, y, x) of the field called `name`; KeyError where there is none."""
        if name not in self.fields:
            raise KeyError(f"no field '{name}' in this prediction; it has {', '.join(self.fields)}")
        return self.movie[:, self.fields.index(name)]

    def save(self, path: str | Path) -> Path:
        """Write a trajectory file with this one case; values beyond what such a file may hold are clipped.

        Parameters
        ----------
        path
            File to write (.h5); a file that exists is never replaced.

        Returns
        -------
        Path
            `path`.

        Raises
        ------
        FileExistsError
            There is a file at `path` already.
        """
        if Path(path).exists():
            raise FileExistsError(f"{path} exists already; choose another name or remove it")
        shape = (self.movie.shape[2], self.movie.shape[3])
        spec = TrajectorySpec(
            1,
            shape,
            self.pixel,
            tuple(self.times),
            {"prediction": self.provenance},
            self.fields,
            self.boundaries,
        )
        arrays = {name: self.movie[:, i].clip(*get(name).valid) for i, name in enumerate(self.fields)}
        return write_trajectories(path, spec, [(0, arrays, self.scalars, {"prediction": self.provenance})])

    def __repr__(self) -> str:
        time, _, ny, nx = self.movie.shape
        lines = [
            f"Prediction by {self.source} ({self.scale}): {time} frames of {ny} x {nx} pixels, "
            f"{1e9 * self.times[0]:.3g} to {1e9 * self.times[-1]:.3g} ns"
        ]
        for i, name in enumerate(self.fields):
            first, last = self.movie[0, i], self.movie[-1, i]
            units = get(name).units
            unit = "" if units == "1" else f" {units}"
            lines.append(
                f"  {name}: mean {first.mean():.4g} -> {last.mean():.4g}{unit}, "
                f"greatest {first.max():.4g} -> {last.max():.4g}{unit}"
            )
        return "\n".join(lines)


def predict(
    bundle: str | Path | Bundle,
    data: str | Path | Trajectories,
    case: int = 0,
    *,
    frames: int | None = None,
    scale: Literal["meso", "micro"] | None = None,
    sample: int | None = None,
    device: str = "auto",
    precision: Precision = "fp32",
    threads: int | None = None,
    report: Callable[[int], None] = lambda frame: None,
) -> Prediction:
    """Roll a surrogate out from frame 0 of a case in a trajectory file.

    Parameters
    ----------
    bundle
        Path, name of a shipped bundle, or a `Bundle`; a `.safetensors` file is a PARCv2 baseline.
    data
        Trajectory file that holds the case; frame 0 and the piston speed are read from it.
    case
        Position of the case in the file, from 0.
    frames
        Frames of the movie, frame 0 included; by default as many as the data have.
    scale
        `meso` or `micro`; by default the one whose time step is the data's.
    sample
        Decode samples of the latents, drawn with this seed, instead of their means.
    device, precision, threads
        As in `open`: `auto`, `cpu` or `cuda[:i]`; `fp32`, `bf16` or `bf16-decode`; CPU threads of torch. A
        `Bundle` is moved to the device.
    report
        Called with the number of each finished frame.

    Returns
    -------
    Prediction
        The movie with its times and latents; `prediction["temperature"]` is one field, `save` writes a file.

    Raises
    ------
    BundleError
        The bundle is missing, damaged or of another version.
    ConfigError
        Pixel size or time step of bundle and data differ.
    ValueError
        The file has no such case, or lacks a field or piston speed that the surrogate needs.

    Examples
    --------
    >>> import mld_closure as mld
    >>> movie = mld.predict("run/bundle", "heldout.h5", case=1, frames=4, threads=1)
    >>> movie["temperature"].shape
    (4, 32, 64)
    >>> movie.scalars["piston_speed"]  # m/s
    800.0
    """
    if frames is not None and frames < 2:
        raise ConfigError(f"a prediction has at least 2 frames, frame 0 included, got {frames}")
    where = devices.choose(device, precision, threads)
    with open_data(data) as file:
        found = open_surrogate(bundle, file, scale, where.name)
        n = frames or file.n_frames
        forecast = forecasts.rollout(
            found.model,
            file,
            seed=sample or 0,
            precision=precision,
            frames=n,
            sample=sample is not None,
            keep_latents=True,
            report=report,
        )(case)
        names, slices = tuple(found.model.config.fields), found.model.config.slices()
        if forecast.movie is None or forecast.latents is None:
            raise RuntimeError(f"{found.name} made no movie")
        made = {
            "bundle": label(bundle),
            "scale": found.scale,
            "data": str(file.path),
            "case": case,
            "sample": sample,
        }
        return Prediction(
            movie=forecast.movie,
            times=file.times[0] + forecasts.frame_interval(file) * np.arange(n),
            fields=names,
            pixel=file.pixel,
            source=found.name,
            scale=found.scale,
            latents={name: forecast.latents[:, c] for name, c in slices.items()},
            scalars={name: float(v[case]) for name, v in file.scalars.items() if name != "case"},
            boundaries=file.spec.boundaries,
            provenance=made,
        )


def rollout(
    bundle: str | Path | Bundle,
    frame0: np.ndarray | Mapping[str, np.ndarray],
    steps: int,
    load: float | None = None,
    *,
    scale: Literal["meso", "micro"] = "meso",
    sample: int | None = None,
    device: str = "auto",
    precision: Precision = "fp32",
    threads: int | None = None,
) -> Prediction:
    """Roll a surrogate out from a frame in memory.

    Parameters
    ----------
    bundle
        Path, name of a shipped bundle, or a `Bundle`.
    frame0
        Frame 0 in SI units, (field, y, x) with the fields of `bundle.config.fields` in their order, or one
        (y, x) array by name of the field. Sides are multiples of 32 pixels.
    steps
        Frames to predict, each a step of the scale after the one before.
    load
        Piston speed (m/s) of the shock that enters frame 0; needed where the bundle was trained with it.
    scale
        `meso` or `micro`: which of the two models, and so which time step.
    sample
        Decode samples of the latents, drawn with this seed, instead of their means.
    device, precision, threads
        As in `open`: `auto`, `cpu` or `cuda[:i]`; `fp32`, `bf16` or `bf16-decode`; CPU threads of torch. A
        `Bundle` is moved to the device.

    Returns
    -------
    Prediction
        The movie of `steps` + 1 frames: frame 0 as given, then what follows from it.

    Raises
    ------
    BundleError
        The bundle is missing, damaged or of another version.
    ValueError
        Shapes, fields or values of `frame0` do not fit, or the load is missing.

    References
    ----------
    Architecture of the surrogate: Azarfar et al., arXiv:2506.12996.

    Examples
    --------
    >>> import numpy as np
    >>> import mld_closure as mld
    >>> bundle = mld.testing.random_networks(base=2)
    >>> void = np.ones((32, 64))
    >>> void[12:20, 24:32] = 0.0
    >>> rest = {"temperature": np.full_like(void, 300.0), "pressure": np.zeros_like(void)}
    >>> movie = mld.rollout(bundle, rest | {"microstructure": void}, steps=3, load=900.0, threads=1)
    >>> movie["temperature"].shape
    (4, 32, 64)
    >>> [round(float(1e9 * t), 3) for t in movie.times]  # ns
    [0.0, 0.344, 0.688, 1.032]
    """
    where = devices.choose(device, precision, threads)
    opened = open_bundle(bundle, where.name)
    names = opened.config.fields
    first = _stacked(frame0, names)
    rest = opened.rollout(first, steps, scale, load, sample, precision=precision)
    interval = opened.meso_step if scale == "meso" else opened.micro_step
    return Prediction(
        movie=np.concatenate([first[None], rest]),
        times=interval * np.arange(steps + 1),
        fields=names,
        pixel=opened.pixel,
        source=Path(label(bundle)).name,
        scale=scale,
        scalars={} if load is None else {"piston_speed": float(load)},
        provenance={"bundle": label(bundle), "scale": scale, "sample": sample},
    )


def _stacked(frame0: np.ndarray | Mapping[str, np.ndarray], names: tuple[str, ...]) -> np.ndarray:
    """Frame 0 as float32 (field, y, x), fields in the order of `names`."""
    if isinstance(frame0, Mapping):
        if missing := [name for name in names if name not in frame0]:
            raise ValueError(f"frame 0 lacks the field '{missing[0]}'; the bundle has {', '.join(names)}")
        frame0 = np.stack([np.asarray(frame0[name]) for name in names])
    first = np.asarray(frame0, dtype=np.float32)
    if first.ndim != 3 or first.shape[0] != len(names):
        raise ValueError(
            f"frame 0 of shape {first.shape}; expected ({len(names)}, y, x) with {', '.join(names)}"
        )
    return first
