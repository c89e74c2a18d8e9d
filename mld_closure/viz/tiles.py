"""Errors of a rollout by tiles against the overlap of the tiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from .plots import new_figure


def draw_overlap(overlaps: Sequence[int], errors: Mapping[str, Sequence[float]], title: str) -> Figure:
    """Curves of errors (K, one an overlap) by what they are errors from, on a logarithmic axis."""
    figure = new_figure(5.6, 3.8)
    axes = figure.subplots()
    for name, values in errors.items():
        axes.semilogy(overlaps, values, "o-", ms=4, lw=1.2, label=f"from {name}")
    axes.set(xlabel="overlap of tiles (pixels)", ylabel="error of the temperature, rms (K)", title=title)
    axes.set_xticks(overlaps)
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    return figure
