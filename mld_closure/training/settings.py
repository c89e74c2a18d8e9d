"""Configuration of a training run, as frozen dataclasses, and the packaged presets."""

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
    """One stage of a training run.

    Sides of crops are in pixels for the kinds `vae` and `parc`, otherwise in latent pixels.

    Attributes
    ----------
    name, kind : str
        A `vae` stage without `field` stands for one stage per field, called <name>-<field>.
    phases : tuple of Phase
        Horizon and length of each part of the stage.
    losses : dict of str to float
        Weight of each loss in `LOSSES`; losses that are not named are not computed.
    field : str or None
        Field of a `vae` stage.
    batch : int
        Samples per process and step.
    lr, lr_end, warmup : float
        The learning rate falls from lr to lr_end as a cosine, after a rise over the share `warmup`.
    betas, clip, ema
        Adam; largest norm of the gradient (0 for any); decay of averaged weights (0 for none).
    share : float
        Part of a time budget, relative to the other stages.
    bf16 : bool
        Compute in bfloat16 by autocast.
    train : {"coupled", "all"}
        Which evolution networks learn in coupled and meso stages.
    select : {"last", "loss", "rollout"}
        Weights that are kept: the last, or the best by validation loss or by validation rollouts.
    validations : int
        Number of validations.
    crop, centred, margin
        Side of the part of a frame that is used (0 for all); how often it is centred where the field changes;
        latent pixels at its cut edges that are evolved but not scored.
    decode_every, decode_crop, decode_frames, decode_fields
        Losses on decoded fields: every how many steps (0 for never); side of the part in latent pixels (0 for
        all that is scored); how many frames at the end of the window (0 for all); which fields (all for the
        loss `field`, otherwise the temperature).
    sample : bool
        Losses on decoded fields use sampled latents, as in the paper, instead of means.
    hot_weight, l1, latent_hot_weight : float
        Losses on temperatures: weight of hot pixels and of the absolute error. The third is the weight of
        latent pixels with a hot true pixel, in the loss `mean`.
    mirror : bool
        Movies mirrored in y are samples too.
    rollouts : float
        Share of the samples of a head stage that come from rollouts of the model. In other stages the losses
        `readout` and `curve` train the head together with the networks.
    truncate : int
        Gradients flow back through at most so many steps of a rollout (0 for all). Why: for some windows they
        explode over a dozen steps, and one such step undoes many others.

    Raises
    ------
    ConfigError
        An unknown loss or a value that makes no sense.
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
                raise ConfigError(f"stage '{self.name}': margin {self.margin} leaves no pixel of crop {side}")

    def crop_in(self, phase: Phase) -> int:
        """Return the side of the crop in this phase."""
        return self.crop if phase.crop is None else phase.crop

    def decode_in(self, phase: Phase) -> int:
        """Return the steps from one loss on decoded fields to the next in this phase; 0 if there are none."""
        every = self.decode_every if phase.decode_every is None else phase.decode_every
        return every if any(self.losses.get(kind) for kind in DECODED) else 0


@dataclass(frozen=True)
class TrainConfig:
    """A whole training run.

    Attributes
    ----------
    model : dict
        Table with an optional `preset`, see `models.settings`.
    stages : tuple of StageConfig
        In the order in which they run.
    seed : int
        Seed of the weights, the split and the samples.
    micro_validation, meso_validation : int
        Number of cases of each file used only for validation, chosen with `seed`.
    validation_windows : int
        Largest number of windows per validation.
    budget : float
        Minutes for all stages, divided by their `share`; 0 means that every stage takes all its steps.
    checkpoint_every, record_every : int
        Steps between checkpoints, and between entries of the history.
    encode_bf16 : bool
        Encode the training latents in bfloat16.
    head_width : int
        Feature channels of the readout head.
    parc : ParcConfig
        The PARCv2 baseline of `parc` stages.

    Raises
    ------
    ConfigError
        No stage, two stages of one name, or a model that is refused.
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
        """Return the configuration of the model to train."""
        return from_table(self.model)

    def expanded(self) -> tuple[StageConfig, ...]:
        """Return the stages one by one; a `vae` stage for all fields becomes one per field."""
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
        """Return the expanded stages with these names; all for no name.

        The name of a `vae` stage stands for the stages of all its fields. ConfigError for an unknown name.
        """
        stages = self.expanded()
        short = {s.name: s.name.removesuffix(f"-{s.field}") for s in stages}
        for name in names:
            if name not in {*short, *short.values()}:
                raise ConfigError(f"no stage '{name}'; stages: {', '.join(short)}")
        return tuple(s for s in stages if not names or {s.name, short[s.name]} & set(names))


PRESETS = ("compact", "hmx-compact", "paper", "parc")


def load_config(name: str | Path) -> TrainConfig:
    """Load a training configuration.

    Parameters
    ----------
    name : str or path
        A TOML file, or the name of one of `PRESETS`.

    Returns
    -------
    TrainConfig

    Raises
    ------
    ConfigError
        No such file or preset, or a configuration that is refused.
    """
    if str(name) in PRESETS:
        with resources.as_file(resources.files(__package__) / "presets" / f"{name}.toml") as path:
            return config.load(TrainConfig, path)
    if not Path(name).exists():
        raise ConfigError(f"no such training configuration: {name}; give a file or {' | '.join(PRESETS)}")
    return config.load(TrainConfig, name)
