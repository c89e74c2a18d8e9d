"""What a closure asks of whoever carries its messages: the ranks it runs on, and the servers of latent
states.

`runtime.ranks.Ranks` is the one implementation; a closure alone in its process has the same on one rank.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..surrogate.messages import Answers
from .cells import Cells, CellState
from .sources import Sources


class Ownership(Protocol):
    """Which rank owns which cell; see `runtime.ownership`."""

    def agree_on_patches(self, call: Any, count: int, patches: Any, specimen: Any) -> tuple[int, int] | None:
        """The size of the patches that any rank gives."""

    def check_new(self, call: Any, ids: np.ndarray) -> None:
        """That no id is named twice on all ranks together."""

    def use(self, specimen: Any) -> None:
        """Number a specimen."""

    def drop_unused(self, call: Any, sources: Sources) -> None:
        """Forget specimens that are not used any more."""

    def migrate(
        self, call: Any, cells: Cells, sources: Sources, ids: np.ndarray, new_owner: Any
    ) -> tuple[np.ndarray, list[tuple[np.ndarray, CellState, Any]]]:
        """Rows that leave, and cells that come."""


class Restarts(Protocol):
    """Restart folders of all ranks; see `runtime.restarts`."""

    def save(self, call: Any, path: str | Path, cells: Cells, describe: Callable[[], dict[str, Any]]) -> None:
        """Write one."""

    def load(
        self, call: Any, path: str | Path, cells: Cells, check: Callable[[Mapping[str, Any]], None]
    ) -> dict[str, Any]:
        """Read one."""

    def record(
        self,
        call: Any,
        failures: Path,
        cells: Cells,
        ids: np.ndarray,
        arrays: Callable[[], dict[str, np.ndarray]],
        facts: Mapping[str, Any],
    ) -> Path | None:
        """Write a failing call."""


class Ranks(Protocol):
    """The ranks of a closure; all methods are collective but `prepare` and `forget`."""

    rank: int
    size: int
    comm: Any
    fitting: int | None
    ownership: Ownership
    restarts: Restarts

    @property
    def cost(self) -> dict[str, float]:
        """Seconds by part."""

    @property
    def traffic(self) -> tuple[int, int]:
        """Rows and bytes sent to other ranks."""

    @property
    def shadow(self) -> Any:
        """The second reader of this rank's server, or None."""

    @property
    def lost(self) -> bool:
        """Whether a rank has gone, so that nothing but closing is left."""

    def attempt(self, what: str) -> Any:
        """A call of all ranks."""

    def settle(self, call: Any, *numbers: float) -> np.ndarray:
        """The numbers of all ranks, or the error of any."""

    def prepare(self, shape: tuple[int, int]) -> None:
        """Make the server for patches of this size."""

    def ask(
        self,
        call: Any,
        ids: np.ndarray,
        rows: np.ndarray,
        wanted: np.ndarray,
        state: CellState,
        sources: Sources,
        chosen: np.ndarray,
        until: float,
    ) -> Answers | None:
        """Bring cells to model frames."""

    def keep(
        self,
        call: Any,
        ids: np.ndarray,
        slot: np.ndarray,
        server: np.ndarray,
        block: np.ndarray,
        place: np.ndarray,
        keep: np.ndarray,
        time: float,
    ) -> np.ndarray:
        """Keep or free latent states; returns slots."""

    def forget(self) -> None:
        """Forget what the open step computed."""

    def close(self) -> None:
        """Give everything back."""
