"""Data parallelism: one process, or the ranks started by `torchrun` (gloo on CPUs, nccl on GPUs)."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import nn


@dataclass(frozen=True)
class World:
    """Rank of this process and number of processes that train together."""

    rank: int = 0
    size: int = 1

    def wrap(self, module: nn.Module) -> nn.Module:
        """Return `module`, wrapped so that gradients are averaged if there are several ranks."""
        if self.size == 1:
            return module
        return nn.parallel.DistributedDataParallel(module)

    def share(self, value: Any) -> Any:
        """Return the `value` of rank 0 (plain Python objects) on every rank."""
        if self.size == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0)
        return box[0]

    def share_tensors(self, tensors: Iterable[torch.Tensor]) -> None:
        """Overwrite `tensors` with those of rank 0."""
        if self.size > 1:
            with torch.no_grad():
                for tensor in tensors:
                    dist.broadcast(tensor, src=0)

    def wait(self) -> None:
        """Wait until every rank has called this."""
        if self.size > 1:
            dist.barrier()


def connect(device: str) -> tuple[World, str]:
    """Join the group of processes that `torchrun` describes in the environment.

    Parameters
    ----------
    device : str
        Device wanted. With several processes on GPUs each local rank takes its own GPU.

    Returns
    -------
    (World, str)
        Rank and size, and the device of this rank; one process on `device` without `torchrun`.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return World(), device
    gpu = device != "cpu" and torch.cuda.is_available()
    if gpu:
        device = f"cuda:{int(os.environ.get('LOCAL_RANK', '0')) % torch.cuda.device_count()}"
        torch.cuda.set_device(device)
    if not dist.is_initialized():
        dist.init_process_group("nccl" if gpu else "gloo")
    return World(dist.get_rank(), dist.get_world_size()), device if gpu else "cpu"


def disconnect(world: World) -> None:
    """Leave the group joined with `connect`; every rank must call it.

    Wrapped modules in reference cycles keep the group alive. They are collected first, because otherwise
    threads of the group still run at exit.
    """
    if world.size > 1 and dist.is_initialized():
        gc.collect()
        dist.barrier()
        dist.destroy_process_group()
