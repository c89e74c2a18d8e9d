"""The only place that chooses the device, the precision and the number of threads.

Torch is imported inside the functions, so importing this file is cheap.
"""

from __future__ import annotations

import logging
import os
import typing
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

if typing.TYPE_CHECKING:
    import torch

log: logging.Logger = logging.getLogger("mld_closure")
MOST_THREADS = 1024  # of torch in one process
Precision = Literal["fp32", "bf16", "bf16-decode"]


@dataclass(frozen=True)
class Device:
    """Where and how to compute.

    Attributes
    ----------
    name : str
        A torch device, such as "cpu" or "cuda:0".
    precision : {"fp32", "bf16", "bf16-decode"}
        "bf16-decode": latents evolve in fp32, only decoding is done in bfloat16.
    threads : int
        CPU threads that torch may use.
    """

    name: str
    precision: Precision
    threads: int

    @property
    def torch(self) -> torch.device:
        """The torch device."""
        import torch

        return torch.device(self.name)

    def __str__(self) -> str:
        return f"{self.name}, {self.precision}, {self.threads} threads"


def choose(name: str = "auto", precision: str = "fp32", threads: int | None = None) -> Device:
    """Choose a device, a precision and a number of threads, and set the thread count of torch.

    Parameters
    ----------
    name : str
        "auto" (the first GPU that torch sees, otherwise the CPU), "cpu", "cuda" or "cuda:<index>".
    precision : str
        "fp32", "bf16" or "bf16-decode".
    threads : int or None
        CPU threads; None takes all cores that this process may run on.

    Returns
    -------
    Device

    Raises
    ------
    ValueError
        An unknown device name or precision, or a GPU that does not exist.
    """
    import torch

    if precision not in typing.get_args(Precision):
        raise ValueError(f"precision '{precision}': choose {' | '.join(typing.get_args(Precision))}")
    if name == "auto":
        name = "cuda:0" if torch.cuda.is_available() else "cpu"
    if name == "cuda":
        name = "cuda:0"
    if name != "cpu":
        kind, _, index = name.partition(":") if isinstance(name, str) else ("", "", "")
        if kind != "cuda" or not index.isdigit():
            raise ValueError(f"device {name!r}: choose auto | cpu | cuda | cuda:<index>")
        if int(index) >= torch.cuda.device_count():
            raise ValueError(
                f"device '{name}': torch sees {torch.cuda.device_count()} GPUs; use device='cpu'"
            )
    threads = available_cores() if threads is None else threads
    if isinstance(threads, bool) or not isinstance(threads, int) or not 1 <= threads <= MOST_THREADS:
        raise ValueError(f"threads must lie between 1 and {MOST_THREADS}, got {threads!r}")
    if precision != "fp32" and not fast_bf16(name):
        log.warning("this processor has no bfloat16: precision '%s' is emulated, fp32 is faster", precision)
    torch.set_num_threads(threads)
    return Device(name, precision, threads)  # type: ignore[arg-type]


def fast_bf16(name: str = "cpu") -> bool:
    """Whether a device has instructions for bfloat16; a processor without them emulates it, far slower."""
    import torch

    if name != "cpu":
        return True
    found = torch.cpu.get_capabilities()
    return any(found.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Torch on so many CPU threads; what was set before is put back afterwards."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def available_cores() -> int:
    """Return the number of CPU cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gpu_count() -> int:
    """Return the number of GPUs that torch sees."""
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def copy_into(target: Any, values: Any) -> None:
    """Copy values into memory of the host program, on any device.

    Parameters
    ----------
    target : object with the DLPack protocol, shape (n,)
        Memory to write to, for example on a GPU.
    values : numpy array (n,)
        Values to copy, in CPU memory.
    """
    import torch

    torch.from_dlpack(target).copy_(torch.from_numpy(values))


def borrow(values: Any) -> Any:
    """A torch tensor over an array on any device that is lent through DLPack; nothing of it is read."""
    import torch

    return torch.from_dlpack(values)


def to_host(tensor: Any) -> Any:
    """A numpy array of a torch tensor on any device."""
    return tensor.detach().cpu().numpy()
