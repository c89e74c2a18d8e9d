"""Tiny bundles and cells for the closure: random networks, a made-up Hugoniot, and scripted burn curves."""

import contextlib
import copy
import dataclasses
import functools
import io
import itertools
import types
from pickle import HIGHEST_PROTOCOL, Pickler, Unpickler  # by name: a test forbids those of the module

import numpy as np
import pytest
import torch

import mld_closure as mld
from mld_closure.closure.options import Options
from mld_closure.fields import MODEL_FIELDS
from mld_closure.models import readout_head
from mld_closure.models.bundle import Bundle
from mld_closure.models.dynamics import Latent, MesoDynamics, MicroDynamics
from mld_closure.models.readout_head import QUANTITIES, HeadConfig, ReadoutHead
from mld_closure.models.settings import ModelConfig
from mld_closure.surrogate import rollout
from mld_closure.surrogate.frame0 import LoadTable
from mld_closure.surrogate.messages import DRAWS
from mld_closure.surrogate.readers import Reading

PIXEL, STEP, HORIZON = 50e-9, 0.4e-9, 12
FRONT, ENTRY = 8, 12
RHO0 = 1900.0
BURNED = list(QUANTITIES).index("burned_fraction")
AREA = list(QUANTITIES).index("hotspot_area_fraction")
HOT = list(QUANTITIES).index("hotspot_temperature")
QUICK = {
    "fields": ("temperature",),
    "base": 2,
    "residual": True,
    "standardize": True,
    "evolve_logvar": False,
    "meso_micro_ratio": 1,
}
PAPER = {"fields": MODEL_FIELDS, "evolve_logvar": True, "meso_micro_ratio": 2}


def us(up):
    return 2650.0 + 2.38 * up


def shock_pressure(up):
    return RHO0 * us(up) * up


def table():
    up = np.arange(300.0, 1701.0, 100.0)
    p = shock_pressure(up)
    behind = np.arange(16) < FRONT
    T = 300 + 1e-4 * up**2
    profile = np.ones((len(up), 3, 16))
    profile[:, 0] = np.where(behind, T[:, None], 300.0)
    profile[:, 1] = np.where(behind, p[:, None], 0.0)
    return LoadTable(
        up=up, us=us(up), p=p, rho=RHO0 * us(up) / (us(up) - up), T=T, profile=profile,
        wave=np.full(len(up), ENTRY), profile_fields=("temperature", "pressure", "microstructure"),
        front_column=FRONT, pixel=PIXEL, rho0=RHO0, rho_void=1.9, T0=300.0,
    )  # fmt: skip


def bundle(seed=0, head=True, **config):
    """A new bundle of random networks; equal arguments give equal weights.

    It is as quick as can be, with one field, no log-variances and one micro step in a meso step; a test that
    is about these asks for them, or for all that are in the paper with **PAPER.
    """
    return _packed(seed, head, **config).copy()


class Packed:
    """An object that is copied often: a fraction of the time of `deepcopy`, as only tensors are copied in
    Python."""

    def __init__(self, thing):
        self.tensors, file = [], io.BytesIO()
        pickler = Pickler(file, HIGHEST_PROTOCOL)
        pickler.persistent_id = self._keep
        pickler.dump(thing)
        self.rest = file.getvalue()

    def _keep(self, thing):
        if isinstance(thing, torch.Tensor):
            self.tensors.append(thing)
            return len(self.tensors) - 1

    def copy(self):
        unpickler = Unpickler(io.BytesIO(self.rest))
        unpickler.persistent_load = lambda number: copy.deepcopy(self.tensors[number])
        return unpickler.load()


@functools.cache
def _packed(seed, head, **config):
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    config = ModelConfig(**QUICK | config)
    micro = MicroDynamics(config)
    meso = MesoDynamics.from_micro(micro)
    with torch.no_grad():
        for p in meso.coupled_mean.out.parameters():
            p.mul_(2.0)
    extras = {}
    if head:
        network = ReadoutHead(HeadConfig(config.latent_size, width=4, depth=1))
        with torch.no_grad():
            network.local.weight.mul_(8.0)
        extras[readout_head.EXTRA] = network.to_extra()
    made = Bundle(
        micro.eval(), meso.eval(), pixel=PIXEL, micro_step=STEP / config.meso_micro_ratio, horizon=HORIZON,
        load_range=(500.0, 1400.0), extras=extras,
    )  # fmt: skip
    return Packed(made)


def patches(n, seed=0, shape=(32, 32)):
    return (np.random.default_rng(seed).random((n, *shape)) > 0.1).astype(np.float32)


# The plainest choice: cells are told apart by pressure, and no load is too weak for the model
PLAIN = {
    "load": {"kind": "pressure", "updates": 1, "p_arrival": shock_pressure(500.0)},
    "policy": {"on_weak_load": "extrapolate"},
}


GROUPS = {
    f.name: {o.name for o in dataclasses.fields(f.default_factory)} for f in dataclasses.fields(Options)
}


def options(**given):
    """Arguments of `open` over the plainest choice; an option may be named without its group."""
    out = {"device": "cpu", "threads": 1, "load_table": table()}
    groups = copy.deepcopy(PLAIN)
    for name, value in given.items():
        if name in GROUPS:
            groups.setdefault(name, {}).update({"kind": value} if isinstance(value, str) else value)
        elif name != "fallback" and (found := [group for group, names in GROUPS.items() if name in names]):
            groups.setdefault(found[0], {})[name] = value
        else:
            out[name] = value
    return out | groups


def make(n=5, given=None, comm=None, **groups):
    """A closure with cells 100, 101, ... registered, of the plainest choice unless told otherwise."""
    closure = mld.open(given if given is not None else bundle(), comm, **options(**groups))
    if n:
        closure.register(np.arange(100, 100 + n), patches=patches(n))
    return closure


def engine(closure):
    """The networks of a closure's server."""
    return closure._ranks.engine


def pool(closure):
    """The latent states of a closure's server."""
    return closure._ranks.server.pool


def state(closure):
    """Everything committed, as bytes: ids, states of cells but for where their latents are, and latents."""
    cells = closure.state
    slots = cells.slot[(cells.slot >= 0) & (cells.server == closure._ranks.rank)]
    latents = () if closure._ranks.server is None else pool(closure).read(slots)
    cells.slot[:] = cells.server[:] = 0
    return b"".join(z.tobytes() for z in (closure.ids, cells.pack(), *(z.numpy() for z in latents)))


@contextlib.contextmanager
def whole_frames():
    """Burned fractions as shares of all that is in a frame, not of a cell's own material."""
    whole = lambda table, up, solid, time, length: np.ones(np.shape(up))  # noqa: E731
    before, rollout.own_share = rollout.own_share, whole
    try:
        yield
    finally:
        rollout.own_share = before


@pytest.fixture(autouse=True)
def _plain_counting(request):
    """Burned fractions are as the readouts give them, unless a test is about a cell's own material."""
    if "own_material" in request.keywords:
        yield
        return
    with whole_frames():
        yield


def scripted(curve, n=1, uncertainty=None, **settings):
    """A closure whose model steps count frames and whose readout is `curve` (frames, 6) at that count."""
    closure = make(n, **settings)
    curve = torch.as_tensor(np.asarray(curve), dtype=torch.float64)
    networks = engine(closure)
    model = networks.model

    def read(latent, load):
        frame = latent.mean[:, 0, 0, 0].round().long().clamp_max(len(curve) - 1)
        draws = torch.full((len(frame), DRAWS), torch.nan)
        if uncertainty is not None:
            draws = torch.arange(DRAWS) * uncertainty * frame[:, None]
        return Reading(curve[frame], draws)

    read.decodes, read.known = False, np.ones(len(QUANTITIES), bool)
    networks.reader = read
    networks.step = lambda z, load: Latent(z.mean + 1, z.logvar)
    size = model.config.latent_size, 4, 4
    model.encode = lambda x: Latent(torch.zeros(len(x), *size), torch.zeros(len(x), *size))
    return closure


def curve(burned, area=None, hot=1000.0):
    """(frames, 6): a burned fraction, a hot-spot area and constants."""
    out = np.zeros((len(burned), len(QUANTITIES)))
    out[:, BURNED] = burned
    out[:, AREA] = np.asarray(burned) if area is None else area
    out[:, HOT] = np.where(out[:, AREA] > 0, hot, 0.0)
    out[:, list(QUANTITIES).index("mean_temperature")] = 400 + 100 * np.arange(len(burned))
    out[:, list(QUANTITIES).index("mean_pressure")] = 5e9
    out[:, list(QUANTITIES).index("porosity")] = 0.05
    return out


def ramp(t, peak, start=1e-9, rise=0.2e-9):
    """Pressures of a shock that arrives at `start` and rises linearly to its peak."""
    return peak * np.clip((t - start) / rise, 0.0, 1.0)


def run(closure, times, pressure, **inputs):
    """Steps between the times; pressure(t) of all cells. Returns the responses."""
    out = []
    for t0, t1 in itertools.pairwise(times):
        closure.begin_step(t0, t1 - t0)
        out.append(closure.advance(pressure=np.broadcast_to(pressure(t1), (len(closure.ids),)), **inputs))
        closure.commit()
    return out


@pytest.fixture(scope="session")
def kit():
    """Everything above by name."""
    return types.SimpleNamespace(**{k: v for k, v in globals().items() if not k.startswith("_")})
