"""The ranks of a closure: the transport, with what they agree on about owners and restarts."""

from __future__ import annotations

from typing import Any

from .ownership import Ownership
from .restarts import Restarts
from .transport import Transport


class Ranks(Transport):
    """A `Transport` with `ownership` of cells and `restarts`; what a closure holds
    (`closure.ranks.Ranks`)."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.ownership: Ownership = Ownership(self)
        self.restarts: Restarts = Restarts(self)
