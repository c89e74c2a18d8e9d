"""What a training run is asked to do: the configuration as frozen dataclasses, and packaged presets."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from .. import config
from ..config import ConfigError
from ..models.parc import ParcConfig
from ..models.settings import ModelConfig, from_table
from .curriculum import Phase

Kind = Literal["vae", "decoupled", "coupled", "meso", "head", "parc"]

LOSSES: dict[str, tuple[str, ...]] = {
    "vae": ("reconstruction", "kl", "edge"),
    "decoupled": ("mean", "logvar", "field", "hot"),
    "coupled": ("mean", "logvar", "field", "hot", "area", "readout", "curve"),
    "meso": ("mean", "logvar", "field", "hot", "area", "readout", "curve"),
    "head": ("readout",),
    "parc": ("absolute",),
}
DECODED = ("field", "hot", "area")  # losses that need decoded fields
READ = ("readout", "curve")  # losses on what the head reads


@dataclass(frozen=True)
class StageConfig:
    """One stage. Lengths are in its `phases`; sizes of crops in pixels for vae and parc, else latent pixels.

    name, kind: `vae` stages without a `field` stand for one stage a field, named <name>-<field>.
    losses: weight of each named loss (see `LOSSES`); those left out are not computed.
    batch: samples per process and step; lr falls to lr_end as a cosine, after `warmup` (share of the stage).
    clip: largest norm of the gradient (0 = any); ema: decay of averaged weights (0 = none).
    share: this stage's part of a time budget, relative to the others.
    train: coupled networks alone, or all evolution networks (coupled and meso stages).
    select: the weights kept at the end: the last, or the best by validation loss or validation rollouts.
    crop, centred, margin: side of the part of a frame that is used (0 = all); how often it is centred where
    the field changes; latent pixels at its cut edges that are evolved but not scored.
    decode_every, decode_crop, decode_frames, decode_fields: every how many steps losses on decoded fields are
    added (0 = never), on a part of how many latent pixels a side (0 = all that is scored), of how many frames
    at the end of the window (0 = all) and of which fields (default: all for `field`, else temperature).
    sample: decoded losses use sampled latents, as in the paper, instead of means.
    hot_weight, l1: emphasis on hot pixels and absolute error beside squared, in losses on temperatures.
    latent_hot_weight: the same emphasis, by the hottest true pixel behind each latent pixel, in `mean`.
    mirror: movies mirrored in y are samples too.
    rollouts: share of a head's samples that come from the model's own rollouts from frame 0 (head stages);
    the losses `readout` and `curve` of other stages train the head along with the networks.
    truncate: gradients flow back through so many steps of a rollout at most (0 = all). Why: over a dozen
    steps they explode for some windows, and one such step undoes many others.
    """

    name: str
    kind: Kind
    phases: tuple[Phase, ...]
    losses: dict[str, float]
    field: str | None = None
    batch: int = 8
    lr: float = 1e-4
    lr_end: float = 0.0
    warmup: float = 0.0
    betas: tuple[float, float] = (0.5, 0.99)
    clip: float = 0.0
    ema: float = 0.0
    share: float = 1.0
    bf16: bool = False
    train: Literal["coupled", "all"] = "coupled"
    select: Literal["last", "loss", "rollout"] = "last"
    validations: int = 4
    crop: int = 0
    centred: float = 0.75
    margin: int = 0
    decode_every: int = 0
    decode_crop: int = 0
    decode_frames: int = 0
    decode_fields: tuple[str, ...] = ()
    sample: bool = False
    hot_weight: float = 0.0
    l1: float = 0.0
    latent_hot_weight: float = 0.0
    mirror: bool = True
    rollouts: float = 0.0
    truncate: int = 0

    def __post_init__(self) -> None:
        for loss, weight in self.losses.items():
            if loss not in LOSSES[self.kind]:
                raise ConfigError(
                    f"stage '{self.name}': no loss '{loss}' in a {self.kind} stage; "
                    f"choose {', '.join(LOSSES[self.kind])}"
                )
            if weight < 0:
                raise ConfigError(f"stage '{self.name}': weight of '{loss}' is {weight}; it must be >= 0")
        if not any(self.losses.values()):
            raise ConfigError(f"stage '{self.name}': no loss has a weight")
        for name in ("batch", "lr", "share"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"stage '{self.name}': {name} must be positive, got {getattr(self, name)}")
        for name, low, high in (("warmup", 0, 1), ("centred", 0, 1), ("ema", 0, 1), ("rollouts", 0, 1)):
            if not low <= getattr(self, name) <= high:
                raise ConfigError(f"stage '{self.name}': {name} must be in [0, 1], got {getattr(self, name)}")
        multiple = {"vae": 8, "parc": 32}.get(self.kind, 4)
        for side in (self.crop, *(phase.crop or 0 for phase in self.phases)):
            if side < 0 or side % multiple:
                raise ConfigError(
                    f"stage '{self.name}': crop {side} must be a multiple of {multiple}, or 0 for all"
                )
            if side and side - 2 * self.margin < 1:
                raise ConfigError(f"stage '{self.name}': margin {self.margin} leaves nothing of crop {side}")

    def crop_in(self, phase: Phase) -> int:
        """Side of the crop in this phase."""
        return self.crop if phase.crop is None else phase.crop

    def decode_in(self, phase: Phase) -> int:
        """Steps between decoded losses in this phase, 0 where no loss needs them."""
        every = self.decode_every if phase.decode_every is None else phase.decode_every
        return every if any(self.losses.get(kind) for kind in DECODED) else 0


@dataclass(frozen=True)
class TrainConfig:
    """A whole training run.

    model: table with an optional `preset` (see `models.settings`); parc: the rival's sizes, for parc stages.
    micro_validation, meso_validation: cases of each file set aside, chosen by `seed`.
    validation_windows: at most so many windows are judged per validation.
    budget: minutes for everything, shared out by the stages' `share`; 0 = every stage takes all its steps.
    checkpoint_every, record_every: steps between checkpoints, and between lines of the history.
    encode_bf16: encode the training latents in bfloat16. head_width: features of the readout head.
    """

    model: dict[str, Any]
    stages: tuple[StageConfig, ...]
    seed: int = 0
    micro_validation: int = 2
    meso_validation: int = 1
    validation_windows: int = 16
    budget: float = 0.0
    checkpoint_every: int = 200
    record_every: int = 20
    encode_bf16: bool = False
    head_width: int = 32
    parc: ParcConfig = field(default_factory=ParcConfig)

    def __post_init__(self) -> None:
        names = [stage.name for stage in self.stages]
        if not names:
            raise ConfigError("no stage; give at least one [[stages]] table")
        if twice := {name for name in names if names.count(name) > 1}:
            raise ConfigError(f"two stages are called '{twice.pop()}'; rename one")
        self.model_config()

    def model_config(self) -> ModelConfig:
        """The model to train."""
        return from_table(self.model)

    def expanded(self) -> tuple[StageConfig, ...]:
        """The stages one by one: a vae stage for all fields becomes one a field, sharing its time."""
        out: list[StageConfig] = []
        for stage in self.stages:
            if stage.kind == "vae" and stage.field is None:
                names = self.model_config().fields
                out += [
                    replace(stage, name=f"{stage.name}-{f}", field=f, share=stage.share / len(names))
                    for f in names
                ]
            else:
                out.append(stage)
        return tuple(out)

    def select(self, names: tuple[str, ...]) -> tuple[StageConfig, ...]:
        """The expanded stages of these names (all for none); a vae stage's name stands for its fields."""
        stages = self.expanded()
        short = {s.name: s.name.removesuffix(f"-{s.field}") for s in stages}
        for name in names:
            if name not in {*short, *short.values()}:
                raise ConfigError(f"no stage '{name}'; stages: {', '.join(short)}")
        return tuple(s for s in stages if not names or {s.name, short[s.name]} & set(names))


PRESETS = ("compact", "hmx-compact", "paper", "parc")


def load_config(name: str | Path) -> TrainConfig:
    """A training configuration from a TOML file, or one of the packaged presets by name."""
    if str(name) in PRESETS:
        with resources.as_file(resources.files(__package__) / "presets" / f"{name}.toml") as path:
            return config.load(TrainConfig, path)
    if not Path(name).exists():
        raise ConfigError(f"no such training configuration: {name}; give a file or {' | '.join(PRESETS)}")
    return config.load(TrainConfig, name)
