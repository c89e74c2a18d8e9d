"""What came out of a run, in numbers: the summary, and what reads it for people."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .columns import SECONDS


@dataclass(frozen=True)
class Result:
    """A finished run; the same on all ranks.

    Parameters
    ----------
    out : Path
        Folder of its files.
    summary : dict
        All numbers, as in OUT/summary.json; units are in the names.
    """

    out: Path
    summary: dict[str, Any]

    @property
    def files(self) -> list[Path]:
        """The files written: histories, table of steps, pictures, summary."""
        return [self.out / name for name in self.summary["files"]]

    @property
    def checkpoints(self) -> list[Path]:
        """Checkpoints that the run can be continued from, oldest first."""
        return [self.out / "checkpoints" / name for name in self.summary["checkpoints"]]

    @property
    def steps(self) -> int:
        """Accepted steps."""
        return self.summary["steps"]

    @property
    def burned_fraction(self) -> float:
        """Mean burned fraction of the cells at the end."""
        return self.summary["mean_burned_fraction"]

    @property
    def front_speed(self) -> float | None:
        """Last speed of the shock front relative to the material ahead, in m/s; None where none is known."""
        return self.summary["front_speed_m_per_s"]

    @property
    def run_to_detonation(self) -> tuple[float, float] | None:
        """Time in s and distance in m of the transition to detonation; None where there was none."""
        time, distance = self.summary["transition_time_s"], self.summary["transition_distance_m"]
        return None if distance is None else (time, distance)

    def __repr__(self) -> str:
        """The essentials in a few lines."""
        name = f"Result of {self.out}"
        lines = [f"  {name}: {text}" for name, text in self.lines() if not name.startswith("time: ")]
        return "\n".join([name, *lines])

    def lines(self) -> list[tuple[str, str]]:
        """The summary as (name, value) for people."""
        s, seconds = self.summary, self.summary["seconds"]
        spent = max(sum(seconds[p] for p in SECONDS), 1e-12)
        lines = [
            ("steps (rejected, forced)", f"{s['steps']} ({s['rejected_steps']}, {s['forced_steps']})"),
            ("ranks (blocks down, across)", f"{s['ranks']} ({s['blocks'][0]}, {s['blocks'][1]})"),
            ("time reached", f"{1e9 * s['end_time_s']:.1f} ns"),
            ("cells burned", f"{s['burned_cells']} of {s['cells']}"),
            ("burned fraction, mean", f"{s['mean_burned_fraction']:.3f}"),
            ("peak pressure", f"{s['peak_pressure_Pa'] / 1e9:.2f} GPa"),
            (
                "inert shock, exact",
                f"{_speed(s['inert_shock_speed_m_per_s'])}, {s['inert_shock_pressure_Pa'] / 1e9:.2f} GPa",
            ),
            ("front speed, last", _speed(s["front_speed_m_per_s"])),
            ("detonation speed, exact", _speed(s["chapman_jouguet_speed_m_per_s"])),
        ]
        if s["transition_distance_m"] is not None:
            where = f"{1e3 * s['transition_distance_m']:.2f} mm, {1e9 * s['transition_time_s']:.0f} ns"
            lines.append(("run to detonation", where))
        if s["detonates_before_m"] is not None:
            below = f"not resolved, below {1e3 * s['detonates_before_m']:.2f} mm"
            lines.append(("run to detonation", below))
        if "closure_status" in s:
            cells = ", ".join(f"{n} {k.lower()}" for k, n in s["closure_status"].items() if n)
            lines.append(("closure", cells))
        lines += [
            (f"time: {p.replace('_', ' ')}", f"{seconds[p]:.2f} s, {100 * seconds[p] / spent:.0f} %")
            for p in SECONDS
            if seconds[p] > 0
        ]
        return [*lines, ("wall time", f"{seconds['wall']:.1f} s")]


def _speed(value: float | None) -> str:
    return "-" if value is None else f"{value / 1e3:.3f} km/s"
