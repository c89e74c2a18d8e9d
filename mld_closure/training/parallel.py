"""Data parallelism: one process, or the ranks that `torchrun` started (gloo on CPUs, nccl on GPUs)."""

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
    """This process's place among those that train together."""

    rank: int = 0
    size: int = 1

    def wrap(self, module: nn.Module) -> nn.Module:
        """`module`, its gradients averaged over the ranks where there are several."""
        if self.size == 1:
            return module
        return nn.parallel.DistributedDataParallel(module)

    def share(self, value: Any) -> Any:
        """Rank 0's `value` (plain Python) on every rank."""
        if self.size == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0)
        return box[0]

    def share_tensors(self, tensors: Iterable[torch.Tensor]) -> None:
        """Overwrite `tensors` with rank 0's."""
        if self.size > 1:
            with torch.no_grad():
                for tensor in tensors:
                    dist.broadcast(tensor, src=0)

    def wait(self) -> None:
        """Return when every rank has come here."""
        if self.size > 1:
            dist.barrier()


def connect(device: str) -> tuple[World, str]:
    """Join the group that `torchrun` describes in the environment; returns the place and this rank's device.

    Without `torchrun` this is one process on `device`. On GPUs each local rank takes its own.
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
    """Leave the group joined with `connect`, all ranks together.

    Wrapped modules in reference cycles hold the group; they go first, or its threads outlive it at exit.
    """
    if world.size > 1 and dist.is_initialized():
        gc.collect()
        dist.barrier()
        dist.destroy_process_group()
