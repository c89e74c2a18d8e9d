"""Arrays of a C++ host: borrowed through DLPack, in units of its own, or missing with a reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .device import copy_into, gpu_count, to_host

_HOST = 1  # DLPack's number for memory of the host


class Refused:
    """Stands in for an array that this rank has not got: whoever looks at it is told why."""

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        raise ValueError(self.reason)

    def __float__(self) -> float:
        raise ValueError(self.reason)

    def __fspath__(self) -> str:
        raise ValueError(self.reason)


class Borrowed:
    """Memory of the host that is handed on through DLPack; `capsule()` makes a capsule."""

    def __init__(self, capsule: Callable[[], Any], device: int, index: int) -> None:
        self._capsule, self._device = capsule, (device, index)

    @property
    def trouble(self) -> str | None:
        """Why nobody can read or write it, if so."""
        kind, index = self._device
        if kind == _HOST or 0 <= index < gpu_count():
            return None
        return (
            f"an array lies on GPU {index}, but torch sees {gpu_count()} (CUDA or ROCm); pass host pointers"
        )

    def __dlpack__(self, **_: Any) -> Any:
        self.__dlpack_device__()
        return self._capsule()

    def __dlpack_device__(self) -> tuple[int, int]:
        if self.trouble:
            raise ValueError(self.trouble)
        return self._device


def trouble_of(outputs: tuple[tuple[str, Any], ...]) -> str | None:
    """Why a result could not be written, known before there is one."""
    arrays = (a[0] if isinstance(a, tuple) else a for _, a in outputs)
    return next((a.trouble for a in arrays if isinstance(a, Borrowed) and a.trouble), None)


def in_si_units(inputs: dict[str, Any]) -> dict[str, Any]:
    """Inputs in SI units: what comes as (array, factor) is multiplied by its factor."""
    if not any(isinstance(given, tuple) for given in inputs.values()):
        return inputs
    return {k: _multiplied(*given) if isinstance(given, tuple) else given for k, given in inputs.items()}


def _multiplied(array: Any, factor: float) -> np.ndarray:
    return np.asarray(to_host(array) if isinstance(array, Borrowed) else array) * factor


def write_outputs(response: Any, outputs: tuple[tuple[str, Any], ...]) -> None:
    """Write what a response holds to arrays; those that come as (array, factor) get it divided by that."""
    for name, array in outputs:
        if type(array) is np.ndarray:
            response.write(name, array)
            continue
        values = getattr(response, name)
        if isinstance(array, tuple):
            array, factor = array
            values = values / factor
        if isinstance(array, Borrowed):
            copy_into(array, values)
        else:
            array[...] = values
