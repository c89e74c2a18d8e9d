"""What C++ calls: a closure behind plain calls on the host's own arrays, and errors as numbers and sentences.

The C header (mld_closure/closure.h) is the manual; this file is its other side.
"""

from __future__ import annotations

import difflib
import logging
import os
import sys
import warnings
from collections.abc import Callable
from dataclasses import asdict
from enum import IntEnum
from time import perf_counter
from typing import Any

import numpy as np

import mld_closure

from .closure.first_version import grouped
from .closure.options import OPENING, Row
from .config import ConfigError, parse_toml
from .device import available_cores
from .errors import CollectiveError
from .host_arrays import Borrowed as Borrowed  # C++ looks it up here
from .host_arrays import Refused, in_si_units, trouble_of, write_outputs
from .runtime.agree import Attempt
from .runtime.comm import SerialComm, finalized, from_handle

_RESERVED = ("bundle", "comm", "load_table", "fallback")
OPTIONS = (
    *OPENING,
    Row(
        "log_file", "string or none", "none", "",
        "file that the messages of the package are appended to; the terminal stays silent",
    ),
    Row("log_level", "debug | info | warning | error", "info", "", "least level of the messages in log_file"),
)  # fmt: skip
_OWN = tuple(row.name for row in OPENING)
_GROUPS = ("load", "readout", "engine", "policy", "shadow")
_LOCAL_SIZES = ("OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS", "SLURM_NTASKS_PER_NODE")


class Error(IntEnum):
    """mld_error of the C header."""

    ARGUMENT = 1
    ORDER = 2
    CELLS = 3
    FILE = 4
    MEMORY = 5
    MPI = 6
    PYTHON = 102
    INTERNAL = 103
    RANKS = 104


class OrderError(ValueError):
    """A call out of order."""


class CommunicatorError(RuntimeError):
    """A communicator that cannot be used."""


def open(
    bundle: str, settings: str, comm: int | None, mpi: str, fallback: Callable[..., Any] | None, owned: bool
) -> Session:
    """The session of a new closure.

    settings: TOML text with options of `mld_closure.open`, log_file and log_level. comm: a communicator's
    Fortran handle; mpi: path of the host's MPI library. owned: the bridge started this Python, so that
    nothing else looks after its warnings.
    """
    begun = perf_counter()
    communicator = None if comm is None else _communicator(comm, mpi)
    attempt = Attempt(SerialComm() if communicator is None else communicator)
    options = attempt(_options, bundle, settings, owned)
    attempt.settle()
    if communicator is None:
        options.setdefault("threads", max(1, available_cores() // _ranks_here()))
    try:
        closure = mld_closure.open(bundle, comm=communicator, fallback=fallback, **options)
    except ConfigError:
        for name in options.keys() - {*_OWN, *_GROUPS}:
            if near := difflib.get_close_matches(name, (*_OWN, "log_file", "log_level"), n=1):
                raise ValueError(f"settings: unknown key '{name}'; did you mean '{near[0]}'?") from None
        raise
    return Session(closure, perf_counter() - begun)


def _communicator(handle: int, mpi: str) -> Any:
    try:
        return from_handle(handle, mpi or None)
    except (RuntimeError, ImportError) as err:
        raise CommunicatorError(str(err)) from err


def _options(bundle: str, settings: str, owned: bool) -> dict[str, Any]:
    """The settings that are the closure's own; the others are followed."""
    if not bundle:
        raise ValueError("no bundle is named")
    options = grouped(parse_toml(settings, "settings"))
    for name in _RESERVED:
        if name in options:
            raise ValueError(f"settings: '{name}' cannot be given as text")
    _log(options.pop("log_file", None), options.pop("log_level", "info"), owned)
    return options


def describe(error: BaseException) -> tuple[int, str, list[int]]:
    """(number, sentence, cells) of whatever a call raised."""
    ids = [int(i) for i in getattr(error, "ids", ())]
    text = " ".join(str(error).split()) or type(error).__name__
    number = _number(error, ids)
    if number is Error.INTERNAL:
        text = f"{type(error).__name__}: {text}{_where(error)}"
    if isinstance(error, OSError) and error.strerror and error.filename:
        text = f"{error.filename}: {error.strerror}"
    return int(number), text, ids


_NUMBERS = (
    ({"MemoryError", "OutOfMemoryError"}, Error.MEMORY),
    ({"CommunicatorError"}, Error.MPI),
    ({"LostRankError"}, Error.RANKS),
    ({"CollectiveError"}, Error.ORDER),
    ({"OSError", "BundleError"}, Error.FILE),
    ({"ImportError"}, Error.PYTHON),
    ({"ValueError", "TypeError"}, Error.ARGUMENT),
)


def _number(error: BaseException, ids: list[int]) -> Error:
    """The number of an error, by the name of its class and those it comes from; see `Attempt.settle`."""
    if isinstance(error, OrderError):
        return Error.ORDER
    kinds = set(getattr(error, "kinds", None) or (kind.__name__ for kind in type(error).__mro__))
    number = next((number for names, number in _NUMBERS if names & kinds), Error.INTERNAL)
    return Error.CELLS if number is Error.ARGUMENT and ids else number


def _where(error: BaseException) -> str:
    at = error.__traceback__
    if at is None:
        return ""
    while at.tb_next is not None:
        at = at.tb_next
    return f" ({os.path.basename(at.tb_frame.f_code.co_filename)}, line {at.tb_lineno})"


class Session:
    """One open closure. Arrays are views of the host's memory and are not kept.

    `dt_max` (s): of the last advance or wait.
    """

    def __init__(self, closure: Any, seconds: float) -> None:
        self.closure: Any = closure
        self.dt_max = float("inf")
        self._in_step = False
        self._waiting: list[tuple[Any, tuple[tuple[str, Any], ...]]] = []
        self._counts = {"steps": 0.0, "calls": 0.0, "rejected": 0.0, "seconds": 0.0, "seconds.open": seconds}

    def register_patches(
        self,
        ids: np.ndarray,
        patches: np.ndarray,
        pixel: float,
        copy: bool,
        parts: np.ndarray | None = None,
    ) -> None:
        """Cells (n,) with patches (n, ny, nx); pixel 0 for unknown; column parts (n,) of points."""
        wanted = self.closure.options.engine.patch_shape
        if copy and (wanted is None or patches.shape[1:] == tuple(wanted)):  # others are refused unread
            patches = patches.copy()
        nothing = not patches.size and not all(patches.shape[1:])  # of a rank that has no cells
        given = {"offsets": ()} if nothing else {"patches": patches, "pixel": pixel or None}
        self._between(self.closure.register, ids.copy(), **given, **_named(parts))

    def register_image(
        self,
        ids: np.ndarray,
        image: np.ndarray,
        pixel: float,
        offsets: np.ndarray,
        copy: bool,
        parts: np.ndarray | None = None,
    ) -> None:
        """Cells (n,) with patches at offsets (n, 2) (m) in an image (ny, nx)."""
        image = image.copy() if copy else image
        self._between(self._register, ids, offsets, parts, mld_closure.Specimen.from_array, image, pixel)

    def register_file(
        self,
        ids: np.ndarray,
        path: str,
        dataset: str | None,
        pixel: float,
        offsets: np.ndarray,
        parts: np.ndarray | None = None,
    ) -> None:
        """Cells (n,) with patches at offsets (n, 2) (m) in an image file."""
        make = mld_closure.Specimen.open
        self._between(self._register, ids, offsets, parts, make, path, dataset, pixel or None)

    def unregister(self, ids: np.ndarray) -> None:
        """Forget cells (n,)."""
        self._between(self.closure.unregister, ids.copy())

    def migrate(self, ids: np.ndarray, new_owner: np.ndarray) -> None:
        """Cells (n,) now belong to ranks new_owner (n,)."""
        self._between(self.closure.migrate, ids.copy(), new_owner.copy())

    def begin_step(self, t: float, dt: float) -> None:
        """Open a step."""
        late = self.closure.time
        self._run(not self._in_step and (late is None or t >= late), self.closure.begin_step, t, dt)
        self._in_step = True

    def advance(self, n: int, ids: Any, inputs: dict[str, Any], outputs: tuple[tuple[str, Any], ...]) -> None:
        """One call of n cells: ids (n,) or None; inputs by name; results go to outputs (name, array)."""
        self._counts["calls"] += 1
        if trouble := trouble_of(outputs):
            self.refuse("mld_advance", trouble)
        response = self._run(self._in_step, self.closure.advance, ids, **in_si_units(inputs))
        self.dt_max = response.dt_max
        write_outputs(response, outputs)

    def submit(self, n: int, ids: Any, inputs: dict[str, Any], outputs: tuple[tuple[str, Any], ...]) -> None:
        """The same, to be made by `wait`."""
        self._counts["calls"] += 1
        if trouble := trouble_of(outputs):
            raise ValueError(trouble)
        ticket = self._run(self._in_step, self.closure.submit, ids, **in_si_units(inputs))
        self._waiting.append((ticket, outputs))

    def wait(self) -> None:
        """Make the calls handed in, and write what they give."""
        waiting, self._waiting = self._waiting, []
        self._run(self._in_step, self.closure.wait)
        for ticket, outputs in waiting:
            self.dt_max: Any = ticket.response.dt_max
            write_outputs(ticket.response, outputs)

    def commit(self) -> None:
        """Keep the step; out of order too where calls that were handed in wait."""
        self._run(self._in_step and not self._waiting, self.closure.commit)
        self._in_step = False
        self._counts["steps"] += 1

    def rollback(self) -> None:
        """Drop the step."""
        self._run(self._in_step, self.closure.rollback)
        self._in_step, self._waiting = False, []
        self._counts["rejected"] += 1

    def save(self, path: str) -> None:
        """Write a restart folder."""
        self._between(self.closure.save, path)

    def restore(self, path: str) -> None:
        """Read a restart folder."""
        self._between(self.closure.restore, path)

    def read(self, n: int, ids: Any, outputs: tuple[tuple[str, Any], ...]) -> None:
        """Committed values of n cells, ids (n,) or None for all, go to outputs (name, array)."""
        if trouble := trouble_of(outputs):
            raise ValueError(trouble)
        response = self.closure.read(ids)
        if len(response.ids) != n:
            raise ValueError(f"arrays of {n} cells for {len(response.ids)} registered ones")
        write_outputs(response, outputs)

    def fact(self, name: str) -> float:
        """A fact of the model or of an option; ValueError listing the names there are."""
        known = self.closure.facts
        if name not in known:
            raise ValueError(f"no fact '{name}'; there are {', '.join(known)}")
        return known[name]

    def counter_sum(self, name: str) -> float:
        """A count or timing, summed over the ranks."""
        return self._run(True, self.closure.sum_over_ranks, lambda: self.counter(name))

    def counter(self, name: str) -> float:
        """A count or timing; ValueError listing the names there are."""
        stages = {k.lower(): float(v) for k, v in self.closure.status.items()}
        known = self._counts | {"cells": sum(stages.values())}
        known |= {f"cells.{k}": v for k, v in stages.items()}
        known |= {f"seconds.{k}": float(v) for k, v in self.closure.cost.items()}
        known |= asdict(self.closure.ledger()) | {"warnings": float(self.closure.warnings)}
        if name not in known:
            raise ValueError(f"no counter '{name}'; there are {', '.join(sorted(known))}")
        return known[name]

    def refuse(self, call: str, reason: str) -> None:
        """Make the collective part of a call whose arguments were refused on this rank, so that all fail."""
        what, closure = Refused(reason), self.closure
        if getattr(closure, "comm", None) is not None:
            calls: dict[str, Callable[[], Any]] = {
                "mld_advance": lambda: self._run(self._in_step, closure.advance, what, pressure=what),
                "mld_register": lambda: self._between(closure.register, what, patches=what),
                "mld_register_patches": lambda: self._between(closure.register, what, patches=what),
                "mld_register_image": lambda: self._between(closure.register, what, patches=what),
                "mld_register_file": lambda: self._between(closure.register, what, patches=what),
                "mld_unregister": lambda: self._between(closure.unregister, what),
                "mld_migrate": lambda: self._between(closure.migrate, what, what),
                "mld_counter_sum": lambda: closure.sum_over_ranks(lambda: float(what)),
                "mld_save": lambda: self._between(closure.save, what),
                "mld_restore": lambda: self._between(closure.restore, what),
            }
            calls.get(call, lambda: None)()
        raise ValueError(reason)

    def close(self) -> None:
        """Give everything back; what belongs to an MPI that was finalised is gone already."""
        self._waiting, self._in_step = [], False
        if getattr(self.closure, "comm", None) is not None and finalized():
            return
        self.closure.close()

    def _register(
        self,
        ids: np.ndarray,
        offsets: np.ndarray,
        parts: np.ndarray | None,
        make: Callable[..., Any],
        *args: Any,
    ) -> None:
        """Register cells in a specimen; where it cannot be made, other ranks wait to be told."""
        try:
            specimen = make(*args)
        except Exception as err:
            if getattr(self.closure, "comm", None) is not None:
                nothing = Refused(str(err))
                self.closure.register(nothing, patches=nothing)
            raise
        self.closure.register(ids.copy(), specimen=specimen, offsets=offsets.copy(), **_named(parts))

    def _between(self, work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """What a call that belongs between steps returns."""
        return self._run(not self._in_step, work, *args, **kwargs)

    def _run(self, in_order: bool, work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """What a call returns, its time counted; errors of one out of order are about that."""
        begun = perf_counter()
        try:
            return work(*args, **kwargs)
        except CollectiveError:
            raise
        except ValueError as err:
            if getattr(err, "everywhere", False):  # the others are here too, and must say the same
                in_order = all(self.closure.comm.allgather(in_order))
            if in_order or len(getattr(err, "ids", ())):
                raise
            raise OrderError(str(err)) from err
        finally:
            self._counts["seconds"] += perf_counter() - begun


def _named(parts: np.ndarray | None) -> dict[str, np.ndarray]:
    """Column parts (n,) as an argument of `register`, where there are any."""
    return {} if parts is None else {"parts": parts.copy()}


def _ranks_here() -> int:
    """Processes that share this machine's cores, as far as a launcher says."""
    sizes = [os.environ.get(name, "") for name in _LOCAL_SIZES]
    return max((int(size) for size in sizes if size.isdigit()), default=1)


def _log(path: str | None, level: str, owned: bool) -> None:
    """Send the package's log to a file; in a Python of the bridge's own, nothing goes to the terminal."""
    logger = logging.getLogger("mld_closure")
    if owned and not logger.handlers:
        logging.captureWarnings(True)
        for quiet in (logger, logging.getLogger("py.warnings")):
            quiet.addHandler(logging.NullHandler())
            quiet.propagate = False
        warnings.simplefilter("default")
        sys.unraisablehook = lambda unraisable: logger.warning("%s", unraisable)
    if path is not None:
        names = {os.path.abspath(getattr(h, "baseFilename", "")) for h in logger.handlers}
        if os.path.abspath(path) not in names:
            handler = logging.FileHandler(path)
            handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
            logger.addHandler(handler)
        logger.setLevel(level.upper())
