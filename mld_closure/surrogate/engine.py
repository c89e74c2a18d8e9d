"""The networks at work: micro-batches on a device, in a precision, with as much memory as there is.

In reproducible mode every micro-batch holds exactly `micro_batch` cells, padded with copies of its first one,
so a cell's numbers do not depend on how many neighbours it has. Otherwise the last one holds what is left; in
fp32 a cell that is left alone is computed twice, since kernels for a single sample sum in another order, and
what that changes (5e-7 a frame) a surrogate's own dynamics amplify. Nor does the number of threads enter.

Why: one callable, `step`, is the whole of what a compiled model would replace.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import nn

from ..device import Device, torch_threads
from ..errors import ClosureError, name_cells
from ..grids import LATENT_FACTOR
from ..models.dynamics import Latent, LatentDynamics
from .cost import Cost

log: logging.Logger = logging.getLogger("mld_closure")
Step = Callable[[Latent, torch.Tensor], Latent]


class Engine:
    """Encodes, steps and reads latents of any number of cells.

    reader: `HeadReader` or `DecodeReader`. step: advances latents (b, channel, y, x) under scaled loads (b,)
    by one frame; None takes the model's own (eager). steps: from one reading to the next. `fitting`: the
    largest micro-batch that has fitted; `cost`: time spent.
    """

    def __init__(
        self,
        model: LatentDynamics,
        reader: Any,
        device: Device,
        *,
        micro_batch: int = 8,
        reproducible: bool = False,
        step: Step | None = None,
        steps: int = 1,
    ) -> None:
        self.model: LatentDynamics = model
        self.reader: Any = reader
        self.device: Device = device
        self.micro_batch: int = micro_batch
        self.reproducible: bool = reproducible
        self.fitting = micro_batch
        self.cost: Cost = Cost(device.torch)
        self.step: Step = step or model.advance
        self.steps = steps
        one_kernel(model)

    @torch.inference_mode()
    def empty(self, count: int, frame_shape: tuple[int, ...]) -> Latent:
        """Room for `count` latent states of frames (..., y, x)."""
        ny, nx = frame_shape[-2:]
        size = (count, self.model.config.latent_size, ny // LATENT_FACTOR, nx // LATENT_FACTOR)
        mean = torch.zeros(size, device=self.device.torch)
        if self._with_logvar:
            return Latent(mean, torch.zeros_like(mean))
        return Latent(mean, mean.new_zeros(1, 1, 1, 1).expand_as(mean))

    def encode(
        self,
        latents: Latent,
        index: np.ndarray,
        loads: np.ndarray,
        ids: np.ndarray,
        frames: Callable[[np.ndarray], np.ndarray],
    ) -> tuple[np.ndarray, np.ndarray]:
        """Encode frames into rows `index` (k,) of latents and read them: values (k, 6), draws (k, DRAWS).

        loads (k,) are scaled; ids (k,) name the cells in errors; frames(positions) gives the scaled frames
        of some of the k, float32 (positions, field, y, x). Raises ClosureError where memory does not suffice.
        """

        def make(positions: np.ndarray, rows: torch.Tensor, load: torch.Tensor) -> Latent:
            with self.cost.part("gather"):
                physical = frames(positions)
            with self.cost.part("encode"):
                return self.model.encode(torch.from_numpy(physical).to(self.device.torch))

        return self._run(make, self.reader, latents, index, loads, ids)

    def advance(
        self, latents: Latent, index: np.ndarray, loads: np.ndarray, ids: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Advance rows `index` (k,) of latents by `steps` frames and read them; arguments as for `encode`."""

        def make(positions: np.ndarray, rows: torch.Tensor, load: torch.Tensor) -> Latent:
            with self.cost.part("evolve"):
                z = Latent(latents.mean[rows], latents.logvar[rows])
                for _ in range(self.steps):
                    z = self.step(z, load)
                return z

        return self._run(make, self.reader, latents, index, loads, ids)

    def read(
        self, latents: Latent, index: np.ndarray, loads: np.ndarray, ids: np.ndarray, reader: Any
    ) -> np.ndarray:
        """What another reader makes of rows `index` (k,) of latents: values (k, 6)."""
        return self._run(None, reader, latents, index, loads, ids)[0]

    def _run(
        self,
        make: Callable[[np.ndarray, torch.Tensor, torch.Tensor], Latent] | None,
        reader: Any,
        latents: Latent,
        index: np.ndarray,
        loads: np.ndarray,
        ids: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Micro-batch by micro-batch: make latents (None leaves those there), store them, read them."""
        precision = self.device.precision
        read_low = precision == "bf16" or (precision == "bf16-decode" and reader.decodes)
        values, draws, done = [], [], 0
        with torch.inference_mode(), self._threads():
            while done < len(index):
                count = min(self.fitting, len(index) - done)
                positions = np.arange(done, done + count)
                positions = np.append(positions, np.full(self._size(count) - count, done))
                rows = torch.from_numpy(index[positions].astype(np.int64)).to(self.device.torch)
                load = torch.from_numpy(loads[positions].astype(np.float32)).to(self.device.torch)
                try:
                    with self._autocast(precision == "bf16"):
                        z = (
                            Latent(latents.mean[rows], latents.logvar[rows])
                            if make is None
                            else make(positions, rows, load)
                        )
                    with self._autocast(read_low), self.cost.part("readout"):
                        reading = reader(z, load)
                except (RuntimeError, MemoryError) as err:
                    if not _out_of_memory(err):
                        raise
                    self._split(len(positions), ids[positions[:count]])
                    continue
                if make is not None:
                    latents.mean[rows[:count]] = z.mean[:count]
                    if self._with_logvar:
                        latents.logvar[rows[:count]] = z.logvar[:count]
                values.append(reading.values[:count].float().cpu().numpy())
                draws.append(reading.draws[:count].float().cpu().numpy())
                done += count
        return np.concatenate(values).astype(np.float64), np.concatenate(draws)

    def _size(self, count: int) -> int:
        """Samples in the micro-batch of `count` cells."""
        if self.reproducible:
            return self.micro_batch
        alone = count == 1 < self.fitting and self.device.precision != "bf16"
        return 2 if alone else count

    def _split(self, count: int, ids: np.ndarray) -> None:
        """Halve the micro-batch after `count` samples did not fit; ClosureError where that is no way out."""
        if self.device.torch.type == "cuda":
            torch.cuda.empty_cache()
        if self.reproducible:
            raise ClosureError(
                f"{self.micro_batch} cells at once do not fit in the memory of {self.device.name}, and "
                f"reproducible mode fixes that number ({name_cells(ids)}); choose a smaller micro_batch",
                ids,
            )
        if count == 1:
            raise ClosureError(
                f"{name_cells(ids)} alone does not fit in the memory of {self.device.name}; free memory, or "
                "use smaller patches",
                ids,
            )
        self.fitting: int = count // 2
        log.warning("%d cells do not fit in memory; micro-batches of %d from here", count, self.fitting)

    @property
    def _with_logvar(self) -> bool:
        return self.model.config.evolve_logvar

    def _autocast(self, on: bool) -> Any:
        return torch.autocast(self.device.torch.type, dtype=torch.bfloat16) if on else nullcontext()

    @contextmanager
    def _threads(self) -> Iterator[None]:
        """Torch on its own number of threads, the host's setting put back afterwards; fp32 means fp32."""
        exact = self.device.precision == "fp32"
        flags = {"benchmark": False, "deterministic": self.reproducible, "allow_tf32": not exact}
        with torch_threads(self.device.threads), torch.backends.cudnn.flags(enabled=True, **flags):
            yield


def one_kernel(network: nn.Module) -> None:
    """Let 1 x 1 convolutions on the CPU run on the same kernels with one thread as with several.

    Torch leaves them to another library where there is one thread, unless they are dilated, which for a
    kernel of one pixel means nothing.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1) and layer.weight.is_cpu:
            layer.dilation = (2, 2)


def _out_of_memory(err: BaseException) -> bool:
    return isinstance(err, (torch.OutOfMemoryError, MemoryError)) or "DefaultCPUAllocator" in str(err)
