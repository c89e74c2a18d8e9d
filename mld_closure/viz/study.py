"""Error against the amount of training data: one panel a quantity, seeds as points, their mean as a line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from .plots import new_figure, save

Points = Sequence[tuple[int, float]]  # (training cases, error), one a run


def draw_study(panels: Mapping[str, Mapping[str, Points]], path: str | Path, xlabel: str) -> Path:
    """Draw errors over numbers of training cases and save to `path`; returns it.

    panels: for each panel's title (quantity and unit) the points of every method by its name. A method whose
    points all have 0 training cases is a level line. Values that are not finite are left out; ValueError
    where nothing is left of a panel.
    """
    figure = new_figure(3.6 * len(panels) + 0.2, 3.6)
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axis, (title, methods) in zip(axes, panels.items(), strict=True):
        seen: set[int] = set()
        for number, (method, points) in enumerate(methods.items()):
            known = [(k, e) for k, e in points if np.isfinite(e)]
            counts, means = means_of(known)
            colour = f"C{number}"
            if counts == [0]:
                axis.axhline(means[0], color="0.6", ls=":", label=method)
            elif counts:
                axis.plot(counts, means, color=colour, label=method)
                axis.plot(*zip(*known, strict=True), "o", color=colour, ms=4, alpha=0.6)
                seen |= set(counts)
        if not seen:
            raise ValueError(f"panel '{title}' has no finite error to draw")
        axis.set_xscale("log", base=2)
        axis.set_xticks(sorted(seen), [str(k) for k in sorted(seen)])
        axis.minorticks_off()
        axis.set_ylim(bottom=0)
        axis.set_title(title, fontsize=10)
        axis.set_xlabel(xlabel, fontsize=9)
    axes[0].legend(fontsize="small")
    return save(figure, path)


def means_of(points: Points) -> tuple[list[int], list[float]]:
    """The numbers of cases in rising order, and the mean error at each."""
    counts = sorted({k for k, _ in points})
    return counts, [float(np.mean([e for k, e in points if k == count])) for count in counts]
