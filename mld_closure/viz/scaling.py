"""Parallel efficiency over the number of ranks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from .plots import new_figure


def draw_scaling(curves: Mapping[str, Sequence[tuple[float, float]]], title: str) -> Figure:
    """Draw parallel efficiency over the number of ranks.

    Parameters
    ----------
    curves : mapping of str to sequence of (ranks, efficiency)
        Curves by name; those whose name ends in ", owners serve" are dashed.
    title : str
        Title of the figure.

    Returns
    -------
    Figure
    """
    figure = new_figure(6.4, 4.8)
    axes = figure.subplots()
    colours: dict[str, str] = {}
    for name, points in curves.items():
        base = name.removesuffix(", owners serve")
        colour = colours.setdefault(base, f"C{len(colours)}")
        ranks, values = zip(*points, strict=True)
        axes.semilogx(ranks, values, "o--" if base != name else "o-", ms=3, lw=1.2, color=colour, label=name)
    axes.set(xlabel="ranks", ylabel="parallel efficiency", ylim=(0, 1.02), title=title)
    axes.grid(alpha=0.3)
    figure.legend(fontsize="x-small", loc="outside lower center", ncols=2)
    return figure
