"""Error over the amount of training data: one panel per quantity, one point per seed, a line for the mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from .plots import new_figure, save

OFF_SCALE = 3.0  # times the median of a panel
Points = Sequence[tuple[int, float]]  # (training cases, error), one per run


def draw_study(panels: Mapping[str, Mapping[str, Points]], path: str | Path, xlabel: str) -> Path:
    """Draw errors over the number of training cases and save the picture.

    Parameters
    ----------
    panels : mapping of str to mapping of str to points
        For each title of a panel (quantity and unit), the points (training cases, error) of each method by
        name. A method whose points all have 0 training cases is drawn as a horizontal line. Values above
        `OFF_SCALE` times the median of the panel are drawn as arrows at the top; values that are not finite
        are left out.
    path : path
        File to write.
    xlabel : str
        Label of the x axis.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    ValueError
        A panel has no finite error.
    """
    figure = new_figure(3.6 * len(panels) + 0.2, 3.6)
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axis, (title, methods) in zip(axes, panels.items(), strict=True):
        seen: set[int] = set()
        every = [e for points in methods.values() for _, e in points if np.isfinite(e)]
        top = min(1.08 * max(every, default=0.0), OFF_SCALE * float(np.median(every or [0.0])))
        for number, (method, points) in enumerate(methods.items()):
            known = [(k, e) for k, e in points if np.isfinite(e)]
            counts, means = means_of(known)
            colour = f"C{number}"
            if counts == [0]:
                axis.axhline(means[0], color="0.6", ls=":", label=method)
            elif counts:
                axis.plot(counts, means, color=colour, label=method)
                for marker, off in (("o", False), ("^", True)):
                    shown = [(k, min(e, 0.98 * top)) for k, e in known if (e > top) == off]
                    if shown:
                        axis.plot(*zip(*shown, strict=True), marker, color=colour, ms=4 + 3 * off, alpha=0.6)
                seen |= set(counts)
        if not seen:
            raise ValueError(f"panel '{title}' has no finite error to draw")
        axis.set_xscale("log", base=2)
        axis.set_xticks(sorted(seen), [str(k) for k in sorted(seen)])
        axis.minorticks_off()
        axis.set_ylim(0, top or None)
        axis.set_title(title, fontsize=10)
        axis.set_xlabel(xlabel, fontsize=9)
    axes[0].legend(fontsize="small")
    return save(figure, path)


def means_of(points: Points) -> tuple[list[int], list[float]]:
    """Return the numbers of cases in increasing order, and the mean error at each."""
    counts = sorted({k for k, _ in points})
    return counts, [float(np.mean([e for k, e in points if k == count])) for count in counts]
