"""What a host passes that is allowed but looks wrong: numbers of another unit, patches of another kind.

Why so few warnings: a code that refines its mesh registers cells in each step, and would fill its log.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping

log: logging.Logger = logging.getLogger("mld_closure")

LIKE_GPA = 0.05, 1000.0  # greatest pressure of a call between these (Pa) looks like GPa or Mbar
LONG_STEP = 100.0  # horizons of the model; a longer step looks like another unit of time
MOST_PATCHES = 10  # warnings of one kind about patches
LONG_GAP = 20.0  # steps between the end of one step and the beginning of the next


class Plausibility:
    """Watches what a host passes.

    horizon (s): of the model. `warnings`: how many have been given."""

    def __init__(self, horizon: float) -> None:
        self._horizon = horizon
        self._said: set[str] = set()
        self._patches: Counter[str] = Counter()

    @property
    def warnings(self) -> int:
        """How many warnings were given."""
        return len(self._said)

    def pressure(self, highest: float) -> None:
        """Look at the greatest pressure (Pa) of a call."""
        if LIKE_GPA[0] <= highest <= LIKE_GPA[1]:
            self._warn(
                "pressure",
                f"the greatest pressure of a call is {highest:g} Pa, which looks like GPa or Mbar; pressures "
                "are in Pa",
            )

    def registered(self, found: Mapping[str, str]) -> None:
        """Tell what new patches are like that no model was trained on: sentences by kind, each kind a few
        times."""
        for kind, sentence in found.items():
            self._patches[kind] += 1
            if self._patches[kind] < MOST_PATCHES:
                log.warning("register: %s", sentence)
            elif self._patches[kind] == MOST_PATCHES:
                log.warning("register: %s (further ones are not told)", sentence)

    def step(self, t: float, dt: float, last: float | None) -> None:
        """Look at a step from t (s) of length dt (s); last (s): where the last one ended."""
        if dt > LONG_STEP * self._horizon:
            self._warn(
                "step",
                f"a step of {dt:g} s is {dt / self._horizon:.0f} times as long as the model's horizon of "
                f"{self._horizon:g} s; times are in s",
            )
        if last is not None and t - last > LONG_GAP * dt:
            self._warn(
                "gap",
                f"the step from {t:g} s begins {(t - last) / dt:.0f} steps after the last one ended at "
                f"{last:g} s; nothing burns in between, so pass every step",
            )

    def _warn(self, kind: str, text: str) -> None:
        if kind not in self._said:
            self._said.add(kind)
            log.warning("%s (said once)", text)
