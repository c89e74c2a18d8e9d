"""The one place that chooses device, precision and threads. Torch is imported only when asked for."""

from __future__ import annotations

import os
import typing
from dataclasses import dataclass
from typing import Any, Literal

if typing.TYPE_CHECKING:
    import torch

Precision = Literal["fp32", "bf16", "bf16-decode"]


@dataclass(frozen=True)
class Device:
    """Where and how to compute: a torch device string, a precision and the threads torch may use."""

    name: str
    precision: Precision
    threads: int

    @property
    def torch(self) -> torch.device:
        """The torch device."""
        import torch

        return torch.device(self.name)

    def autocast_dtype(self) -> torch.dtype | None:
        """torch.bfloat16 for `bf16`, None where everything is computed in fp32."""
        import torch

        return torch.bfloat16 if self.precision == "bf16" else None

    def __str__(self) -> str:
        return f"{self.name}, {self.precision}, {self.threads} threads"


def choose(name: str = "auto", precision: str = "fp32", threads: int | None = None) -> Device:
    """Resolve `auto | cpu | cuda[:i]` and a precision to a `Device`, and set torch's thread count.

    `auto` is the first GPU where torch sees one, else the CPU. `threads=None` takes the cores this process
    may run on. Raises ValueError for an unknown name, precision, or a GPU that is not there.
    """
    import torch

    if precision not in typing.get_args(Precision):
        raise ValueError(f"precision '{precision}': choose {' | '.join(typing.get_args(Precision))}")
    if name == "auto":
        name = "cuda:0" if torch.cuda.is_available() else "cpu"
    if name == "cuda":
        name = "cuda:0"
    if name != "cpu":
        kind, _, index = name.partition(":")
        if kind != "cuda" or not index.isdigit():
            raise ValueError(f"device '{name}': choose auto | cpu | cuda | cuda:<index>")
        if int(index) >= torch.cuda.device_count():
            raise ValueError(
                f"device '{name}': torch sees {torch.cuda.device_count()} GPUs; use device='cpu'"
            )
    threads = threads or available_cores()
    torch.set_num_threads(threads)
    return Device(name, precision, threads)  # type: ignore[arg-type]


def available_cores() -> int:
    """Cores this process may be scheduled on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gpu_count() -> int:
    """GPUs that torch sees."""
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def copy_into(target: Any, values: Any) -> None:
    """Copy a host array (n,) into memory on any device that `target` lends through DLPack."""
    import torch

    torch.from_dlpack(target).copy_(torch.from_numpy(values))


def to_host(values: Any) -> Any:
    """A numpy array of what an array on any device lends through DLPack."""
    import torch

    return torch.from_dlpack(values).detach().cpu().numpy()
