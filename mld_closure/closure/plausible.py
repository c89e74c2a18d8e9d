"""Numbers of a host that are allowed but look like another unit: each is warned of once."""

from __future__ import annotations

import logging

log: logging.Logger = logging.getLogger("mld_closure")

LIKE_GPA = 0.05, 1000.0  # greatest pressure of a call between these (Pa) looks like GPa or Mbar
LONG_STEP = 100.0  # horizons of the model; a longer step looks like another unit of time
LONG_GAP = 20.0  # steps between the end of one step and the beginning of the next


class Plausibility:
    """Watches what a host passes.

    horizon (s): of the model. `warnings`: how many have been given."""

    def __init__(self, horizon: float) -> None:
        self._horizon = horizon
        self._said: set[str] = set()

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
