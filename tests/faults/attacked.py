"""What the campaign attacks: a small bundle, a closure and its restart, a failing call, data, and more."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import shutil
import zipfile
from functools import cached_property
from pathlib import Path

import h5py
import numpy as np
import torch

import mld_closure as mld
from mld_closure.data.layout import TrajectorySpec
from mld_closure.data.store import write_trajectories
from mld_closure.errors import ClosureError
from mld_closure.models import readout_head
from mld_closure.models.bundle import Bundle
from mld_closure.models.dynamics import MesoDynamics, MicroDynamics
from mld_closure.models.readout_head import HeadConfig, ReadoutHead
from mld_closure.models.settings import ModelConfig
from mld_closure.surrogate import compiled

CELLS, SHAPE, DT = 4, (32, 96), 0.3e-9
IDS = np.arange(10, 10 + CELLS)
HORIZON = 8  # frames
LEAST = {
    "fields": ("temperature",),
    "base": 2,
    "latent_channels": 2,
    "evolution": "resnet16",
    "residual": True,
    "standardize": True,
    "evolve_logvar": False,
}


class Bench:
    """Things to attack, made when first asked for; `fresh()` gives each attack a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._numbers = itertools.count()
        torch.set_num_threads(1)

    def fresh(self) -> Path:
        """A new empty folder; the one before is removed."""
        for old in self.folder.glob("attack-*"):
            shutil.rmtree(old, ignore_errors=True)
        made = self.folder / f"attack-{next(self._numbers)}"
        made.mkdir()
        return made

    def copy(self, what: Path) -> Path:
        """A copy, to be damaged, of a file or folder."""
        to = self.fresh() / what.name
        return Path(shutil.copytree(what, to) if what.is_dir() else shutil.copy(what, to))

    @cached_property
    def networks(self):
        """A bundle of random networks, in memory: the least that serves, as few faults are about them."""
        whole = mld.testing.random_networks(base=2)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            micro = MicroDynamics(ModelConfig(**LEAST))
            meso = MesoDynamics.from_micro(micro)
            head = ReadoutHead(HeadConfig(micro.config.latent_size, width=4, depth=1))
        for model in (micro, meso):
            model.eval().requires_grad_(False)
        extras = whole.extras | {readout_head.EXTRA: head.to_extra()}
        return Bundle(micro, meso, whole.pixel, whole.micro_step, HORIZON, whole.load_range, extras=extras)

    @cached_property
    def bundle(self) -> Path:
        """The same as a folder."""
        self.networks.save(self.folder / "bundle")
        return self.folder / "bundle"

    @cached_property
    def content(self) -> str:
        """Content hash of the bundle."""
        return self.networks.content_hash()

    @cached_property
    def patches(self) -> np.ndarray:
        """(CELLS, *SHAPE)."""
        return (np.random.default_rng(0).random((CELLS, *SHAPE)) > 0.1).astype(np.float32)

    def closure(self, cells: bool = True, **options):
        """A new closure with its cells."""
        made = mld.open(self.networks, device="cpu", threads=1, **options)
        if cells:
            made.register(IDS, patches=self.patches)
        return made

    @cached_property
    def burning(self):
        """A closure whose cells burn; attacks leave it as it is."""
        made = self.closure()
        for k in range(6):
            step(made, k * DT, [6e9, 8e9, 9e9, 1e5])
        return made

    @cached_property
    def restart(self) -> Path:
        """Its restart."""
        self.burning.save(self.folder / "restart")
        return self.folder / "restart"

    @cached_property
    def failure(self) -> Path:
        """A failing call, written down."""
        made = self.closure(failures=self.folder / "failures")
        made.begin_step(0.0, DT)
        with contextlib.suppress(ClosureError):
            made.advance(pressure=[9e9, 8e9, np.nan, 0.0])
        return next((self.folder / "failures").iterdir())

    @cached_property
    def data(self) -> Path:
        """A trajectory file of two cases."""
        spec = TrajectorySpec(2, (8, 12), 5e-8, (0.0, 1e-10, 2e-10))
        draw = np.random.default_rng(1)
        arrays = {n: draw.random((3, 8, 12)).astype(np.float32) for n in spec.fields}
        arrays["temperature"] += 300
        cases = [(i, arrays, {"porosity": 0.1, "piston_speed": 700.0}, {"voids": []}) for i in range(2)]
        return write_trajectories(self.folder / "data.h5", spec, cases)

    @cached_property
    def compiled(self) -> Path:
        """A sealed file of the form of a compiled step, without its library."""
        facts = compiled.Facts(compiled.FORMAT, self.content, "meso", "fp32", SHAPE, ("x86_64",), "2.0")
        path = self.folder / "step.pt2"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(
                "model/data/metadata.json", json.dumps({compiled.KEY: json.dumps(dataclasses.asdict(facts))})
            )
            archive.writestr("model/data/library.so", np.random.default_rng(0).bytes(3000))
        compiled.seal(path)
        return path

    @cached_property
    def image(self) -> Path:
        """A microstructure in HDF5."""
        path = self.folder / "image.h5"
        with h5py.File(path, "w") as file:
            file["mu"] = self.patches[0]
            file["mu"].attrs["pixel"] = 5e-8
        return path


def step(closure, t: float, pressure, commit: bool = True):
    """One step of all cells."""
    closure.begin_step(t, DT)
    out = closure.advance(pressure=np.asarray(pressure, float))
    closure.commit() if commit else closure.rollback()
    return out


def state(closure) -> bytes:
    """Everything committed, but for where latent states are, and these."""
    cells = closure.state
    slots = cells.slot[cells.slot >= 0]
    latents = closure._ranks.server.pool.read(slots)
    cells.slot[:] = cells.server[:] = 0
    return b"".join(z.tobytes() for z in (closure.ids, cells.pack(), *(z.numpy() for z in latents)))


def refuses(call, *kinds: type[BaseException]) -> bool:
    """Whether a call raises one of these errors, in one line; other errors go on."""
    try:
        call()
    except kinds as err:
        if "\n" in str(err):
            raise AssertionError(f"an error of several lines: {err}") from None
        return True
    return False
