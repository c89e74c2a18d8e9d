"""A measured number against what it must be: the currency of `problems.py` and `mld-closure verify`."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """One measured number against what it must be.

    kind: `relative` |measured/expected - 1| <= tolerance; `absolute` |measured - expected| <= tolerance;
    `below` measured < tolerance; `above` measured > tolerance; `within` low <= measured <= high.
    """

    name: str
    measured: float
    expected: float | None
    tolerance: float
    kind: str = "relative"
    units: str = ""
    high: float = math.inf

    @property
    def passed(self) -> bool:
        """Whether the measured number is finite and within its bounds."""
        x = self.measured
        if not math.isfinite(x):
            return False
        if self.kind == "relative":
            return abs(x / self.expected - 1) <= self.tolerance
        if self.kind == "absolute":
            return abs(x - self.expected) <= self.tolerance
        return {
            "below": x < self.tolerance,
            "above": x > self.tolerance,
            "within": self.tolerance <= x <= self.high,
        }[self.kind]

    @property
    def bound(self) -> str:
        """The tolerance in words."""
        return {
            "relative": f"{100 * self.tolerance:g} %",
            "absolute": f"+-{self.tolerance:g}",
            "below": f"< {self.tolerance:g}",
            "above": f"> {self.tolerance:g}",
            "within": f"{self.tolerance:g} to {self.high:g}",
        }[self.kind]
