"""How a closure is opened: what each rank computes on, and that all ranks have chosen the same."""

from __future__ import annotations

import dataclasses
import logging
import platform
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..closure.closure import Closure
from ..closure.fallback import Fallback
from ..closure.options import Options, where_it_belongs
from ..config import ConfigError, to_dict
from ..device import Device, available_cores, choose, gpu_count
from ..errors import LostRankError
from ..grids import LATENT_FACTOR
from ..models.bundle import CURVES, Bundle, BundleError
from ..models.curve_net import STRIDE, CurveNet
from ..surrogate.compiled import load_step
from ..surrogate.curves import KNOWN, CurveEngine, CurveRollout, kept_shape
from ..surrogate.engine import Engine
from ..surrogate.facts import ModelFacts
from ..surrogate.frame0 import LoadTable
from ..surrogate.known_errors import KnownErrors
from ..surrogate.novelty import Familiar
from ..surrogate.pool import Pool
from ..surrogate.readers import make_reader
from ..surrogate.rollout import Rollout
from ..surrogate.shadow import make_shadow
from .agree import Attempt, same_everywhere
from .comm import SerialComm
from .meeting import PATIENCE, Meeting
from .placement import local_ranks, serving_ranks
from .ranks import Ranks

log: logging.Logger = logging.getLogger("mld_closure")


def open(
    bundle: str | Path | Bundle,
    comm: Any = None,
    device: str = "auto",
    precision: str = "fp32",
    readout: Any = None,
    *,
    load: Any = None,
    engine: Any = None,
    policy: Any = None,
    shadow: Any = None,
    serving: str = "auto",
    threads: int | None = None,
    timeout: float = PATIENCE,
    load_table: LoadTable | Mapping[str, Any] | None = None,
    fallback: Fallback | None = None,
    capture: str | Path | None = None,
    failures: str | Path | None = None,
    **other: Any,
) -> Closure:
    """A closure ready for cells.

    Parameters
    ----------
    bundle
        Name of a shipped bundle, path of another, or a `Bundle`.
    comm
        None, or a communicator with the calls of mpi4py's. With several ranks this and all calls of the
        closure are collective; the communicator is duplicated.
    device
        auto | cpu | cuda[:i], where auto and cuda give each rank of a node its own GPU.
    precision
        fp32 | bf16 | bf16-decode.
    readout, load, engine, policy, shadow
        Options by group (`closure.options`), as tables; `readout` and `load` may be a word, which is their
        `kind`.
    serving
        Ranks that hold latent states: all | 1 per node | 1 per device | auto (1 per device where there are
        GPUs, else all).
    threads
        Of torch on each rank; None shares a node's cores among its ranks.
    timeout
        Seconds that ranks wait for one that does not come to a collective call, before they all raise
        LostRankError, which names it; inf waits for ever.
    load_table
        In place of the bundle's own: a `LoadTable`, or the arrays it is made from.
    fallback
        Physics for cells that the policies hand to it.
    capture
        File for cells that needed a policy; of several ranks one each, named NAME-rankN.
    failures
        Folder, one for all ranks, for calls that failed; `replay` makes them again.
    **other
        Nothing more is taken: an option that is named without its group is refused, with its group named.

    Returns
    -------
    Closure

    Raises
    ------
    ValueError
        Naming what cannot be used.
    FileNotFoundError
        Where there is no such bundle or file.

    Examples
    --------
    >>> import numpy as np, mld_closure as mld
    >>> closure = mld.open(mld.testing.random_networks(base=2), device="cpu")
    >>> closure.register([7, 8], patches=np.ones((2, 32, 96), np.float32))
    >>> closure.begin_step(0.0, 1e-9)
    >>> closure.advance(pressure=[1e5, 9e9]).status.tolist()
    [0, 1]
    >>> closure.commit()
    >>> closure.close()
    """
    groups = {"readout": readout, "load": load, "engine": engine, "policy": policy, "shadow": shadow}
    size = 1 if comm is None else getattr(comm, "size", None) or comm.Get_size()
    own = SerialComm() if size == 1 else comm.Dup()
    try:
        opened = Opening(own, device, precision, serving, threads, timeout)
        options = opened.call(_options, groups, other)
        opened.call.settle()
        return opened.closure(bundle, options, load_table, fallback, capture, failures)
    except LostRankError:
        raise  # a communicator is freed by all its ranks or by none
    except BaseException:
        own.Free()
        raise


class Opening:
    """What the ranks of a communicator are to be: which of them serve, and on which devices. Collective."""

    def __init__(
        self,
        comm: Any,
        device: str,
        precision: str,
        serving: str,
        threads: int | None,
        timeout: float = PATIENCE,
    ) -> None:
        self.comm: Any = comm
        self.meeting: Meeting = Meeting(comm, timeout if _is_positive(timeout) else PATIENCE)
        self.call: Attempt = Attempt(comm, "open", self.meeting)
        self.call(_check_timeout, timeout)
        mine = platform.node(), gpu_count() if device != "cpu" else 0
        nodes, gpus = zip(*comm.allgather(mine), strict=True)
        here = int(local_ranks(nodes)[comm.rank])
        servers = self.call(serving_ranks, serving, nodes, gpus)
        self.call.settle()
        self.servers: np.ndarray = np.asarray(servers)
        self.serving: str = serving
        if comm.rank not in servers:
            device = "cpu"
        elif comm.size > 1 and device in ("auto", "cuda") and gpus[comm.rank]:
            device = f"cuda:{here % gpus[comm.rank]}"
        if threads is None and comm.size > 1:
            threads = max(1, available_cores() // nodes.count(nodes[comm.rank]))
        self._device = device, precision, threads

    def closure(
        self,
        bundle: str | Path | Bundle,
        options: Options,
        load_table: LoadTable | Mapping[str, Any] | None,
        fallback: Fallback | None,
        capture: str | Path | None,
        failures: str | Path | None,
    ) -> Closure:
        """The closure of this rank."""
        call, comm = self.call, self.comm
        loaded = call(_load, bundle, *self._device, load_table)
        call.settle()
        network, device, table = loaded
        folder = None if failures is None else str(failures)
        chosen = [(f"option {name}", value) for name, value in _flat(to_dict(options))]
        digest = network.content_hash()
        facts = [("the bundle", digest), ("failures", folder), *chosen]
        prints = zlib.crc32(np.ascontiguousarray(table.profile), zlib.crc32(np.ascontiguousarray(table.p)))
        if comm.size > 1:
            same_everywhere(comm, [*facts, ("the load table", prints), ("serving", self.serving)])
            if capture is not None:
                path = Path(capture)
                capture = path.with_name(f"{path.stem}-rank{comm.rank}{path.suffix}")
        parts = call(self._parts, network, digest, device, table, options)
        call.settle()
        model_facts, ranks, options = parts
        other = {"fallback": fallback, "capture": capture, "failures": failures}
        closure = call(Closure, network, model_facts, options, ranks, **other)
        call.settle()
        return closure

    def _parts(
        self, bundle: Bundle, digest: str, device: Device, table: LoadTable, options: Options
    ) -> tuple[ModelFacts, Ranks, Options]:
        """Facts of the model, the ranks, and the options as a compiled step narrows them."""
        if options.readout.kind == "auto":
            kind: Any = "curves" if CURVES in bundle.extras else "head"
            options = dataclasses.replace(options, readout=dataclasses.replace(options.readout, kind=kind))
        if options.readout.kind == "curves":
            return self._curve_parts(bundle, digest, device, table, options)
        scale = options.engine.scale
        model = bundle.model(scale)
        reader, spread = make_reader(bundle, model, options.readout)
        step = load_step(options.engine, digest, model, device)
        if step is not None:
            options = dataclasses.replace(options, engine=step.fit(options.engine))
        every, ratio = options.readout.read_every, bundle.config.meso_micro_ratio
        facts = ModelFacts(
            digest, bundle.pixel, table, tuple(bundle.load_range),
            model_step=bundle.meso_step if scale == "meso" else bundle.micro_step,
            horizon=bundle.horizon * (1 if scale == "meso" else ratio),
            known=reader.known, errors=spread,
            familiar=Familiar.from_table(bundle.microstructure, scale), **_trained_on(bundle, scale),
        )  # fmt: skip
        serves = self.comm.rank in self.servers
        networks = None
        if serves:
            batches = {"micro_batch": options.engine.micro_batch, "reproducible": options.engine.reproducible}
            networks = Engine(model, reader, device, step=step, steps=every, **batches)
        second = make_shadow(bundle, model, options.readout, options.shadow.readout) if serves else None
        size, with_logvar = model.config.latent_size, model.config.evolve_logvar

        def latent_shape(shape: tuple[int, int]) -> tuple[int, int, int]:
            return size, shape[0] // LATENT_FACTOR, shape[1] // LATENT_FACTOR

        def make_rollout(shape: tuple[int, int]) -> Rollout:
            pool = Pool(latent_shape(shape), with_logvar, device.torch)
            log.info(
                "closure: %s scale, %s readout, patches %d x %d, %s, micro-batch %d%s, "
                "%.0f kB per active cell",
                scale, options.readout.kind, *shape, device, options.engine.micro_batch,
                " (reproducible)" if options.engine.reproducible else "", pool.bytes_per_cell / 1e3,
            )  # fmt: skip
            return Rollout(
                networks, table, model.config, facts.model_step * every, shape[1] * table.pixel, pool, second
            )

        ranks = Ranks(
            self.comm, self.servers, networks, make_rollout, latent_shape, with_logvar, self.meeting
        )
        return facts, ranks, options

    def _curve_parts(
        self, bundle: Bundle, digest: str, device: Device, table: LoadTable, options: Options
    ) -> tuple[ModelFacts, Ranks, Options]:
        """As `_parts`, for a bundle whose whole burn curves serve."""
        if CURVES not in bundle.extras:
            raise BundleError("this bundle holds no burn curves; use readout='head' or another bundle")
        if options.engine.compiled is not None or options.shadow.readout:
            raise ConfigError("burn curves take no compiled step and no second readout; leave these out")
        net = CurveNet.from_extra(bundle.extras[CURVES])
        config, every = net.config, options.readout.read_every
        spread = KnownErrors.from_table(bundle.errors, CURVES, bundle.load_range)
        facts = ModelFacts(
            digest, bundle.pixel, table, tuple(bundle.load_range),
            model_step=config.duration / config.steps, horizon=config.steps, known=KNOWN,
            errors=KnownErrors.single(None, bundle.load_range) if spread is None else spread,
            familiar=Familiar.from_table(bundle.microstructure, CURVES), **_trained_on(bundle, CURVES),
            points=True, arrival=config.arrival, clock=config.clock, parts=config.parts, halo=config.halo,
            multiple=STRIDE,
        )  # fmt: skip
        engine = None
        if self.comm.rank in self.servers:
            batches = {"micro_batch": options.engine.micro_batch, "reproducible": options.engine.reproducible}
            engine = CurveEngine(net, device, **batches)
        kept = kept_shape(config.steps)

        def make_rollout(shape: tuple[int, int]) -> CurveRollout:
            log.info(
                "closure: burn curves, patches %d x %d with a halo of %d, %d parts, %s, batches of %d",
                *shape, config.halo, config.parts, device, options.engine.micro_batch,
            )  # fmt: skip
            return CurveRollout(engine, every, Pool(kept, False, device.torch))

        ranks = Ranks(self.comm, self.servers, engine, make_rollout, lambda shape: kept, False, self.meeting)
        return facts, ranks, options


def _trained_on(bundle: Bundle, scale: str) -> dict[str, Any]:
    """Heat of reaction (J/kg) and frame (ny, nx) of the training data, as far as a bundle says."""
    data = bundle.provenance.get("data", {}).get(scale, {})
    case = data.get("origin", {}).get("configuration", {}).get("case", {})
    shape = data.get("shape")
    return {
        "heat": float(case.get("kinetics", {}).get("Q", "nan")),
        "frame": None if shape is None else (int(shape[0]), int(shape[1])),
    }


def _is_positive(timeout: Any) -> bool:
    return isinstance(timeout, (int, float)) and timeout > 0


def _check_timeout(timeout: Any) -> None:
    if not _is_positive(timeout):
        raise ConfigError(f"timeout is a positive number of seconds, or inf, got {timeout!r}")


def _options(groups: Mapping[str, Any], other: Mapping[str, Any]) -> Options:
    for name, value in other.items():
        raise ConfigError(where_it_belongs(name, value))
    return Options.from_groups(groups)


def _load(
    bundle: str | Path | Bundle,
    device: str,
    precision: str,
    threads: int | None,
    load_table: LoadTable | Mapping[str, Any] | None,
) -> tuple[Bundle, Device, LoadTable]:
    """The networks on their device, and the load table."""
    before = torch.get_num_threads()
    where = choose(device, precision, threads)
    torch.set_num_threads(before)
    loaded = bundle.to(where.name) if isinstance(bundle, Bundle) else Bundle.load(bundle, where.name)
    if load_table is None:
        return loaded, where, LoadTable.from_bundle(loaded)
    table = load_table if isinstance(load_table, LoadTable) else LoadTable.from_arrays(load_table)
    table.check_pixel(loaded.pixel)
    return loaded, where, table


def _flat(groups: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [(f"{group}.{name}", value) for group, items in groups.items() for name, value in items.items()]
