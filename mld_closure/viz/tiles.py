"""Error of a rollout by tiles over the overlap of the tiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from .plots import new_figure


def draw_overlap(overlaps: Sequence[int], errors: Mapping[str, Sequence[float]], title: str) -> Figure:
    """Draw errors over the overlap of tiles, on a logarithmic axis.

    Parameters
    ----------
    overlaps : sequence of int
        Overlaps [pixels].
    errors : mapping of str to sequence of float
        For each reference, the temperature errors [K], one per overlap.
    title : str
        Title of the figure.

    Returns
    -------
    Figure
    """
    figure = new_figure(5.6, 3.8)
    axes = figure.subplots()
    for name, values in errors.items():
        axes.semilogy(overlaps, values, "o-", ms=4, lw=1.2, label=f"from {name}")
    axes.set(xlabel="overlap of tiles (pixels)", ylabel="error of the temperature, rms (K)", title=title)
    axes.set_xticks(overlaps)
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    return figure
