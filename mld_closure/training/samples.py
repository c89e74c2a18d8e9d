"""Batches as functions of sample numbers: crops of frames for VAEs, windows of latents or of states."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from ..data.windows import Windows, noise, place_crop, sample_rng
from ..grids import LATENT_FACTOR
from .curriculum import Phase
from .movies import Movies, mirrored
from .settings import READ, StageConfig

Part = tuple[int, int, int, int]  # y, x, height, width

PLACE_STRIDE = 4  # crops are placed by the variation between every fourth pixel
WHOLE_FRAMES = 1 << 40  # above all sample numbers; seeds the choice of one file for a whole batch
ALIGN = 4  # evolved crops begin at multiples of this, because the evolution networks pool twice


class FrameSamples:
    """Crops (b, 1, y, x) of one field, drawn from several files in proportion to their pixels."""

    def __init__(
        self, sources: Sequence[Movies], stage: StageConfig, latent_channels: int, seed: int
    ) -> None:
        self.sources: tuple[Movies, ...] = tuple(sources)
        self.stage: StageConfig = stage
        self.channels: int = latent_channels
        self.seed: int = seed
        pixels = [len(m.split.train) * m.n_frames * m.frames[0, 0, 0].size for m in sources]
        self.share: np.ndarray = np.cumsum(pixels) / sum(pixels)

    def epoch(self, phase: Phase) -> int:
        """Return the samples per epoch: one per training frame."""
        return sum(len(m.split.train) * m.n_frames for m in self.sources)

    def __call__(self, phase: Phase, step: int, samples: range) -> dict[str, Any]:
        """Return the batch of these sample numbers."""
        side = self.stage.crop_in(phase)
        same = None if side else self._source(sample_rng(self.seed, WHOLE_FRAMES + step))
        x = np.stack([self._one(k, side, same) for k in samples])[:, None]  # (b, 1, y, x)
        small = (self.channels, x.shape[-2] // LATENT_FACTOR, x.shape[-1] // LATENT_FACTOR)
        return {"x": torch.from_numpy(x), "eps": noise(small, samples, self.seed)}

    def _source(self, rng: np.random.Generator) -> Movies:
        """A file, drawn in proportion to its pixels."""
        return self.sources[int(np.searchsorted(self.share, rng.random(), side="right"))]

    def _one(self, k: int, side: int, movies: Movies | None) -> np.ndarray:
        """Sample k."""
        rng = sample_rng(self.seed, k)
        movies = movies or self._source(rng)
        case, time = rng.choice(movies.split.train), rng.integers(movies.n_frames)
        frame = movies.frames[case, time, movies.channel(self.stage.field)]
        if self.stage.mirror and rng.random() < 0.5:
            frame = frame[::-1]
        if not side:
            return np.ascontiguousarray(frame)
        coarse = frame[::PLACE_STRIDE, ::PLACE_STRIDE]
        varies = np.zeros(coarse.shape)
        varies[:-1] += np.abs(np.diff(coarse, axis=0))
        varies[:, :-1] += np.abs(np.diff(coarse, axis=1))
        y, x = place_crop(varies, (side // PLACE_STRIDE,) * 2, rng, centred=self.stage.centred)
        return np.ascontiguousarray(
            frame[y * PLACE_STRIDE : y * PLACE_STRIDE + side, x * PLACE_STRIDE : x * PLACE_STRIDE + side]
        )


class WindowSamples:
    """Windows of latents with their load, or crops of them, and true pixels for losses on decoded fields.

    With the probability `centred` of the stage, a crop is placed where the temperature changes over the
    window. The part that is scored keeps the distance `margin` from edges that are cut; the part that is
    decoded lies inside the scored one.

    Parameters
    ----------
    movies : Movies
        Encoded movies.
    stage : StageConfig
        Crops and losses.
    fields : sequence of str
        Fields that are decoded.
    load : array (case,) or None
        Scaled load.
    seed : int
        Seed of the samples.

    Raises
    ------
    ValueError
        The movies are not encoded.
    """

    def __init__(
        self, movies: Movies, stage: StageConfig, *, fields: Sequence[str], load: np.ndarray | None, seed: int
    ) -> None:
        if movies.mean is None:
            raise ValueError(f"latents of the {movies.role} movies are missing; call encode first")
        self.movies: Movies = movies
        self.stage: StageConfig = stage
        self.seed: int = seed
        self.load: np.ndarray | None = load
        self.channels: list[int] = [movies.channel(name) for name in fields]
        self.watched: int = movies.channel("temperature") if "temperature" in movies.fields else 0
        self.size: tuple[int, int] = movies.mean.shape[-2:]
        self.variants = movies.mean.shape[0] if stage.mirror else 1

    def windows(self, horizon: int) -> Windows:
        """Return the training windows of this length."""
        return Windows(self.movies.split.train, self.movies.n_frames, horizon)

    def epoch(self, phase: Phase) -> int:
        """Return the samples per epoch: one per window."""
        return len(self.windows(phase.horizon))

    def __call__(self, phase: Phase, step: int, samples: range) -> dict[str, Any]:
        """Return the batch of these sample numbers."""
        every = self.stage.decode_in(phase)
        windows = self.windows(phase.horizon)
        return self.collect(
            [(k, *windows.sample(k, self.seed)) for k in samples],
            phase.horizon,
            crop=self.stage.crop_in(phase),
            decode=bool(every) and step % every == 0,
        )

    def collect(
        self, places: Sequence[tuple[int, int, int]], horizon: int, *, crop: int = 0, decode: bool = False
    ) -> dict[str, Any]:
        """Return the batch of given windows.

        Parameters
        ----------
        places : sequence of (int, int, int)
            Sample number, case and first frame of each window.
        horizon : int
            Steps of a window.
        crop : int
            Side of the crop in latent pixels; 0 for whole frames.
        decode : bool
            Whether true pixels for losses on decoded fields are included.

        Returns
        -------
        dict
            Arguments of `DynamicsObjective.forward`.
        """
        rows = [self._one(k, case, time, horizon, crop, decode) for k, case, time in places]
        first = rows[0]
        batch: dict[str, Any] = {
            name: torch.from_numpy(np.stack([row[name] for row in rows])) for name in ("mean", "logvar")
        }
        for name in ("scored", "decoded"):
            if name in first:
                batch[name] = [row[name] for row in rows]
                batch[f"{name}_size"] = first[f"{name}_size"]
        if self.stage.latent_hot_weight:
            batch["heat"] = torch.from_numpy(np.stack([row["heat"] for row in rows]))
        if any(self.stage.losses.get(kind) for kind in READ):
            batch["maps"] = torch.from_numpy(np.stack([row["maps"] for row in rows]))
        if decode:
            batch["truth"] = torch.from_numpy(np.stack([row["truth"] for row in rows]))
        if self.load is not None:
            batch["load"] = torch.tensor([float(self.load[case]) for _, case, _ in places])
        if decode and self.stage.sample:
            shape = (len(first["truth"]), *first["mean"].shape[1:])
            batch["eps"] = noise(shape, [k for k, _, _ in places], self.seed)
        return batch

    def _one(self, k: int, case: int, time: int, horizon: int, crop: int, decode: bool) -> dict[str, Any]:
        """The arrays of one window."""
        rng = sample_rng(self.seed, k)
        variant = int(rng.integers(2)) if self.variants == 2 else 0
        end = time + horizon + 1
        (ny, nx), out = self.size, {}
        changes = self._changes(case, time, end - 1, variant) if crop or self.stage.decode_crop else None
        window, scored = (0, 0, ny, nx), (0, 0, ny, nx)
        if crop:
            window, scored = self._place(changes, crop, rng)
            out["scored"] = (scored[0] - window[0], scored[1] - window[1])
            out["scored_size"] = scored[2:]
        y, x, h, w = window
        part = (variant, case, slice(time, end), slice(None), slice(y, y + h), slice(x, x + w))
        out["mean"], out["logvar"] = self.movies.mean[part], self.movies.logvar[part]
        if self.stage.latent_hot_weight:
            heat = self._heat(case, time + 1, end, variant)
            out["heat"] = heat[:, :, y : y + h, x : x + w]
        if any(self.stage.losses.get(kind) for kind in READ):
            maps = self.movies.maps[case, time:end]
            out["maps"] = (maps[..., ::-1, :] if variant else maps)[..., y : y + h, x : x + w].copy()
        if decode:
            region = scored
            if self.stage.decode_crop:
                region = self._inside(changes, scored, self.stage.decode_crop, rng)
            out["decoded"] = (region[0] - window[0], region[1] - window[1])
            out["decoded_size"] = region[2:]
            begin = max(time + 1, end - (self.stage.decode_frames or horizon))
            out["truth"] = self._truth(case, begin, end, variant, region)
        return out

    def _changes(self, case: int, time: int, end: int, variant: int) -> np.ndarray:
        """How much the watched field changes over the window, at each latent pixel."""
        half = LATENT_FACTOR // 2
        frames = self.movies.frames[case, :, self.watched, half::LATENT_FACTOR, half::LATENT_FACTOR]
        change = np.abs(frames[end].astype(np.float64) - frames[time])
        return change[::-1] if variant else change

    def _heat(self, case: int, begin: int, end: int, variant: int) -> np.ndarray:
        """The highest scaled temperature in each latent pixel, (time, 1, y, x)."""
        frames = self.movies.frames[case, begin:end, self.watched]
        ny, nx = self.size
        blocks = frames.reshape(len(frames), 1, ny, LATENT_FACTOR, nx, LATENT_FACTOR)
        heat = blocks.max(axis=(3, 5))
        return heat[:, :, ::-1] if variant else heat

    def _place(self, changes: np.ndarray, crop: int, rng: np.random.Generator) -> tuple[Part, Part]:
        """The evolved part, and in it the scored part, `margin` away from edges that are cut."""
        margin, sides = self.stage.margin, [min(crop, n) for n in self.size]
        inner = [s - 2 * margin if s < n else s for s, n in zip(sides, self.size, strict=True)]
        wanted = place_crop(changes, (inner[0], inner[1]), rng, centred=self.stage.centred)
        start, corner = [], []
        for c, s, i, n in zip(wanted, sides, inner, self.size, strict=True):
            begin = min(max(c - margin, 0), n - s) // ALIGN * ALIGN
            last = begin + s - (margin if begin + s < n else 0) - i
            start.append(begin)
            corner.append(min(c, last))
        return (*start, *sides), (*corner, *inner)

    def _inside(self, changes: np.ndarray, scored: Part, side: int, rng: np.random.Generator) -> Part:
        """The decoded part inside the scored one."""
        y, x, h, w = scored
        sides = (min(side, h), min(side, w))
        dy, dx = place_crop(changes[y : y + h, x : x + w], sides, rng, centred=self.stage.centred)
        return (y + dy, x + dx, *sides)

    def _truth(self, case: int, begin: int, end: int, variant: int, region: Part) -> np.ndarray:
        """True pixels (time, field, y, x) of the decoded part."""
        y, x, h, w = (LATENT_FACTOR * n for n in region)
        if variant:
            y = self.movies.frames.shape[-2] - y - h
        frames = self.movies.frames[case, begin:end, :, y : y + h, x : x + w]
        frames = mirrored(frames, self.movies.fields) if variant else frames
        return np.ascontiguousarray(frames[:, self.channels])


class HeadSamples:
    """Latents of frames with the targets of a readout head, of both scales in equal parts.

    The share `rollouts` of them comes from rollouts of the models, which must exist already (`Movies.roll`).
    """

    def __init__(
        self,
        sources: Sequence[Movies],
        stage: StageConfig,
        scale_load: Callable[[Any], Any] | None,
        seed: int,
    ) -> None:
        self.sources: tuple[Movies, ...] = tuple(sources)
        self.stage: StageConfig = stage
        self.scale_load: Callable[[Any], Any] | None = scale_load
        self.seed: int = seed

    def epoch(self, phase: Phase) -> int:
        """Return the samples per epoch: one per training frame."""
        return sum(len(m.split.train) * m.n_frames for m in self.sources)

    def __call__(self, phase: Phase, step: int, samples: range) -> dict[str, Any]:
        """Return the batch of these sample numbers."""
        movies = self.sources[step % len(self.sources)]
        rows = []
        for k in samples:
            rng = sample_rng(self.seed, k)
            case, time = int(rng.choice(movies.split.train)), int(rng.integers(movies.n_frames))
            variant = int(rng.integers(2)) if self.stage.mirror and len(movies.mean) == 2 else 0
            means = movies.rolled if rng.random() < self.stage.rollouts else movies.mean
            maps = movies.maps[case, time]
            rows.append((means[variant, case, time], maps[..., ::-1, :] if variant else maps, case))
        mean, maps = (torch.from_numpy(np.stack(part)) for part in list(zip(*rows, strict=True))[:2])
        batch: dict[str, Any] = {"mean": mean, "maps": maps}
        if self.scale_load is not None:
            loads = self.scale_load(movies.load)
            batch["load"] = torch.tensor([float(loads[case]) for _, _, case in rows])
        return batch


class StateSamples:
    """Windows of frames (b, horizon + 1, field, y, x), for models that evolve the state itself."""

    def __init__(self, movies: Movies, stage: StageConfig, seed: int) -> None:
        self.movies: Movies = movies
        self.stage: StageConfig = stage
        self.seed: int = seed

    def windows(self, horizon: int) -> Windows:
        """Return the training windows of this length."""
        return Windows(self.movies.split.train, self.movies.n_frames, horizon)

    def epoch(self, phase: Phase) -> int:
        """Return the samples per epoch: one per window."""
        return len(self.windows(phase.horizon))

    def __call__(self, phase: Phase, step: int, samples: range) -> dict[str, Any]:
        """Return the batch of these sample numbers."""
        windows = self.windows(phase.horizon)
        return self.collect(
            [(k, *windows.sample(k, self.seed)) for k in samples],
            phase.horizon,
            crop=self.stage.crop_in(phase),
        )

    def collect(
        self, places: Sequence[tuple[int, int, int]], horizon: int, *, crop: int = 0, decode: bool = False
    ) -> dict[str, Any]:
        """Return the batch of given windows; as `WindowSamples.collect`, but `crop` is in pixels."""
        rows = []
        for k, case, time in places:
            rng = sample_rng(self.seed, k)
            frames = self.movies.frames[case, time : time + horizon + 1]
            if self.stage.mirror and rng.random() < 0.5:
                frames = mirrored(frames, self.movies.fields)
            if crop:
                change = np.abs(frames[-1, 0] - frames[0, 0])[::PLACE_STRIDE, ::PLACE_STRIDE]
                sides = tuple(min(crop, n) for n in frames.shape[-2:])
                small = tuple(s // PLACE_STRIDE for s in sides)
                y, x = (n * PLACE_STRIDE for n in place_crop(change, small, rng, centred=self.stage.centred))
                frames = frames[..., y : y + sides[0], x : x + sides[1]]
            rows.append(np.ascontiguousarray(frames))
        return {"state": torch.from_numpy(np.stack(rows))}
