"""Stands in for the package where leaks are looked for: no torch, and a closure that only answers.

The test puts the real bridge.py and config.py beside it, so that all between a host and its closure is real.
"""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from .config import ConfigError

QUANTITIES = (
    "burned_fraction", "burn_rate", "hotspot_area_fraction", "hotspot_area_rate", "hotspot_temperature",
    "hotspot_temperature_rate", "mean_temperature", "mean_pressure", "porosity", "uncertainty",
)  # fmt: skip


class Specimen:
    """An image of nothing."""

    @staticmethod
    def from_array(image, pixel):
        if not pixel > 0:
            raise ValueError(f"pixel must be positive, got {pixel}")
        return image

    @staticmethod
    def open(path, dataset, pixel):
        raise FileNotFoundError(2, "No such file or directory", path)


class CellError(ValueError):
    """A call about cells that it names."""

    def __init__(self, message, ids):
        super().__init__(message)
        self.ids = ids


class Response(SimpleNamespace):
    """Numbers by name."""

    def write(self, name, out):
        out[...] = getattr(self, name)


@dataclass
class Ledger:
    """Nothing burned."""

    burned_mass: float = 0.0


class Closure:
    """Keeps ids and steps, and calls the fallback for the cells with a pressure above 10 GPa."""

    comm, cost, facts, warnings = None, {"evolve": 0.0}, {"pixel": 50e-9}, 0
    options = SimpleNamespace(engine=SimpleNamespace(patch_shape=None))

    def __init__(self, fallback):
        self.fallback, self.ids, self.time, self.step, self.waiting = (
            fallback,
            np.zeros(0, int),
            None,
            None,
            [],
        )
        self.kept = []

    @property
    def status(self):
        return {"ACTIVE": len(self.ids)}

    def register(self, ids, *, patches=None, specimen=None, offsets=None, pixel=None, parts=None):
        self._is(self.step is None, "a step is open; commit or roll back first")
        known = ids[np.isin(ids, self.ids)]
        if len(known):
            raise CellError(f"cell {known[0]} is registered", known)
        if parts is not None and (parts >= 0).any():
            raise CellError("no parts of patches", ids[parts >= 0])
        self.ids = np.concatenate([self.ids, ids])
        self.kept.append(specimen if patches is None else patches)

    def unregister(self, ids):
        self.ids = self.ids[~np.isin(self.ids, ids)]

    def migrate(self, ids, new_owner):
        if (new_owner != 0).any():
            raise CellError("there is one rank, 0", ids[new_owner != 0])

    def begin_step(self, t, dt):
        self._is(self.step is None, "a step is open; commit or roll back first")
        self.step = t + dt

    def advance(self, ids, pressure, velocity=None, entropy=None):
        self._is(entropy is None, "no load by entropy")
        self._is(self.step is not None, "no step is open; call begin_step")
        ids = self._known(ids)
        if hasattr(pressure, "__dlpack__"):
            pressure = np.from_dlpack(pressure)
        if len(pressure) != len(ids):
            raise ValueError(f"pressure of {len(pressure)} cells, expected {len(ids)}")
        pressure = np.array(pressure)
        out = {name: pressure * 1e-10 for name in QUANTITIES}
        high = pressure > 1e10
        if high.any():
            out["burned_fraction"][high] = self._help(ids[high], pressure[high])
        return Response(**out, status=np.ones(len(ids), np.int64), dt_max=1e-9)

    def _known(self, ids):
        ids = self.ids if ids is None else ids
        wrong = ids[~np.isin(ids, self.ids)]
        if len(wrong):
            raise CellError(f"unknown cells {wrong}", wrong)
        return ids

    def _help(self, ids, pressure):
        n = len(ids)
        zero = np.zeros(n)
        request = SimpleNamespace(
            ids=ids, up=zero, shock_pressure=pressure, pressure=pressure, since=zero, until=zero, dt=zero,
            before=np.zeros((n, 6)),
        )  # fmt: skip
        try:
            return self.fallback(request)[:, 2]
        except Exception as err:
            raise CellError(f"the fallback failed: {err}", ids) from err

    def read(self, ids):
        return Response(ids=self._known(ids), burned_mass=np.zeros(len(ids)))

    def ledger(self):
        return Ledger()

    def sum_over_ranks(self, work):
        return work()

    def submit(self, ids, pressure, velocity=None):
        self._is(self.step is not None, "no step is open; call begin_step")
        ids = self._known(ids)
        again = [i for i in ids if any(i in ticket.call[0] for ticket in self.waiting)]
        if again:
            raise CellError(f"cells {again} handed in twice", again)
        ticket = SimpleNamespace(response=None, call=(ids.copy(), np.array(pressure)))
        self.waiting.append(ticket)
        return ticket

    def wait(self):
        waiting, self.waiting = self.waiting, []
        for ticket in waiting:
            ticket.response = self.advance(*ticket.call)

    def commit(self):
        self._is(self.step is not None, "no step is open; call begin_step")
        self._is(not self.waiting, "calls handed in and not made")
        self.time, self.step = self.step, None

    def rollback(self):
        self._is(self.step is not None, "no step is open; call begin_step")
        self.step, self.waiting = None, []

    def save(self, path):
        raise PermissionError(13, "Permission denied", path)

    def restore(self, path):
        raise FileNotFoundError(2, "No such file or directory", path)

    def close(self):
        self.kept = []

    @staticmethod
    def _is(holds, message):
        if not holds:
            raise ValueError(message)


def open(bundle, *, comm=None, fallback=None, **options):
    """A closure, but for a bundle that is missing."""
    if unknown := options.keys() - {"threads", "device", "engine", "policy"}:
        raise ConfigError(f"unknown key {unknown}")
    if bundle.endswith("missing"):
        raise FileNotFoundError(2, "No such file or directory", bundle)
    return Closure(fallback)
