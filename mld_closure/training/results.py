"""The files that a run writes at its end: history as JSON and CSV, and the bundle."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from .. import __version__
from ..config import to_dict
from ..data.trajectories import Trajectories
from ..data.windows import Split
from ..models.bundle import Bundle
from ..models.readout_head import EXTRA
from . import checkpoints
from .settings import TrainConfig
from .stages import BURN_RATE, Networks

History = Mapping[str, Sequence[Mapping[str, Any]]]


def write_history(folder: Path, history: History) -> None:
    """Write `history.json`, the entries of every stage, and `history.csv`, the same as one table."""
    checkpoints.write_text(folder / "history.json", json.dumps(history, indent=1))
    rows = [{"stage": name, **row} for name, lines in history.items() for row in lines]
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    checkpoints.write_text(folder / "history.csv", text.getvalue())


def selected_validation(history: Sequence[Mapping[str, Any]], best: bool) -> dict[str, float]:
    """Return the numbers of the validation with the lowest score, or of the last one; empty without any."""
    found = [
        {k.removeprefix("validation "): v for k, v in row.items() if k.startswith("validation ")}
        for row in history
    ]
    found = [numbers for numbers in found if numbers]
    scored = [numbers for numbers in found if "score" in numbers]
    if best and scored:
        return min(scored, key=lambda numbers: numbers["score"])
    return found[-1] if found else {}


def make_bundle(
    config: TrainConfig,
    networks: Networks,
    files: Mapping[str, Trajectories],
    splits: Mapping[str, Split],
    facts: Mapping[str, Any],
) -> Bundle:
    """Make a bundle of the trained models.

    Pixel, time step and horizon (length of a movie in meso frames) are those of the meso data, or of the
    micro data if there are no others. The load range covers all data; without piston speeds it is that of the
    model.

    Parameters
    ----------
    config : TrainConfig
        The configuration of the run.
    networks : Networks
        The trained networks.
    files : mapping of str to Trajectories
        Data by scale, "micro" and "meso".
    splits : mapping of str to Split
        Cases for training and for validation, by scale.
    facts : mapping
        Added to the provenance; must have `scores`.

    Returns
    -------
    Bundle
    """
    role = "meso" if "meso" in files else "micro"
    file, ratio = files[role], config.model_config().meso_micro_ratio
    interval = float(file.times[1] - file.times[0])
    speeds = [f.scalars["piston_speed"] for f in files.values() if "piston_speed" in f.scalars]
    extras = {}
    if networks.head is not None:
        extras[EXTRA] = networks.head.to_extra()
        rates = [v[BURN_RATE] for v in facts["scores"].values() if BURN_RATE in v]
        extras[EXTRA].config["burn_rate_error"] = rates[-1] if rates else None
    low_high = (min(s.min() for s in speeds), max(s.max() for s in speeds)) if speeds else ()
    return Bundle(
        networks.micro,
        networks.meso_from_micro(),
        pixel=file.pixel,
        micro_step=interval / ratio if role == "meso" else interval,
        horizon=file.n_frames - 1 if role == "meso" else max(1, (file.n_frames - 1) // ratio),
        load_range=tuple(map(float, low_high)) or networks.micro.config.load_range,
        extras=extras,
        provenance={
            "training": to_dict(config),
            "data": {
                role: {
                    "name": f.path.name,
                    "frames": f.n_frames,
                    "shape": list(f.shape),
                    "train": list(splits[role].train),
                    "validation": list(splits[role].validation),
                    "origin": f.provenance,
                }
                for role, f in files.items()
            },
            "mld_closure": __version__,
            "torch": torch.__version__,
            **facts,
        },
    )
